"""The chain of three networks: two orders, each stage on what it will really see, gray kept to the
byte; and the published faults are not there."""

import itertools

import numpy as np
import pytest
import torch

from pipeline.errors import ParamsError
from pipeline.images import to_gray
from pipeline.losses import mse, weighted_l1
from pipeline.losses.perceptual import perceptual
from pipeline.seeds import rng
from pipeline.stream import Batch
from pipeline.systems.colors import luma
from pipeline.validation import to_pictures
from tests.pipeline.test_systems import assert_kept, noise, small, step_all, tiles

ORDERS = ("inpaint_first", "color_first")
VARIANTS = [*itertools.product(ORDERS, ("regression", "rebalanced"))]
each_order = pytest.mark.parametrize("order", ORDERS)
each_variant = pytest.mark.parametrize(("order", "color_loss"), VARIANTS)


def chain(order="inpaint_first", finds=True, **changes):
    """An untrained chain in eval mode; with `finds`, about half of the pixels are its hole."""
    system = small("three_stage", order=order, **changes)
    if finds:
        with torch.no_grad():
            system.threshold = float(system.masker(noise(1, 1, 32, 32)).median())
    return system


def seen_by(module, run):
    """The first inputs of each call of `module` while `run` runs."""
    seen = []
    hook = module.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    run()
    hook.remove()
    return seen


def one_phase(system, phase):
    """As the trainer sets a phase: its groups train, all else is frozen."""
    groups = list(system.groups(phase).values())
    system.train()
    for child in system.children():
        child.requires_grad_(child in groups).train(child in groups)
    return system


# phases


def test_the_order_of_phases_is_the_order_of_the_chain():
    assert chain("inpaint_first").phases == ("mask", "inpaint", "color")
    assert chain("color_first").phases == ("mask", "color", "inpaint")
    with pytest.raises(ParamsError, match=r"systems\.three_stage\.order"):
        chain("sideways")


def test_the_inpainter_works_on_gray_or_on_color():
    assert [chain(order).inpainter.head.out_channels for order in ORDERS] == [1, 3]


@each_variant
def test_gradients_reach_every_weight_of_a_phase_and_none_besides(order, color_loss):
    system = chain(order, color_loss=color_loss)
    batch = tiles(system)
    for phase in system.phases:
        one_phase(system, phase).zero_grad()
        told = []
        for group, terms in system.updates(phase, batch):
            told.append(group)
            sum(terms.values()).backward()
        assert told == list(system.groups(phase))
        trained = {id(p) for m in system.groups(phase).values() for p in m.parameters()}
        for parameter in system.parameters():
            if id(parameter) in trained:
                assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 0
            else:
                assert parameter.grad is None


@pytest.mark.parametrize(("order", "color_loss"), VARIANTS[::3])
def test_the_phases_one_after_another_make_a_color_photo(order, color_loss):
    changes = {"widths": [8, 16], "inpainter_width": 8, "hole_weight": 20.0}
    system = chain(order, finds=False, color_loss=color_loss, **changes)
    batch = tiles(system)
    for phase in system.phases:
        one_phase(system, phase)
        optimizers = {
            group: torch.optim.Adam(module.parameters(), lr=0.01)
            for group, module in system.groups(phase).items()
        }
        for _ in range(40):
            step_all(system, batch, optimizers, phase)
    with torch.no_grad():
        made = system.eval().restore(batch.corrupted)
    found = (made.mask >= system.threshold).float()
    assert (found == batch.mask).float().mean() > 0.97
    before = mse(batch.corrupted.expand_as(batch.clean), batch.clean)
    hole = batch.mask.expand_as(batch.clean) > 0
    assert mse(made.composite, batch.clean) < 0.3 * before
    assert mse(made.composite[hole], batch.clean[hole]) < 0.3 * mse(
        batch.corrupted.expand_as(batch.clean)[hole], batch.clean[hole]
    )
    gray = luma(made.composite).expand_as(batch.clean)
    assert mse(made.composite, batch.clean) < 0.7 * mse(gray, batch.clean)


# each stage on what it will really see


@each_order
def test_the_last_stage_learns_on_the_picture_that_restoring_gives_it(order):
    system = chain(order)
    batch, phase = tiles(system), system.phases[-1]
    last = system.colorizer if phase == "color" else system.inpainter
    (learned,) = seen_by(last, lambda: next(system.updates(phase, batch)))
    with torch.no_grad():
        (given,) = seen_by(last, lambda: system.restore(batch.corrupted))
        made = system.restore(batch.corrupted)
    assert torch.equal(learned, given)
    if phase == "color":
        assert torch.equal(given, made.stages["inpainted"])
    else:
        hole = (made.mask >= system.threshold).float()
        expected = torch.cat([made.stages["colored"] * (1 - hole), hole], 1)
        assert torch.equal(given, expected)


