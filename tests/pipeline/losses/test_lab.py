"""Lab is scikit-image's, colors survive their bins, and rare ones weigh more."""

import numpy as np
import pytest
import torch
from skimage import color, data

from pipeline.losses.lab import (
    AB_LOWEST_A,
    AB_ROWS,
    NUM_AB_BINS,
    ab_bins,
    ab_prior,
    decode_ab,
    encode_ab,
    lab_to_rgb,
    nearest_bins,
    rebalanced_cross_entropy,
    rebalancing_weights,
    rgb_to_lab,
)
from pipeline.seeds import rng

CPU = torch.device("cpu")


def nchw(picture, dtype=torch.float64):
    return torch.from_numpy(np.asarray(picture)).to(dtype).movedim(-1, 0)[None]


def hwc(batch):
    return batch[0].movedim(0, -1).double().numpy()


def cube(step=15):
    """Every color of sRGB in steps, black, grays and the primaries among them."""
    axis = np.arange(0, 256, step) / 255
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(1, -1, 3)


def photo(name="coffee", every=4):
    return getattr(data, name)()[::every, ::every] / 255


def photo_ab(name="coffee", dtype=torch.float32):
    return rgb_to_lab(nchw(photo(name), dtype))[:, 1:]


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
def test_lab_is_that_of_scikit_image(dtype, error):
    for rgb in (cube(), photo(), rng(0, "lab").random((40, 40, 3)) * 0.06):
        found = rgb_to_lab(nchw(rgb, dtype))
        assert found.dtype == dtype
        np.testing.assert_allclose(hwc(found), color.rgb2lab(rgb), atol=error)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-9), (torch.float32, 2e-5)])
@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_rgb_is_that_of_scikit_image_out_of_gamut_too(dtype, error):
    draw = rng(0, "lab", "gamut").uniform((0, -110, -110), (100, 110, 110), (50, 50, 3))
    for lab in (color.rgb2lab(cube()), draw):
        found = lab_to_rgb(nchw(lab, dtype))
        assert found.min() >= 0 and found.max() <= 1
        np.testing.assert_allclose(hwc(found), color.lab2rgb(lab), atol=error)


def test_there_and_back_changes_no_byte():
    rgb = nchw(cube(5), torch.float32)
    assert torch.equal((lab_to_rgb(rgb_to_lab(rgb)) * 255).round(), (rgb * 255).round())


def test_black_white_and_what_lies_outside_have_finite_gradients():
    x = torch.tensor([[0.0, 1, -0.5, 1.5, 0.04045]]).expand(3, 5)[None, :, None]
    x = x.clone().requires_grad_()
    lab = rgb_to_lab(x)
    lab.sum().backward()
    assert torch.isfinite(x.grad).all()
    y = torch.tensor([[0.0, 100, -20, 140, 50]]).expand(3, 5)[None, :, None]
    y = y.clone().requires_grad_()
    lab_to_rgb(y).sum().backward()
    assert torch.isfinite(y.grad).all()


def test_gradients_are_the_slopes():
    draw = rng(0, "lab", "slopes")
    rgb = torch.from_numpy(draw.uniform(0.1, 0.9, (1, 3, 3, 3))).requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_lab, (rgb,))
    lab = rgb_to_lab(rgb.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lab_to_rgb, (lab,))
    logits = torch.from_numpy(draw.normal(size=(1, NUM_AB_BINS, 1, 1))).requires_grad_()
    assert torch.autograd.gradcheck(decode_ab, (logits,))
    ab = lab.detach()[:, 1:, :1, :1]
    weights = torch.from_numpy(draw.uniform(0.5, 2, NUM_AB_BINS))
    assert torch.autograd.gradcheck(lambda x: rebalanced_cross_entropy(x, ab, weights), (logits,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_out_as_float32_under_autocast_too(dtype):
    rgb, ab = nchw(photo(), dtype), photo_ab(dtype=dtype)
    logits = torch.randn(1, NUM_AB_BINS, *ab.shape[2:], generator=torch.Generator().manual_seed(0))
    weights = torch.ones(NUM_AB_BINS)
    with torch.autocast("cpu", torch.bfloat16):
        lab = rgb_to_lab(rgb)
        outputs = [lab, lab_to_rgb(lab.to(dtype)), encode_ab(ab), decode_ab(logits.to(dtype))]
        outputs.append(rebalanced_cross_entropy(logits.to(dtype), ab, weights))
    for output in outputs:
        assert output.dtype == torch.float32 and torch.isfinite(output).all()
    torch.testing.assert_close(lab, rgb_to_lab(rgb.float()), rtol=0, atol=0)


def test_bins_are_the_cells_that_hold_a_color_of_srgb():
    """Every third value of each channel: all 256 find the same 261 cells (a minute's work)."""
    ab = color.rgb2lab(cube(3)).reshape(-1, 3)[:, 1:]
    cells = np.unique(np.round(ab / 10).astype(int), axis=0)
    rows = [
        (a, b) for a, (low, high) in enumerate(AB_ROWS, AB_LOWEST_A) for b in range(low, high + 1)
    ]
    assert len(rows) == NUM_AB_BINS == 261
    np.testing.assert_array_equal(cells, rows)
    np.testing.assert_array_equal(cells * 10, ab_bins(CPU).numpy())


def test_the_nearest_bins_are_the_nearest():
    ab = color.rgb2lab(cube(51)).reshape(-1, 3)[:, 1:]
    squares = ((ab[:, None] - ab_bins(CPU).numpy()) ** 2).sum(-1)
    numbers, found = nearest_bins(nchw(ab[None]))
    np.testing.assert_allclose(hwc(found)[0], np.sort(squares, 1)[:, :5], atol=1e-9)
    chosen = np.take_along_axis(squares, hwc(numbers)[0].astype(int), 1)
    np.testing.assert_allclose(chosen, hwc(found)[0], atol=1e-9)


def test_soft_targets_are_the_papers():
    """At a bin's center: itself and its four neighbors at 10 units, exp(-100/50) each."""
    center = torch.zeros(1, 2, 1, 1)
    shares = encode_ab(center)
    assert shares.shape == (1, NUM_AB_BINS, 1, 1)
    neighbor = np.exp(-2)
    total = 1 + 4 * neighbor
    found = np.sort(shares.flatten().numpy())[::-1][:6]
    np.testing.assert_allclose(found, [1 / total, *[neighbor / total] * 4, 0], atol=1e-6)
    assert ab_bins(CPU)[shares.flatten().argmax()].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "mean", "most"), [("coffee", 0.3, 1), ("astronaut", 0.3, 1), ("cube", 0.3, 5)]
)
def test_colors_survive_their_bins(name, mean, most):
    """Taken apart and put together, colors of photos are 0.2 CIE units off in the mean and 0.7 at
    most; those of the whole cube 0.24 and, at the gamut's tips, 4.7. Bins are 10 apart."""
    ab = rgb_to_lab(nchw(cube(5)))[:, 1:] if name == "cube" else photo_ab(name)
    shares = encode_ab(ab)
    torch.testing.assert_close(shares.sum(1), torch.ones_like(shares[:, 0]))
    error = (decode_ab((shares + 1e-12).log(), temperature=1.0) - ab).norm(dim=1)
    assert error.mean() < mean and error.max() < most


