"""SSIM and Sobel give scikit-image's numbers, with true gradients, on photos of many kinds."""

import numpy as np
import pytest
import torch
from skimage import data, filters
from skimage.metrics import structural_similarity

from pipeline.errors import TrainingError
from pipeline.losses.structure import edge_l1, masked_ssim, sobel, ssim, ssim_map
from pipeline.seeds import rng

NOISE = (0.0, 1 / 255, 0.03, 0.2)


def flat_halves():
    """Black beside white: float32's worst, for no shift brings both near 0."""
    picture = np.zeros((96, 96, 3))
    picture[:, 48:] = 1
    return picture


PICTURES = {
    "cat": lambda: data.cat()[:200, :240] / 255,
    "rocket": lambda: data.rocket()[:200, 200:440] / 255,
    "gray": lambda: data.camera()[:200, :240, None] / 255,
    "bright": lambda: np.full((64, 96, 3), 0.9),
    "dark": lambda: np.full((64, 96, 3), 0.004),
    "halves": flat_halves,
    "static": lambda: rng(0, "structure").random((64, 96, 3)),
}


def pair(name, noise):
    """A picture and its noisy twin, in values that float32 has, H×W×C."""
    clean = PICTURES[name]()
    noisy = clean + noise * rng(0, "structure", name, noise).standard_normal(clean.shape)
    return [x.clip(0, 1).astype(np.float32).astype(np.float64) for x in (noisy, clean)]


def nchw(picture, dtype=torch.float64):
    return torch.from_numpy(np.asarray(picture)).to(dtype).permute(2, 0, 1)[None]


def skimage_ssim(a, b, **more):
    return structural_similarity(
        a,
        b,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1,
        channel_axis=-1,
        **more,
    )


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("name", PICTURES)
def test_ssim_is_that_of_scikit_image(name, noise):
    a, b = pair(name, noise)
    expected = skimage_ssim(a, b)
    assert ssim(nchw(a), nchw(b)).item() == pytest.approx(expected, abs=1e-10)
    single = ssim(nchw(a, torch.float32), nchw(b, torch.float32))
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(expected, abs=1e-5)


def test_the_map_is_that_of_scikit_image_window_by_window():
    a, b = pair("cat", 0.1)
    _, expected = skimage_ssim(a, b, full=True)
    found = ssim_map(nchw(a), nchw(b))[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected[5:-5, 5:-5], atol=1e-12)


def test_ssim_of_channels_last_batches_under_autocast_stays_exact():
    pairs = [pair("cat", noise) for noise in NOISE]
    a, b = (
        torch.cat([nchw(one[i], torch.float32) for one in pairs]).contiguous(
            memory_format=torch.channels_last
        )
        for i in (0, 1)
    )
    with torch.autocast("cpu", torch.bfloat16):
        found = ssim(a, b)
    expected = np.mean([skimage_ssim(*one) for one in pairs])
    assert found.item() == pytest.approx(expected, abs=1e-5)


def test_masked_ssim_is_the_mean_of_the_map_under_the_mask():
    a, b = pair("cat", 0.1)
    mask = np.zeros(a.shape[:2])
    mask[20:60, 30:50] = 1
    mask[:3] = 1  # in the rim, where no window lies
    _, full = skimage_ssim(a, b, full=True)
    expected = full[20:60, 30:50].mean()
    found = masked_ssim(nchw(a), nchw(b), nchw(mask[..., None]))
    assert found.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rows", [0, 5], ids=["nothing", "the rim only"])
def test_a_sample_without_masked_pixels_counts_as_one(rows):
    x = nchw(pair("cat", 0.0)[0], torch.float32).repeat(2, 1, 1, 1).requires_grad_()
    mask = torch.zeros(2, 1, *x.shape[2:])
    mask[0], mask[1, :, :rows] = 1, 1
    found = masked_ssim(x, x.detach().flip(3), mask)
    alone = masked_ssim(x[:1], x.detach().flip(3)[:1], mask[:1])
    assert found.item() == pytest.approx((alone.item() + 1) / 2, abs=1e-6)
    found.backward()
    assert torch.isfinite(x.grad).all() and not x.grad[1].any() and x.grad[0].any()


def test_equal_pictures_cost_nothing_and_pull_nowhere():
    b = nchw(pair("rocket", 0.0)[1])
    a = b.clone().requires_grad_()
    loss = 1 - ssim(a, b) + edge_l1(a, b)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12) and a.grad.abs().max() < 1e-12


@pytest.mark.parametrize(("height", "width"), [(10, 64), (64, 7), (1, 1)])
def test_tiles_smaller_than_a_window_are_told_in_one_line(height, width):
    x = torch.zeros(1, 3, height, width)
    with pytest.raises(TrainingError, match=f"into {height}×{width} px; train on tiles of 11 px"):
        ssim(x, x)


def test_one_window_is_enough():
    a, b = pair("static", 0.2)
    assert ssim_map(nchw(a[:11, :11]), nchw(b[:11, :11])).shape == (1, 3, 1, 1)


@pytest.mark.parametrize("name", PICTURES)
def test_sobel_is_that_of_scikit_image(name):
    picture = pair(name, 0.03)[0]
    expected = np.stack([filters.sobel(channel) for channel in np.moveaxis(picture, -1, 0)])
    found = sobel(nchw(picture))[0].numpy() / (4 * np.sqrt(2))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_sobel_of_a_step_is_four_beside_it():
    x = torch.zeros(1, 1, 6, 6)
    x[..., 3:] = 1
    assert sobel(x)[0, 0, 2].tolist() == pytest.approx([0, 0, 4, 4, 0, 0], abs=1e-5)


def test_sobel_of_flat_pictures_has_a_finite_gradient():
    x = torch.full((1, 3, 1, 9), 0.5, requires_grad=True)
    edge_l1(x, torch.rand(1, 3, 1, 9, generator=torch.Generator().manual_seed(0))).backward()
    assert torch.isfinite(x.grad).all()


def test_edge_l1_is_the_distance_of_scikit_images_edges():
    a, b = pair("gray", 0.1)
    difference = np.abs(filters.sobel(a[..., 0]) - filters.sobel(b[..., 0])).mean()
    found = edge_l1(nchw(a), nchw(b)).item()
    assert found == pytest.approx(4 * np.sqrt(2) * difference, abs=1e-5)


MASK = torch.zeros(1, 1, 13, 12, dtype=torch.float64)
MASK[..., 4:7, 3:7] = 1
LOSSES = {"ssim": ssim, "edge": edge_l1, "masked": lambda a, b: masked_ssim(a, b, MASK.to(a))}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_the_slopes(name):
    a, b = (nchw(x[:13, :12, :1]).requires_grad_() for x in pair("static", 0.3))
    assert torch.autograd.gradcheck(LOSSES[name], (a, b), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_comes_out_as_float32(name, dtype):
    a, b = (nchw(x[:13, :12], dtype) for x in pair("static", 0.3))
    found = LOSSES[name](a, b)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(LOSSES[name](a.float(), b.float()).item(), 1e-6)
