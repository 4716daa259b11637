"""The U-Net that keeps defects: published layers, attention, heads, keep mask, five-part loss."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from pipeline.errors import ParamsError
from pipeline.seeds import rng
from pipeline.stream import Batch
from pipeline.systems import count_parameters, make_system
from pipeline.systems.defect_unet import Attention
from tests.conftest import small_params

PARTS = ["defect", "ssim", "perceptual", "edge", "basic"]
TERMS = ["defect", "structure", "perceptual", "edge", "basic"]  # as training logs them
PUBLISHED = {"widths": [64, 128, 256, 512], "bottleneck": 1024, "reduction": 16, "blend_width": 64}


def made(**changes):
    """An untrained system of small widths, in eval mode."""
    params = small_params()
    params["systems"]["defect_unet"] |= changes
    return make_system("defect_unet", params, 7)[0].eval()


def only(*names, **inside):
    """Weights that leave some parts of the loss, each as it is."""
    weights = {"weights": {name: float(name in names) for name in PARTS}}
    return made(**weights, **inside)


def noise(*shape, name="noise"):
    return torch.from_numpy(rng(0, "defect_unet", name, *shape).random(shape, np.float32))


def pairs(keep=True, side=32):
    """Clear gradients with a defect each, and the same with noise."""
    ramp = torch.linspace(0.2, 0.6, side)
    clean = (ramp[:, None] + ramp / 4).expand(4, 3, side, side).clone()
    places = torch.zeros(4, 1, side, side)
    for number in range(4):
        places[number, :, 4 + number : 10 + number, 8:16] = 1
    clean = torch.where(places > 0, 0.9, clean)
    corrupted = (clean + 0.2 * (noise(*clean.shape) - 0.5)).clamp(0, 1)
    return Batch(clean, corrupted, torch.zeros_like(places), places if keep else None)


def terms_of(system, batch):
    ((group, terms),) = system.updates("fit", batch)
    assert group == "restorer"
    return terms


# the published layers


@pytest.mark.parametrize(("skips", "count"), [(False, 27_949_711), (True, 31_083_151)])
def test_the_published_size(skips, count):
    assert count_parameters(made(**PUBLISHED, skips=[skips] * 4)) == count


def test_each_skip_widens_the_first_convolution_of_its_own_level_only():
    none = count_parameters(made(widths=[4, 8, 12], skips=[False, False, False]))
    for level, width in enumerate([4, 8, 12]):
        skips = [number == level for number in range(3)]
        system = made(widths=[4, 8, 12], skips=skips)
        assert count_parameters(system) == none + 9 * width * width
        inputs = [stage[0].in_channels for stage in system.net.join]
        assert inputs == [
            width * (1 + skip) for width, skip in zip([12, 8, 4], reversed(skips), strict=True)
        ]


@torch.no_grad()
def test_without_skips_all_passes_the_bottleneck():
    for skips, passes in (([False, False], False), ([True, False], True), ([False, True], True)):
        system = made(skips=skips)
        system.net.bottleneck[4].weight.zero_()
        system.net.bottleneck[4].bias.zero_()  # the last norm: the bottleneck says nothing now
        one, two = (
            system.restore(noise(1, 3, 16, 16, name=name)).prediction for name in ("a", "b")
        )
        assert torch.equal(one, two) != passes


def test_a_level_without_a_switch_is_refused():
    with pytest.raises(ParamsError, match=r"systems\.defect_unet\.skips must have one switch"):
        made(skips=[True])


def test_a_loss_without_parts_is_refused():
    with pytest.raises(ParamsError, match=r"weights\.basic must be more than 0"):
        only()


@pytest.mark.parametrize("size", [(3, 5), (64, 64), (65, 97), (7, 33)])
@torch.no_grad()
def test_four_poolings_without_skips_give_back_any_size(size):
    system = made(widths=[4, 4, 4, 4], skips=[False] * 4)
    x = noise(2, 3, *size)
    assert system.restore(x).prediction.shape == x.shape


@torch.no_grad()
def test_attention_is_that_of_the_paper():
    layer = Attention(8, 4)
    x = noise(2, 8, 9, 7) - 0.5
    first, second = layer.squeeze.weight.numpy(), layer.widen.weight.numpy()
    assert first.shape == (2, 8) and second.shape == (8, 2)
    kernel = layer.spatial.weight.numpy()[0]
    expected = []
    for f in x.numpy().astype(np.float64):

        def perceptron(pooled):
            return second @ np.maximum(first @ pooled, 0)

        channel = sigmoid(perceptron(f.mean((1, 2))) + perceptron(f.max((1, 2))))
        f = f * channel[:, None, None]
        pooled = np.pad(np.stack([f.mean(0), f.max(0)]), ((0, 0), (3, 3), (3, 3)))
        windows = np.lib.stride_tricks.sliding_window_view(pooled, (7, 7), (1, 2))
        expected.append(f * sigmoid(np.einsum("chwij,cij->hw", windows, kernel)))
    np.testing.assert_allclose(layer(x).numpy(), expected, atol=1e-6)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# the keep mask


@torch.no_grad()
def test_the_blend_chooses_between_two_heads_that_differ():
    system = made()
    x, keep = noise(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    heads = {}
    for name, bias in (("rest", -100.0), ("defect", 100.0)):
        system.net.blend[2].weight.zero_()
        system.net.blend[2].bias.fill_(bias)
        heads[name] = system.net(x, keep)
    assert not torch.allclose(heads["rest"], heads["defect"], atol=0.01)
    system.net.blend[2].bias.zero_()
    half = (heads["rest"] + heads["defect"]) / 2
    torch.testing.assert_close(system.net(x, keep), half, atol=1e-6, rtol=0)
    assert not torch.equal(system.net.defect.weight, system.net.rest.weight)


def test_the_blend_has_the_published_width_and_learns():
    system = made(blend_width=64).train()
    first, _, second = system.net.blend
    assert first.weight.shape == (64, 1, 3, 3) and second.weight.shape == (1, 64, 1, 1)
    sum(terms_of(system, pairs()).values()).backward()
    for parameter in (*system.net.blend.parameters(), system.net.defect.weight):
        assert parameter.grad.abs().max() > 0


def test_a_missing_keep_mask_is_an_empty_one():
    system = made()
    x, empty = noise(1, 3, 20, 16), torch.zeros(1, 1, 20, 16)
    assert torch.equal(system.restore(x).prediction, system.restore(x, keep=empty).prediction)
    blind = terms_of(system, pairs(keep=False))
    zeros = terms_of(system, pairs()._replace(keep=torch.zeros(4, 1, 32, 32)))
    assert {name: term.item() for name, term in blind.items()} == {
        name: term.item() for name, term in zeros.items()
    }


def test_the_keep_mask_changes_the_picture_after_a_step_of_training():
    system = made(keep_drop=0.0).train()
    optimizer = torch.optim.AdamW(system.parameters(), lr=0.01)
    sum(terms_of(system, pairs()).values()).backward()
    optimizer.step()
    batch = pairs()
    told = system.eval().restore(batch.corrupted, keep=batch.keep).prediction
    blind = system.restore(batch.corrupted).prediction
    assert (told - blind).abs()[batch.keep.expand_as(told) > 0].mean() > 1e-3


def hidden_masks(system, batch):
    """How many samples' masks the network did not see in one update."""
    seen = []
    hook = system.net.register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    terms_of(system, batch)
    hook.remove()
    return [float(keep.sum()) == 0 for keep in seen[0]]