@each_order
def test_the_inpainter_sees_the_predicted_hole_and_nothing_under_it(order):
    """Published fault: it was validated on the picture without its mask."""
    system = chain(order)
    batch = tiles(system)
    lying = batch._replace(mask=1 - batch.mask)
    for run in (
        lambda: next(system.updates("inpaint", batch)),
        lambda: next(system.updates("inpaint", lying)),
        lambda: system.restore(batch.corrupted),
    ):
        (seen,) = seen_by(system.inpainter, run)
        picture, plane = seen[:, :-1], seen[:, -1:]
        found = system.masker(batch.corrupted) >= system.threshold
        assert 0.05 < found.float().mean() < 0.95 and torch.equal(plane > 0, found)
        assert not picture[(plane > 0).expand_as(picture)].any()
        assert picture[(plane == 0).expand_as(picture)].any()


@torch.no_grad()
def test_what_lies_under_a_given_mask_does_not_matter():
    system, x = chain("inpaint_first"), noise(2, 1, 40, 33)
    mask = (noise(2, 1, 40, 33, name="mask") > 0.7).float()
    other = torch.where(mask > 0, 1 - x, x)
    assert torch.equal(
        system.restore(x, mask=mask).composite, system.restore(other, mask=mask).composite
    )


@each_order
def test_a_probable_hole_is_a_hole(order):
    """Published fault: the mask was cast to whole numbers, and so was 0 everywhere."""
    system = chain(order, finds=False)
    for chance, expected in ((0.7, 1.0), (system.threshold, 1.0), (0.3, 0.0)):
        mask = torch.full((1, 1, 16, 16), chance)
        given = noise(1, 1, 16, 16)
        (seen,) = seen_by(system.inpainter, lambda g=given, m=mask: system.restore(g, mask=m))
        assert (seen[:, -1] == expected).all()


# losses


@each_order
def test_the_critic_is_fed_the_channels_that_it_was_built_for(order):
    """Published fault: built for 4 channels, fed 6. It judges what the chain passes on."""
    system = chain(order)
    batch, channels = tiles(system), 1 if order == "inpaint_first" else 3
    assert system.critic.layers[0].in_channels == channels
    fooling, true, made = seen_by(system.critic, lambda: list(system.updates("inpaint", batch)))
    target = batch.clean if channels == 3 else luma(batch.clean)
    assert torch.equal(true, target) and torch.equal(fooling, made)
    assert torch.equal(made, system.restore(batch.corrupted).stages["inpainted"])


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
def test_the_inpainters_losses_are_their_formulas(kind):
    weights = {"picture_weight": 2.0, "hole_weight": 3.0, "adversarial_weight": 0.25}
    system = chain(adversarial=kind, **weights)
    batch = tiles(system)
    (first, made), (second, judged) = system.updates("inpaint", batch)
    (seen,) = seen_by(system.inpainter, lambda: system.restore(batch.corrupted))
    raw, hole, target = system.inpainter(seen), seen[:, 1:], luma(batch.clean)
    filled, truth = system.restore(batch.corrupted).stages["inpainted"], system.critic(target)
    said = system.critic(filled)
    assert (first, second) == ("inpainter", "critic")
    expected = {"picture": 2 * weighted_l1(raw, target, 1 + 3 * hole)}
    if kind == "lsgan":
        expected["adversarial"] = 0.25 * 0.5 * (said - 1).square().mean()
        expected |= {"real": 0.5 * (truth - 1).square().mean(), "fake": 0.5 * said.square().mean()}
    else:
        expected["adversarial"] = -0.25 * said.mean()
        expected |= {"real": (1 - truth).relu().mean(), "fake": (1 + said).relu().mean()}
    found = made | judged
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-5)


def test_the_critics_loss_teaches_the_critic_alone():
    system = chain()
    _, (group, terms) = system.updates("inpaint", tiles(system))
    sum(terms.values()).backward()
    assert group == "critic"
    assert all(p.grad is not None for p in system.critic.parameters())
    assert all(p.grad is None for p in system.inpainter.parameters())


def test_the_mask_is_learned_as_a_probability():
    """L2 and the features of the probability itself: at the truth, both are 0."""
    system = chain(mask_weight=2.0, mask_perceptual_weight=0.5)
    batch = tiles(system)
    ((_, terms),) = system.updates("mask", batch)
    found = system.restore(batch.corrupted).mask
    assert terms["mask"].item() == pytest.approx(2 * mse(found, batch.mask).item(), rel=1e-5)
    look = perceptual(found, batch.mask, "efficientnet_lite0")
    assert terms["mask_perceptual"].item() == pytest.approx(0.5 * look.item(), rel=1e-4)


def test_the_look_of_colors_is_judged_on_the_true_gray():
    """What the chain got wrong before cannot be the colorizer's fault."""
    system = chain("color_first", color_weight=0.0, color_perceptual_weight=1.0)
    batch = tiles(system)
    with torch.no_grad():  # a colorizer that says: no color
        system.colorizer.head.layers.weight.zero_()
        system.colorizer.head.layers.bias.zero_()
    ((_, terms),) = system.updates("color", batch)
    gray = luma(batch.clean).expand_as(batch.clean)
    expected = perceptual(gray, batch.clean, "efficientnet_lite0").item()
    assert terms["color_perceptual"].item() == pytest.approx(expected, rel=1e-3)