def test_a_cold_temperature_gives_the_mode_and_a_warm_one_the_mean():
    logits = torch.full((1, NUM_AB_BINS, 1, 1), -50.0)
    bins = ab_bins(CPU)
    logits[0, 10], logits[0, 200] = 1.0, 0.9
    cold = decode_ab(logits, 1e-3).flatten()
    torch.testing.assert_close(cold, bins[10])
    warm = decode_ab(logits, 1e3).flatten()
    torch.testing.assert_close(warm, bins.mean(0), atol=1.0, rtol=0)
    share = 1 / (1 + np.exp(-0.1 / 0.38))
    expected = share * bins[10] + (1 - share) * bins[200]
    torch.testing.assert_close(decode_ab(logits).flatten(), expected)


def test_the_prior_counts_nearest_bins():
    prior = ab_prior(torch.cat([photo_ab("coffee"), photo_ab("coffee").flip(3)]))
    assert prior.shape == (NUM_AB_BINS,) and prior.sum().item() == pytest.approx(1)
    ab = photo_ab("coffee")[0].flatten(1).T
    bins = ab_bins(CPU)
    nearest = (ab[:, None] - bins).norm(dim=2).argmin(1)
    for number in nearest.unique().tolist():
        assert prior[number].item() == pytest.approx((nearest == number).float().mean().item())


def test_rare_colors_weigh_more_and_the_mean_weight_is_one():
    prior = ab_prior(photo_ab("astronaut"))
    weights = rebalancing_weights(prior, smoothing=0)
    assert (prior * weights).sum().item() == pytest.approx(1, 1e-5)
    order = prior.argsort()
    assert (weights[order].diff() <= 0).all() and weights[order[0]] > 2 * weights[order[-1]]
    expected = 1 / (0.5 * prior + 0.5 / NUM_AB_BINS)
    torch.testing.assert_close(weights, expected / (prior * expected).sum())
    torch.testing.assert_close(rebalancing_weights(prior, mix=1.0), torch.ones(NUM_AB_BINS))


def test_smoothing_lends_weight_to_the_neighbors_of_what_was_seen():
    prior = torch.zeros(NUM_AB_BINS)
    bins = ab_bins(CPU)
    seen = bins.norm(dim=1).argmin()
    prior[seen] = 1
    beside = (bins - torch.tensor([10.0, 0])).norm(dim=1).argmin()
    far = bins.norm(dim=1).argmax()
    sharp, smooth = rebalancing_weights(prior, smoothing=0), rebalancing_weights(prior)
    assert sharp[beside] == sharp[far] > sharp[seen]
    assert smooth[seen] < smooth[beside] < smooth[far]


def test_cross_entropy_is_its_formula():
    draw = rng(0, "lab", "cross")
    ab = torch.from_numpy(draw.uniform(-60, 60, (2, 2, 5, 4)))
    logits = torch.from_numpy(draw.normal(size=(2, NUM_AB_BINS, 5, 4)))
    weights = torch.from_numpy(draw.uniform(0.2, 5, NUM_AB_BINS))
    shares = encode_ab(ab).numpy()
    exponent = np.exp(logits.numpy())
    pixel = -(shares * np.log(exponent / exponent.sum(1, keepdims=True))).sum(1)
    pixel *= weights.numpy()[shares.argmax(1)]
    found = rebalanced_cross_entropy(logits, ab, weights).item()
    assert found == pytest.approx(pixel.mean(), 1e-12)


def test_the_true_bins_cost_least():
    ab = photo_ab("cat")
    shares, weights = encode_ab(ab), torch.ones(NUM_AB_BINS)
    best = rebalanced_cross_entropy((shares + 1e-12).log(), ab, weights)
    for other in (torch.zeros_like(shares), (shares + 1e-12).log() * 1.2, shares * 5):
        assert rebalanced_cross_entropy(other, ab, weights) > best