def test_training_hides_keep_masks_at_random_and_evaluation_never():
    system = only("basic", keep_drop=0.3).train()
    batch = Batch(*(part.repeat(100, 1, 1, 1)[..., :8, 8:16] for part in pairs()))
    torch.manual_seed(3)
    hidden = hidden_masks(system, batch)
    assert 0.2 < sum(hidden) / len(hidden) < 0.4
    torch.manual_seed(3)
    assert hidden_masks(system, batch) == hidden
    assert not any(hidden_masks(system.eval(), batch))
    assert not any(hidden_masks(only("basic", keep_drop=0.0).train(), batch))
    assert all(hidden_masks(only("basic", keep_drop=1.0).train(), batch))


def test_a_hidden_defect_still_counts_in_the_loss():
    hiding = only("defect", keep_drop=1.0, dropout=0.0)
    with_mask = terms_of(hiding.train(), pairs())["defect"]
    without = terms_of(hiding, pairs(keep=False))["defect"]
    assert with_mask > 1.2 * without


# the loss


def test_five_terms_weighed_as_published():
    published = dict(zip(PARTS, [0.25, 0.3, 0.2, 0.15, 0.1], strict=True))
    told = terms_of(made(weights=published), pairs())
    assert list(told) == TERMS
    alone = {term: terms_of(only(part), pairs()) for part, term in zip(PARTS, TERMS, strict=True)}
    assert all(list(terms) == [name] for name, terms in alone.items())
    for name, weight in zip(TERMS, published.values(), strict=True):
        assert told[name].item() == pytest.approx(weight * alone[name][name].item(), rel=1e-5)


