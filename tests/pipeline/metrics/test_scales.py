"""MS-SSIM against a slow reference built on scikit-image's SSIM maps."""

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pipeline.images import to_gray
from pipeline.metrics import Ruler
from tests.pipeline.metrics.pictures import noisy, pairs, photo

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def halved(plane):
    """Means of 2×2 px in float64, an odd last row or column repeated."""
    even = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge")
    height, width = even.shape
    return even.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))


def slow_ms_ssim(prediction, target):
    """Mean over channels; contrast and structure by dividing the factor of light out of SSIM's map,
    with means by the same window."""
    from skimage.filters import gaussian

    def window(x):
        return gaussian(x, sigma=1.5, truncate=3.5, mode="reflect", preserve_range=True)

    values = []
    for channel in range(target.shape[2]):
        a, b = (x[..., channel].astype(float) for x in (prediction, target))
        value = 1.0
        for scale, weight in enumerate(WEIGHTS):
            _, full = structural_similarity(
                a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                data_range=255, full=True,
            )  # fmt: skip
            if scale < 4:
                c1 = (0.01 * 255) ** 2
                m, n = window(a), window(b)
                full = full * (m**2 + n**2 + c1) / (2 * m * n + c1)
            value *= max(full[5:-5, 5:-5].mean(), 0) ** weight
            a, b = halved(a), halved(b)
        values.append(value)
    return math.fsum(values) / len(values)


@pytest.mark.parametrize("channels", [1, 3])
def test_parity_with_the_slow_reference(channels):
    for prediction, target in pairs(channels):
        found = Ruler(target, None, ["ms_ssim", "ms_ssim_luma"]).measure(prediction)
        expected = slow_ms_ssim(prediction, target)
        assert found["ms_ssim"] == pytest.approx(expected, abs=1e-5)
        expected = slow_ms_ssim(to_gray(prediction), to_gray(target))
        assert found["ms_ssim_luma"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("size", [(161, 161), (163, 190), (177, 161)])
def test_odd_sizes_are_halved_as_published(size):
    clean = photo("astronaut", *size)
    made = noisy(clean, 25, size)
    found = Ruler(clean, None, ["ms_ssim"]).measure(made)["ms_ssim"]
    assert found == pytest.approx(slow_ms_ssim(made, clean), abs=1e-5)


def test_equal_opposed_and_small_pictures():
    clean = photo("coffee")
    ruler = Ruler(clean, None, ["ms_ssim", "ssim"])
    assert ruler.measure(clean.copy())["ms_ssim"] == pytest.approx(1.0, abs=1e-6)
    assert ruler.measure(255 - clean)["ms_ssim"] == 0.0  # contrast is opposed: no such power
    small = photo("coffee", 160, 300)
    assert Ruler(small, None, ["ms_ssim"]).measure(noisy(small, 5))["ms_ssim"] is None


def test_more_noise_is_less_alike():
    clean = photo("rocket")
    ruler = Ruler(clean, None, ["ms_ssim"])
    values = [ruler.measure(noisy(clean, sigma))["ms_ssim"] for sigma in (2, 10, 40, 120)]
    assert values == sorted(values, reverse=True) and values[0] > 0.99
