"""Errors and structure of regions: against numpy and scikit-image, and in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import structural_similarity

from pipeline.fidelity.pictures import plain_pair
from pipeline.fidelity.structure import similarity
from pipeline.images import to_gray
from pipeline.metrics import Ruler
from pipeline.metrics.base import RIM_REACH, Ground
from pipeline.seeds import rng
from tests.pipeline.metrics.pictures import block, blurred, holes, noisy, pairs, photo


def reference_ssim(prediction, target):
    """scikit-image's number, and its map where whole windows fit, elsewhere NaN."""
    mean, full = structural_similarity(
        prediction, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, channel_axis=-1, full=True,
    )  # fmt: skip
    inner = np.full(full.shape, np.nan)
    inner[5:-5, 5:-5] = full[5:-5, 5:-5]
    return mean, inner


def regions(mask):
    """The regions in scipy's words."""
    inside = mask > 0
    square = np.ones((2 * RIM_REACH + 1,) * 2, bool)
    grown = ndimage.binary_dilation(inside, square)
    shrunk = ndimage.binary_erosion(inside, square, border_value=1)
    return {"masked": inside, "outside": ~inside, "rim": grown & ~shrunk}


@pytest.mark.parametrize("channels", [1, 3])
def test_all_regions_against_numpy_and_scikit_image(channels):
    for number, (prediction, target) in enumerate(pairs(channels)):
        mask = (holes if number % 2 else block)(target.shape)
        found = Ruler(target, mask).measure(prediction)
        off = (prediction.astype(float) - target) / 255
        mean, full = reference_ssim(prediction, target)
        assert found["ssim"] == pytest.approx(mean, abs=1e-6)
        for name, inside in {"": np.ones(mask.shape, bool), **regions(mask)}.items():
            end = f"_{name}" if name else ""
            assert found[f"mae{end}"] == pytest.approx(np.abs(off[inside]).mean(), abs=1e-14)
            square = (off[inside] ** 2).mean()
            assert found[f"mse{end}"] == pytest.approx(square, abs=1e-14)
            assert found[f"psnr{end}"] == pytest.approx(-10 * math.log10(square), abs=1e-10)
            expected = np.nanmean(full[inside])
            assert found[f"ssim{end}"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_exact_similarity_of_regions_is_scikit_image_s(channels):
    for prediction, target in pairs(channels):
        mask = holes(target.shape)
        ground = Ground(plain_pair(target, target)[1], mask, frozenset())
        exact = similarity(*plain_pair(prediction, target), list(ground.regions.values()), True)
        _, full = reference_ssim(prediction, target)
        expected = [np.nanmean(full[inside]) for inside in regions(mask).values()]
        assert exact.regions == pytest.approx(expected, abs=1e-10)
        of_channels = np.nanmean(full, axis=(0, 1))
        assert exact.channels == pytest.approx(of_channels, abs=1e-10)


def test_similarity_of_small_regions_keeps_its_promise_where_float32_is_worst():
    """Flat bright pictures, and regions of few pixels, where no neighbours even errors out."""
    for number in range(40):
        draw = rng(0, "flat", number)
        level = draw.integers(180, 256, 3)
        flat = np.broadcast_to(level.astype(np.uint8), (60, 70, 3)).copy()
        other = np.clip(flat + draw.integers(-3, 4, flat.shape), 0, 255).astype(np.uint8)
        other[:, :20] = draw.integers(0, 256, 3)
        mask = np.zeros((60, 70), np.uint8)
        mask[30:32, 15 + number % 30] = 255
        exact = similarity(other, flat, [mask, None], exact=True)
        assert similarity(other, flat, [mask, None]).regions == pytest.approx(
            exact.regions, abs=1e-5
        )


def test_luma_is_that_of_the_gray_pictures():
    for prediction, target in pairs():
        color = Ruler(target, None).measure(prediction)
        gray = Ruler(to_gray(target), None).measure(to_gray(prediction))
        for name in ("mse", "mae", "psnr", "ssim", "ms_ssim"):
            assert color[f"{name}_luma"] == gray[name] == gray[f"{name}_luma"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [1.0, 5.0, 25.0])
def test_known_noise_has_its_known_errors(channels, sigma):
    gray = np.full((600, 600, channels), 128, np.uint8)
    found = Ruler(gray, holes(gray.shape, 0.5)).measure(noisy(gray, sigma, channels))
    expected = 10 * math.log10(255**2 / (sigma**2 + 1 / 12))  # rounding adds 1/12
    for name in ("psnr", "psnr_masked", "psnr_outside", "psnr_rim"):
        assert found[name] == pytest.approx(expected, abs=0.06)
    if sigma > 1:  # rounding hardly changes it
        assert found["mae"] == pytest.approx(sigma * math.sqrt(2 / math.pi) / 255, rel=0.01)


@given(st.integers(-200, 200), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_a_constant_shift_has_its_closed_form(shift, number):
    low, high = max(0, -shift), min(255, 255 - shift)
    clean = rng(number, "shift").integers(low, high + 1, (48, 40, 3), np.uint8)
    mask = block(clean.shape)
    found = Ruler(clean, mask).measure((clean.astype(int) + shift).astype(np.uint8))
    for end in ("", "_masked", "_outside", "_rim"):
        assert found[f"mae{end}"] == pytest.approx(abs(shift) / 255, abs=1e-15)
        assert found[f"mse{end}"] == pytest.approx((shift / 255) ** 2, abs=1e-15)
        decibel = -20 * math.log10(abs(shift) / 255) if shift else math.inf
        assert found[f"psnr{end}"] == pytest.approx(decibel)


def test_errors_in_the_mask_alone_are_seen_there_and_on_its_rim():
    clean, mask = photo("coffee"), block((192, 200))
    holed = np.where(mask[..., None] > 0, 255, clean).astype(np.uint8)
    found = Ruler(clean, mask).measure(holed)
    assert found["mse_outside"] == found["mae_outside"] == 0 and found["psnr_outside"] == math.inf
    assert found["mse_masked"] > found["mse_rim"] > found["mse"] > 0
    share = np.count_nonzero(mask) / mask.size
    assert found["mse_masked"] * share == pytest.approx(found["mse"], rel=1e-12)


@given(st.integers(0, 2**32), st.integers(11, 40), st.integers(11, 40), st.sampled_from([1, 3]))
@settings(max_examples=40, deadline=None)
def test_symmetry_and_bounds(seed, height, width, channels):
    draw = rng(seed, "property")
    a, b = (draw.integers(0, 256, (height, width, channels), np.uint8) for _ in range(2))
    mask = draw.choice(np.array([0, 255], np.uint8), (height, width))
    values, mirrored = Ruler(b, mask).measure(a), Ruler(a, mask).measure(b)
    for base in ("mse", "mae", "psnr", "ssim"):
        for end in ("", "_luma", "_masked", "_outside", "_rim"):
            assert values[f"{base}{end}"] == pytest.approx(mirrored[f"{base}{end}"], abs=1e-9)
    assert values["mae"] ** 2 <= values["mse"] <= values["mae"] <= 1
    inside = np.count_nonzero(mask) / mask.size
    parts = [(share, values[name]) for share, name in
             ((inside, "mse_masked"), (1 - inside, "mse_outside")) if share]  # fmt: skip
    assert math.fsum(w * v for w, v in parts) == pytest.approx(values["mse"], abs=1e-12)


def test_what_a_mask_does_not_have_has_no_value():
    clean = photo("camera", channels=1)
    made = blurred(clean)
    whole, empty = np.full(clean.shape[:2], 255, np.uint8), np.zeros(clean.shape[:2], np.uint8)
    full, none, unknown = (Ruler(clean, mask).measure(made) for mask in (whole, empty, None))
    assert full["psnr_masked"] == full["psnr"] and none["psnr_outside"] == none["psnr"]
    for name in ("mse", "mae", "psnr", "ssim"):
        assert full[f"{name}_outside"] is None and full[f"{name}_rim"] is None
        assert none[f"{name}_masked"] is None and none[f"{name}_rim"] is None
        assert all(unknown[f"{name}_{end}"] is None for end in ("masked", "outside", "rim"))
