"""Every registered system keeps the promises of `System`; published sizes and layers are pinned."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.errors import ParamsError
from pipeline.images import to_gray
from pipeline.seeds import rng
from pipeline.stream import Batch, to_batch
from pipeline.systems import SYSTEMS, count_parameters, make_system, pad_to_multiple, rebuild_system
from pipeline.systems.blocks import ReflectConv, reflect_one, resize_to
from pipeline.systems.colors import luma
from pipeline.validation import to_pictures
from tests.conftest import ROOT, load_yaml, small_params

NAMES = SYSTEMS.names()
SIZES = [(1, 1), (1, 40), (2, 2), (7, 33), (33, 7), (64, 64), (65, 97)]


def small(name, seed=7, **changes):
    """An untrained system of tiny widths, in eval mode."""
    params = small_params()
    params["systems"][name] |= changes
    return make_system(name, params, seed)[0].eval()


def noise(*shape, name="noise"):
    return torch.from_numpy(rng(0, "systems", name, *shape).random(shape, np.float32))


def tiles(system, count=4, side=32):
    """A training batch: crops of noise-free ramps and squares, damaged by squares of gray, which
    are also what to keep, so that there is some."""
    random, side = rng(0, "tiles"), system.tile or side
    samples = []
    for _ in range(count):
        ramp = np.linspace(40, 200, side)[:, None, None] + np.linspace(0, 40, side)[:, None]
        clean = np.repeat(ramp, system.target_channels, 2).astype(np.uint8)
        if system.channels < system.target_channels:  # colors to learn
            clean = clean + np.array([0, 30, 10], np.uint8)
        corrupted = to_gray(clean).copy() if system.channels == 1 else clean.copy()
        mask = np.zeros((side, side), np.uint8)
        y, x = random.integers(0, side - 12, 2)
        corrupted[y : y + 12, x : x + 12] = random.integers(0, 256, system.channels)
        mask[y : y + 12, x : x + 12] = 255
        samples.append((clean, corrupted, mask))
    batch = to_batch(samples).to(torch.device("cpu"))
    return batch._replace(keep=batch.mask)


def as_input(system, picture):
    """A restored picture with the channels of the input: of a color photo made of a gray one, the
    gray."""
    return picture if picture.shape[1] == system.channels else luma(picture)


def step_all(system, batch, optimizers, phase):
    """One round of the loop of training; the loss terms as numbers."""
    told = {}
    for group, terms in system.updates(phase, batch):
        optimizers[group].zero_grad()
        sum(terms.values()).backward()
        optimizers[group].step()
        told |= {f"{group}.{name}": term.item() for name, term in terms.items()}
    return told


# what every system promises


def test_the_registry_and_params_name_the_same_systems():
    assert sorted(load_yaml(ROOT / "params.yaml")["systems"]) == NAMES
    assert {"aged_unet", "dual_decoder"} <= set(NAMES)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_pictures_of_any_size_are_restored_within_zero_and_one(name, size):
    system = small(name)
    for x in (noise(2, system.channels, *size), torch.ones(1, system.channels, *size)):
        given = x.clone()
        made = system.restore(x)
        for picture in (made.prediction, made.composite, *made.stages.values()):
            assert picture.shape[0] == x.shape[0] and picture.shape[-2:] == x.shape[-2:]
            assert picture.dtype == torch.float32
            assert float(picture.min()) >= 0 and float(picture.max()) <= 1
        assert made.prediction.shape == made.composite.shape
        if made.mask is not None:
            assert made.mask.shape == (x.shape[0], 1, *size)
            assert float(made.mask.min()) >= 0 and float(made.mask.max()) <= 1
        assert torch.equal(x, given)


def assert_kept(system, made, x, whole):
    """The composite is the input where `whole`, else the prediction."""
    composite = as_input(system, made.composite)
    if system.channels == system.target_channels:
        assert torch.equal(composite[whole], x[whole])
    else:  # rounded: the luma is computed from three channels
        torch.testing.assert_close(composite[whole], x[whole], atol=1e-6, rtol=0)
    damaged = ~whole[:, :1].expand_as(made.prediction)
    assert torch.equal(made.composite[damaged], made.prediction[damaged])


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_composite_is_the_input_where_no_damage_is_found_and_else_the_prediction(name):
    system = small(name)
    x = noise(2, system.channels, 40, 33)
    made = system.restore(x)
    if made.mask is None:
        assert torch.equal(made.composite, made.prediction)
        return
    # The median as threshold, so that there is some of both.
    system.threshold = float(made.mask.median())
    made = system.restore(x)
    found = (made.mask >= system.threshold).expand_as(x)
    assert 0.3 < found.float().mean() < 0.7
    assert_kept(system, made, x, ~found)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_given_mask_tells_which_pixels_may_change(name):
    system = small(name)
    x = noise(2, system.channels, 24, 17)
    mask = (noise(2, 1, 24, 17, name="mask") > 0.6).float()
    made = system.restore(x, mask=mask)
    damaged = (mask > 0).expand_as(x)
    assert_kept(system, made, x, ~damaged)
    assert (as_input(system, made.composite) != x)[damaged].any()


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_bytes_outside_the_mask_come_back_as_they_were(name):
    system = small(name)
    levels = rng(0, "levels").integers(0, 256, (1, 64, 48, system.channels), np.uint8)
    levels[0, :16, :16, 0] = np.arange(256, dtype=np.uint8).reshape(16, 16)
    part = torch.from_numpy(levels)
    x = Batch(part, part, part).to(torch.device("cpu")).corrupted
    mask = torch.zeros(1, 1, 64, 48)
    mask[..., 40:] = 1
    (picture,) = to_pictures(system.restore(x, mask=mask).composite)
    picture = to_gray(picture) if system.channels < system.target_channels else picture
    np.testing.assert_array_equal(picture[:, :40], levels[0, :, :40])


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_belongs_to_a_group_and_gets_a_finite_gradient(name):
    system = small(name).train()
    batch = tiles(system)
    for phase in system.phases:
        groups = system.groups(phase)
        for group, terms in system.updates(phase, batch):
            assert terms and group in groups
            assert all(term.ndim == 0 and torch.isfinite(term) for term in terms.values())
            sum(terms.values()).backward()
        for module in groups.values():
            for parameter in module.parameters():
                assert parameter.grad is not None and torch.isfinite(parameter.grad).all()
                assert parameter.grad.abs().max() > 0
    trained = {
        id(parameter)
        for phase in system.phases
        for module in system.groups(phase).values()
        for parameter in module.parameters()
    }
    assert trained == {id(parameter) for parameter in system.parameters()}


@pytest.mark.parametrize("name", NAMES)
def test_losses_stay_finite_without_any_damage(name):
    system = small(name).train()
    batch = tiles(system)
    seen = as_input(system, batch.clean)
    whole = Batch(batch.clean, seen, torch.zeros_like(batch.mask))
    for phase in system.phases:
        for _, terms in system.updates(phase, whole):
            sum(terms.values()).backward()
            assert all(torch.isfinite(term) for term in terms.values())
    assert all(
        torch.isfinite(one.grad).all() for one in system.parameters() if one.grad is not None
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_system_says_truly_whether_it_learns_from_masks(name):
    system = small(name)
    batch = tiles(system)
    other = batch._replace(mask=torch.zeros_like(batch.mask))
    told = [
        [{key: term.item() for key, term in terms.items()} for _, terms in system.updates(phase, b)]
        for phase in system.phases
        for b in (batch, other)
    ]
    assert (told[0::2] != told[1::2]) == system.needs_mask


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_alone_decides_the_start(name):
    torch.manual_seed(1)
    one = small(name).state_dict()
    torch.manual_seed(2)
    torch.rand(5)
    two, other = small(name).state_dict(), small(name, seed=8).state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_restoring_is_deterministic_and_each_photo_stands_alone(name):
    system = small(name)
    x = noise(3, system.channels, 40, 24)
    state = {key: value.clone() for key, value in system.state_dict().items()}
    one, two = system.restore(x), system.restore(x)
    assert torch.equal(one.prediction, two.prediction)
    assert torch.equal(one.composite, two.composite)
    alone = torch.cat([system.restore(photo[None]).prediction for photo in x])
    torch.testing.assert_close(alone, one.prediction, atol=1e-5, rtol=0)
    assert all(torch.equal(state[key], value) for key, value in system.state_dict().items())


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_channels_last_memory_gives_the_same_picture(name):
    system = small(name)
    x = noise(2, system.channels, 32, 40)
    plain = system.restore(x).prediction
    last = system.to(memory_format=torch.channels_last).restore(
        x.contiguous(memory_format=torch.channels_last)
    )
    torch.testing.assert_close(last.prediction, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_half_precision_stays_near_the_full_one(name):
    system = small(name)
    x = noise(1, system.channels, 32, 32)
    full = system.restore(x).prediction
    with torch.autocast("cpu", torch.bfloat16):
        half = system.restore(x).prediction
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0.05, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_system_is_rebuilt_from_the_block_that_its_checkpoint_holds(name):
    system, block = make_system(name, small_params(), 7)
    again = rebuild_system(name, block)
    again.load_state_dict(system.state_dict())
    x = noise(1, system.channels, 16, 16)
    assert torch.equal(again.eval().restore(x).prediction, system.eval().restore(x).prediction)


@pytest.mark.parametrize("name", NAMES)
def test_a_block_with_a_slip_names_the_key(name):
    params = small_params()
    params["systems"][name]["widhts"] = params["systems"][name].pop("widths")
    said = rf"systems\.{name}\.widhts is an unknown key; did you mean 'widths'"
    with pytest.raises(ParamsError, match=said):
        make_system(name, params, 7)


@pytest.mark.parametrize("name", NAMES)
def test_one_step_down_the_gradient_lowers_the_loss_of_its_group(name):
    """A step so short that the slope promises half a percent."""
    system = small(name).train()
    batch = tiles(system)

    def loss(phase, group):
        torch.manual_seed(3)
        found = [terms for one, terms in system.updates(phase, batch) if one == group]
        return torch.stack([term for terms in found for term in terms.values()]).sum()

    for phase in system.phases:
        for group, module in system.groups(phase).items():
            weights = list(module.parameters())
            before = loss(phase, group)
            slopes = torch.autograd.grad(before, weights, allow_unused=True)
            steep = sum((slope**2).sum() for slope in slopes if slope is not None)
            with torch.no_grad():
                for weight, slope in zip(weights, slopes, strict=True):
                    if slope is not None:
                        weight -= 0.005 * before / steep * slope
            assert loss(phase, group) < before, (phase, group)


@pytest.mark.parametrize("name", NAMES)
def test_thirty_steps_on_one_batch_lower_every_loss_clearly(name):
    system = small(name, widths=[8, 16]).train()
    batch = tiles(system)
    for phase in system.phases:
        optimizers = {
            group: torch.optim.Adam(module.parameters(), lr=0.01)
            for group, module in system.groups(phase).items()
        }
        history = [step_all(system, batch, optimizers, phase) for _ in range(30)]
        rivals = {"adversarial", "real", "fake", "kl"}  # one's loss is another's gain
        lowest = {"restorer.bce": 0.97}  # cross-entropy ends at the target's own entropy
        for term, before in history[0].items():
            if term.split(".")[1] in rivals:
                continue
            after = history[-1][term]
            assert after < lowest.get(term, 0.7) * before, (term, before, after)


# the published designs


def test_dual_decoder_of_the_published_size():
    sizes = {"widths": [32, 64, 128, 256], "bottleneck": 512, "num_blocks": 3}
    assert count_parameters(small("dual_decoder", **sizes)) == 19_192_068


def test_aged_unet_of_the_published_size():
    sizes = {"widths": [16, 32, 64], "bottleneck": [128, 256, 128]}
    for color in ("gray", "grayscale"):
        assert count_parameters(small("aged_unet", color=color, **sizes)) == 924_369


def test_dual_decoder_weighs_its_two_losses():
    light = small("dual_decoder", picture_weight=1.0, mask_weight=1.0)
    heavy = small("dual_decoder", picture_weight=2.0, mask_weight=3.0)
    batch = tiles(light)
    (_, one), (_, other) = (next(iter(system.updates("fit", batch))) for system in (light, heavy))
    assert other["picture"].item() == pytest.approx(2 * one["picture"].item(), rel=1e-5)
    assert other["mask"].item() == pytest.approx(3 * one["mask"].item(), rel=1e-5)


def test_dual_decoder_measures_its_picture_from_minus_one_to_one():
    system = small("dual_decoder", picture_weight=1.0, mask_weight=1.0)
    batch = tiles(system)
    (_, terms) = next(iter(system.updates("fit", batch)))
    with torch.no_grad():
        prediction = system.restore(batch.corrupted).prediction
    off = (2 * (prediction - batch.clean).abs() * batch.mask).sum((1, 2, 3))
    expected = (off / batch.mask.sum((1, 2, 3))).mean()
    assert terms["picture"].item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.5])
def test_a_threshold_outside_of_zero_to_one_is_refused(threshold):
    with pytest.raises(ParamsError, match=r"systems\.dual_decoder\.threshold"):
        small("dual_decoder", threshold=threshold)


def test_a_mask_value_at_the_threshold_counts_as_damage():
    system = small("dual_decoder", threshold=0.25)
    x = noise(1, 3, 8, 8)
    mask = torch.full((1, 1, 8, 8), 0.25)
    made = system.restore(x, mask=mask)
    assert torch.equal(made.composite, made.prediction)
    assert torch.equal(system.restore(x, mask=mask - 0.01).composite, x)


def test_to_pictures_rounds_and_clips():
    x = torch.tensor([-0.1, 0.0, 0.49 / 255, 0.51 / 255, 1.4999 / 255, 0.999, 1.0, 1.7])
    (picture,) = to_pictures(x.reshape(1, 1, 1, 8))
    assert picture[0, :, 0].tolist() == [0, 0, 0, 1, 1, 255, 255, 255]


# layers


@pytest.mark.parametrize("size", [(2, 2), (2, 7), (9, 2), (3, 3), (16, 5)])
def test_reflect_one_is_f_pad_with_its_gradient(size):
    x = noise(2, 3, *size).double().requires_grad_()
    twin = x.detach().clone().requires_grad_()
    ours, theirs = reflect_one(x), F.pad(twin, (1, 1, 1, 1), mode="reflect")
    assert torch.equal(ours, theirs)
    weights = noise(*ours.shape, name="weights").double()
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(x.grad, twin.grad, atol=1e-12, rtol=0)
    small_x = noise(1, 2, *size).double().requires_grad_()
    assert torch.autograd.gradcheck(reflect_one, small_x)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (6, 1)])
def test_reflect_one_repeats_the_edge_of_a_side_of_one_pixel(size):
    x = noise(1, 2, *size)
    assert torch.equal(reflect_one(x), F.pad(x, (1, 1, 1, 1), mode="replicate"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_reflect_one_keeps_dtype_and_channels_last_memory(dtype):
    x = noise(2, 4, 6, 5).to(dtype).contiguous(memory_format=torch.channels_last)
    padded = reflect_one(x)
    assert padded.dtype == dtype and padded.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(padded[:, :, 1:-1, 1:-1], x)
    with torch.autocast("cpu", torch.bfloat16):
        assert reflect_one(x).dtype == dtype


def test_reflect_one_takes_any_memory_layout_of_input_and_gradient():
    wide = noise(2, 3, 8, 10).double()
    weights = noise(10, 10, 3, 2, name="weights").double()
    grads = []
    for view in (wide[..., ::1].transpose(2, 3)[:, :, :8], wide.transpose(2, 3)[:, :, :8].clone()):
        x = view.detach().requires_grad_()
        (reflect_one(x) * weights.permute(3, 2, 0, 1)).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


def test_reflect_conv_is_a_convolution_over_reflected_borders():
    layer = ReflectConv(3, 5)
    x = noise(2, 3, 9, 7)
    expected = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), expected)


def test_resize_keeps_half_precision_under_autocast():
    x = noise(1, 2, 4, 5).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        made = resize_to(x, (8, 9))
    assert made.dtype == torch.bfloat16 and made.shape == (1, 2, 8, 9)
    full = F.interpolate(x.float(), size=(8, 9), mode="bilinear", align_corners=False)
    torch.testing.assert_close(made.float(), full, atol=0.01, rtol=0)


@pytest.mark.parametrize("multiple", [1, 4, 8, 16])
@pytest.mark.parametrize("size", SIZES)
def test_padding_goes_right_and_below_and_only_as_far_as_needed(size, multiple):
    x = noise(1, 2, *size)
    padded = pad_to_multiple(x, multiple)
    height, width = padded.shape[-2:]
    assert height % multiple == width % multiple == 0
    assert height - size[0] < multiple and width - size[1] < multiple
    assert torch.equal(padded[..., : size[0], : size[1]], x)


def test_padding_reflects_where_a_side_is_long_enough():
    x = noise(1, 1, 7, 33)
    expected = F.pad(x, (0, 7, 0, 1), mode="reflect")
    assert torch.equal(pad_to_multiple(x, 8), expected)