# restoring


@each_variant
@torch.no_grad()
def test_gray_outside_of_the_hole_is_the_inputs_to_the_byte(order, color_loss):
    system = chain(order, color_loss=color_loss)
    last = [one for one in system.colorizer.head.modules() if isinstance(one, torch.nn.Conv2d)][-1]
    last.weight.mul_(300)  # vivid
    levels = rng(0, "chain").integers(0, 256, (64, 48, 1), np.uint8)
    x = torch.from_numpy(levels.transpose(2, 0, 1))[None] / 255
    made = system.restore(x)
    whole = made.mask < system.threshold
    assert 0.05 < whole.float().mean() < 0.95
    assert_kept(system, made, x, whole)
    (picture,) = to_pictures(made.composite)
    kept = whole[0, 0].numpy()
    np.testing.assert_array_equal(to_gray(picture)[kept], levels[kept])
    assert np.ptp(picture[kept].astype(int), axis=1).max() > 30  # and it has colors


@each_order
@torch.no_grad()
def test_the_stages_are_shown_in_the_order_of_the_chain(order):
    system, x = chain(order), noise(2, 1, 33, 40)
    made = system.restore(x)
    names = ["mask", "inpainted", "colored"]
    assert list(made.stages) == (
        names if order == "inpaint_first" else [names[n] for n in (0, 2, 1)]
    )
    channels = {"mask": 1, "inpainted": 1 if order == "inpaint_first" else 3, "colored": 3}
    assert {name: picture.shape[1] for name, picture in made.stages.items()} == channels
    assert torch.equal(made.stages["mask"], made.mask)
    assert torch.equal(made.prediction, list(made.stages.values())[-1])
    filled = made.stages["inpainted"]
    before = x if order == "inpaint_first" else made.stages["colored"]
    whole = (made.mask < system.threshold).expand_as(filled)
    assert torch.equal(filled[whole], before[whole])
    assert (filled != before)[~whole].float().mean() > 0.9


@each_order
@torch.no_grad()
def test_without_color_the_picture_stays_gray(order):
    system, x = chain(order), noise(2, 1, 33, 40)
    colored, gray = system.restore(x), system.restore(x, color=False)
    assert torch.equal(colored.composite, system.restore(x, color=True).composite)
    red, green, blue = gray.composite.unbind(1)
    assert gray.composite.shape == colored.composite.shape
    assert torch.equal(red, green) and torch.equal(red, blue)
    torch.testing.assert_close(red[:, None], luma(colored.composite), atol=1e-6, rtol=0)
    whole = made_whole(system, gray)
    assert torch.equal(red[:, None][whole], x[whole])


def made_whole(system, made):
    """Where no hole was found."""
    return made.mask < system.threshold


def test_colors_that_were_counted_are_part_of_the_weights():
    system = chain(color_loss="rebalanced")
    batch = tiles(system)
    key = "colorizer.head.prior"
    start = system.state_dict()[key].clone()
    for phase in ("mask", "inpaint"):
        list(one_phase(system, phase).updates(phase, batch))
    system.eval()
    list(system.updates("color", batch))  # as a validation does
    system.restore(batch.corrupted)
    assert torch.equal(system.state_dict()[key], start)
    list(one_phase(system, "color").updates("color", batch))
    assert not torch.equal(system.state_dict()[key], start)
    other = chain(color_loss="rebalanced")
    other.load_state_dict(system.state_dict())
    ((_, one),) = system.eval().updates("color", batch)
    ((_, two),) = other.eval().updates("color", batch)
    assert one["color"].item() == two["color"].item()


@each_variant
@torch.no_grad()
def test_any_size_and_half_precision(order, color_loss):
    system = chain(order, color_loss=color_loss)
    for size in ((1, 1), (1, 40), (7, 33), (64, 64), (65, 97)):
        made = system.restore(noise(1, 1, *size))
        assert made.composite.shape == (1, 3, *size) and made.composite.dtype == torch.float32
        with torch.autocast("cpu", torch.bfloat16):
            half = system.restore(noise(1, 1, *size), mask=made.mask)
        assert half.composite.dtype == torch.float32 and torch.isfinite(half.composite).all()
        torch.testing.assert_close(luma(half.composite), luma(made.composite), atol=0.1, rtol=0)


def test_losses_are_finite_on_black_white_and_a_hole_everywhere():
    for order, color_loss in VARIANTS:
        system = chain(order, color_loss=color_loss).train()
        for level, threshold in itertools.product((0.0, 1.0), (1e-6, 0.999999)):
            system.threshold = threshold
            clean = torch.full((2, 3, 32, 32), level)
            batch = Batch(clean, clean[:, :1], torch.full((2, 1, 32, 32), level))
            for phase in system.phases:
                for _, terms in system.updates(phase, batch):
                    sum(terms.values()).backward()
        assert all(torch.isfinite(p.grad).all() for p in system.parameters() if p.grad is not None)