def test_the_parts_against_their_formulas():
    system, batch = only(*PARTS), pairs()
    with torch.no_grad():
        out = system.net(batch.corrupted, batch.keep).double()
    terms = {name: term.item() for name, term in terms_of(system, batch).items()}
    d = out - batch.clean.double()
    assert terms["basic"] == pytest.approx((0.6 * d**2 + 0.4 * d.abs()).mean().item(), rel=1e-4)
    # SSIM with the constants of data from 0 to 1; those of 0..255 would make it almost 1.
    maps = []
    for one, other in zip(out.numpy(), batch.clean.double().numpy(), strict=True):
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        options |= {"data_range": 1.0, "channel_axis": 0, "full": True}
        maps.append(structural_similarity(one, other, **options)[1])
    inside = np.stack(maps)[..., 5:-5, 5:-5]
    assert terms["structure"] == pytest.approx(1 - inside.mean(), rel=1e-3)
    weight = 1 + 11 * batch.keep
    pixelwise = (0.3 * weight * d**2 + 0.4 * weight * d.abs()).mean().item()
    without = only("defect", defect_weights={"mse": 0.3, "ssim": 0.0, "l1": 0.4, "gain": 11.0})
    assert terms_of(without, batch)["defect"].item() == pytest.approx(pixelwise, rel=1e-4)
    assert 0 < terms["defect"] - pixelwise <= 0.6


def test_ssim_sees_errors_of_pictures_from_zero_to_one():
    # With 0..255 constants on such data, noise of 0.1 passed as SSIM > 0.99.
    system = only("ssim")
    batch = pairs()
    system.net.forward = lambda x, keep: x
    assert terms_of(system, batch)["structure"].item() > 0.1


def test_the_defect_part_looks_at_the_defects_and_not_at_a_zeroed_picture():
    # The publication measured defects on pictures zeroed elsewhere: large, equal zeros hid errors.
    weights = {"mse": 0.0, "ssim": 1.0, "l1": 0.0, "gain": 11.0}
    system = only("defect", defect_weights=weights)
    batch = pairs()
    flat = torch.where(batch.keep > 0, batch.clean.mean(), batch.clean)
    system.net.forward = lambda x, keep: x
    erased = terms_of(system, batch._replace(corrupted=flat))["defect"].item()
    whole = terms_of(system, batch._replace(corrupted=batch.clean))["defect"].item()
    assert erased > 0.3 and whole == pytest.approx(0, abs=1e-5)
