"""The numbers of every report: against closed forms, scikit-image, and slow plain numpy."""

import itertools
import math
import time

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from pipeline import fidelity
from pipeline.errors import PipelineError
from pipeline.fidelity import MaskCounts, aggregate, mask_counts, mask_scores, measure
from pipeline.seeds import rng

SLACK = 10  # a limit on time is asserted at a tenth of its figure; benchmarks measure the figure


def random_picture(*purpose, shape=(40, 50, 3)):
    return rng(0, "metrics", *purpose).integers(0, 256, shape, np.uint8)


def noisy(picture, sigma, *purpose):
    noise = rng(0, "noise", *purpose).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def reference_ssim(prediction, target, full=False):
    return structural_similarity(
        prediction, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, channel_axis=-1, full=full,
    )  # fmt: skip


def natural_pairs():
    for name in ("astronaut", "coffee", "camera", "page", "rocket"):
        photo = getattr(skimage.data, name)()
        photo = photo if photo.ndim == 3 else photo[..., None]
        yield f"{name}-noise", noisy(photo, 20, name), photo
        yield f"{name}-blur", cv2.GaussianBlur(photo, (0, 0), 2).reshape(photo.shape), photo
        holed = photo.copy()
        cv2.circle(holed, (100, 100), 80, (255, 255, 255), -1)
        yield f"{name}-hole", holed, photo


def hard_pairs():
    """Flat, half flat and opposed pictures: where float32 loses its digits."""
    for number in range(60):
        draw = rng(0, "hard", number)
        h, w = draw.integers(11, 90, 2)
        c = int(draw.choice([1, 3]))
        flat = np.broadcast_to(draw.integers(0, 256, c).astype(np.uint8), (h, w, c)).copy()
        other = np.broadcast_to(draw.integers(0, 256, c).astype(np.uint8), (h, w, c)).copy()
        yield flat, other
        halved = flat.copy()
        halved[:, : w // 2] = draw.integers(0, 256, c)
        yield halved, other
        yield halved, 255 - halved
        half = np.where(np.arange(w)[None, :, None] < w // 2, 20, 230) + np.zeros((h, 1, c), int)
        swing = draw.integers(-12, 13, (h, w, c))
        yield (half + swing).astype(np.uint8), (half - swing).astype(np.uint8)
        ramp = np.broadcast_to(np.linspace(0, 255, w)[None, :, None], (h, w, c)).astype(np.uint8)
        yield ramp, 255 - ramp


NAMES = ("mse", "mse_masked", "psnr", "psnr_masked", "ssim", "ssim_masked")


@pytest.mark.parametrize("name", NAMES)
def test_every_measure_answers_for_every_kind_of_picture(name):
    for shape in [(1, 1, 1), (1, 1, 3), (11, 11, 1), (3, 300, 3), (64, 48, 3)]:
        prediction, target = random_picture("p", shape=shape), random_picture("t", shape=shape)
        before = prediction.copy(), target.copy()
        for mask in (None, np.zeros(shape[:2], np.uint8), np.full(shape[:2], 255, np.uint8)):
            value = getattr(fidelity, name)(prediction, target, mask)
            assert value is None or math.isfinite(value)
            if name.endswith("_masked") and (mask is None or not mask.any()):
                assert value is None
            assert value == measure(prediction, target, mask)[name]
        np.testing.assert_array_equal((prediction, target), before)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sigma", [1.0, 5.0, 25.0])
def test_known_noise_has_its_known_psnr(channels, sigma):
    gray = np.full((600, 600, channels), 128, np.uint8)
    expected = 10 * math.log10(255**2 / (sigma**2 + 1 / 12))  # rounding adds 1/12
    assert fidelity.psnr(noisy(gray, sigma, channels), gray) == pytest.approx(expected, abs=0.05)


def test_equal_pictures():
    photo = skimage.data.astronaut()
    mask = np.full(photo.shape[:2], 255, np.uint8)
    values = measure(photo, photo.copy(), mask)
    assert values == {
        "mse": 0.0, "mse_masked": 0.0, "psnr": math.inf, "psnr_masked": math.inf,
        "ssim": 1.0, "ssim_masked": 1.0,
    }  # fmt: skip


def test_black_against_white_and_one_pixel():
    black, white = np.zeros((30, 30, 3), np.uint8), np.full((30, 30, 3), 255, np.uint8)
    assert fidelity.mse(black, white) == 1.0 and fidelity.psnr(black, white) == 0.0
    c1 = (0.01 * 255) ** 2
    assert fidelity.ssim(black, white, exact=True) == pytest.approx(c1 / (255**2 + c1), abs=1e-12)
    one, two = np.array([[[10]]], np.uint8), np.array([[[13]]], np.uint8)
    assert fidelity.mse(one, two) == 9 / 65025
    assert fidelity.psnr(one, two) == pytest.approx(10 * math.log10(65025 / 9), abs=1e-12)
    assert fidelity.ssim(one, two) is None
    changed = black.copy()
    changed[7, 9, 1] = 1
    assert fidelity.mse(changed, black) == 1 / (2700 * 65025)


def test_squares_are_summed_exactly_even_where_int32_and_float32_end():
    black, white = np.zeros((3000, 4001, 3), np.uint8), np.full((3000, 4001, 3), 255, np.uint8)
    white[5, 5] = 254
    total = black.size * 65025 - 3 * (65025 - 254**2)
    assert fidelity.mse(white, black) == total / (black.size * 65025)
    mask = np.full(black.shape[:2], 255, np.uint8)
    assert fidelity.mse_masked(white, black, mask) == total / (black.size * 65025)


@pytest.mark.parametrize(("name", "prediction", "target"), list(natural_pairs()))
def test_parity_with_scikit_image_on_photos(name, prediction, target):
    expected = reference_ssim(prediction, target)
    assert fidelity.ssim(prediction, target) == pytest.approx(expected, abs=1e-6)
    assert fidelity.ssim(prediction, target, exact=True) == pytest.approx(expected, abs=1e-12)
    expected = peak_signal_noise_ratio(target, prediction, data_range=255)
    assert fidelity.psnr(prediction, target) == pytest.approx(expected, abs=1e-10)
    expected = mean_squared_error(target, prediction) / 255**2
    assert fidelity.mse(prediction, target) == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("channels", [1, 3])
def test_parity_at_odd_and_tiny_sizes(channels):
    sides = [11, 12, 13, 14, 15, 26, 27]  # interiors of 1 × 4 and the like once fooled OpenCV
    for h, w in [*itertools.product(sides, sides), (101, 5003), (5003, 14), (26, 5003)]:
        a, b = (random_picture(h, w, k, shape=(h, w, channels)) for k in "ab")
        expected = reference_ssim(a, b)
        assert fidelity.ssim(a, b) == pytest.approx(expected, abs=1e-6)
        assert fidelity.ssim(a, b, exact=True) == pytest.approx(expected, abs=1e-12)
        full = np.full((h, w), 255, np.uint8)
        assert fidelity.ssim_masked(a, b, full, exact=True) == pytest.approx(expected, abs=1e-12)
    for h, w in [(10, 50), (50, 10), (1, 1)]:
        assert fidelity.ssim(*[random_picture(k, shape=(h, w, channels)) for k in "ab"]) is None


def test_float32_stays_within_its_promise_where_it_is_hardest():
    for a, b in hard_pairs():
        expected = reference_ssim(a, b)
        assert fidelity.ssim(a, b) == pytest.approx(expected, abs=1e-5)
        assert fidelity.ssim(a, b, exact=True) == pytest.approx(expected, abs=1e-10)
        mask = np.zeros(a.shape[:2], np.uint8)
        mask[:, : a.shape[1] // 3 + 4] = 255
        inside = fidelity.ssim_masked(a, b, mask)
        assert inside == pytest.approx(fidelity.ssim_masked(a, b, mask, exact=True), abs=1e-5)


@given(
    st.integers(0, 2**32), st.integers(11, 40), st.integers(11, 40), st.sampled_from([1, 3]),
    st.integers(0, 255), st.integers(0, 255),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_symmetry_and_bounds(seed, h, w, channels, low, high):
    draw = rng(seed, "property")
    a, b = (
        draw.integers(min(low, high), max(low, high), (h, w, channels), np.uint8, endpoint=True)
        for _ in range(2)
    )
    mask = draw.choice(np.array([0, 255], np.uint8), (h, w))
    values, mirrored = measure(a, b, mask), measure(b, a, mask)
    assert values.keys() == mirrored.keys() == set(NAMES)
    for name in values:
        assert values[name] == pytest.approx(mirrored[name], abs=1e-9)
    assert -1 <= values["ssim"] <= 1 + 1e-6 and 0 <= values["mse"] <= 1 and values["psnr"] >= 0
    assert fidelity.ssim(a, b) == pytest.approx(reference_ssim(a, b), abs=1e-5)
    turned = measure(*(np.rot90(x).copy() for x in (a, b, mask)))
    for name in values:
        assert values[name] == pytest.approx(turned[name], abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_masked_variants_against_slow_numpy(channels):
    target = skimage.data.chelsea()[:120, :130, :channels]
    prediction = noisy(target, 15, "masked")
    mask = np.where(rng(0, "mask").random(target.shape[:2]) < 0.2, 255, 0).astype(np.uint8)
    mask[40:70, 20:60] = 255
    values = measure(prediction, target, mask)
    inside = mask > 0
    error = ((prediction[inside].astype(float) - target[inside]) ** 2).mean() / 255**2
    assert values["mse_masked"] == pytest.approx(error, abs=1e-14)
    assert values["psnr_masked"] == pytest.approx(-10 * math.log10(error), abs=1e-10)
    inside[:5], inside[-5:], inside[:, :5], inside[:, -5:] = False, False, False, False
    expected = reference_ssim(prediction, target, full=True)[1][inside].mean()
    assert values["ssim_masked"] == pytest.approx(expected, abs=1e-5)
    exact = fidelity.ssim_masked(prediction, target, mask, exact=True)
    assert exact == pytest.approx(expected, abs=1e-10)
    full = np.full_like(mask, 255)
    assert fidelity.ssim_masked(prediction, target, full) == pytest.approx(values["ssim"], abs=1e-9)
    assert fidelity.mse_masked(prediction, target, full) == values["mse"]


def test_a_mask_on_the_rim_has_errors_but_no_windows():
    a, b = random_picture("a"), random_picture("b")
    mask = np.zeros(a.shape[:2], np.uint8)
    mask[:5] = 255
    values = measure(a, b, mask)
    assert values["ssim_masked"] is None and values["psnr_masked"] is not None


def test_what_does_not_fit_is_refused_in_one_line():
    good = random_picture("a")
    mask = np.zeros(good.shape[:2], np.uint8)
    for args in [
        (good.astype(np.float32), good), (good[..., 0], good[..., 0]), (good[:9], good),
        (good[..., :2], good[..., :2]), (good[:0], good[:0]), (good, good, mask[:4]),
        (good, good, mask.astype(bool)), (good, good[..., :1]),
    ]:  # fmt: skip
        with pytest.raises(PipelineError, match="cannot measure"):
            measure(*args)
    with pytest.raises(PipelineError, match="cannot measure"):
        mask_counts(mask, mask[:4])


def test_views_measure_like_their_copies():
    a, b = random_picture("a", shape=(60, 60, 3)), random_picture("b", shape=(60, 60, 3))
    mask = np.full((60, 60), 255, np.uint8)
    for view in (np.s_[::-1, ::2], np.s_[3:40, 5:], np.s_[:, ::-1, ::-1]):
        x, y, m = a[view], b[view], mask[view[:2]]
        assert measure(x, y, m) == measure(x.copy(), y.copy(), m.copy())


def test_clip_and_aggregate():
    assert fidelity.clip_psnr([math.inf, 100.0, None, 30.0]) == ([100.0, 100.0, 30.0], 2)
    rows = [
        {"psnr": math.inf, "psnr_masked": None, "ssim": 1.0},
        {"psnr": 20.0, "psnr_masked": None, "ssim": 0.5},
        {"psnr": 30.0, "psnr_masked": None, "ssim": None},
    ]
    assert aggregate(rows) == {
        "psnr": 50.0, "psnr_clipped_count": 1, "psnr_undefined_count": 0,
        "psnr_masked": None, "psnr_masked_clipped_count": 0, "psnr_masked_undefined_count": 3,
        "ssim": 0.75, "ssim_undefined_count": 1,
    }  # fmt: skip
    assert aggregate([]) == {}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_means_do_not_depend_on_the_order_of_photos(values, shuffler):
    rows = [{"ssim": value} for value in values]
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert aggregate(shuffled) == aggregate(iter(rows))


def test_mask_counts_and_scores():
    truth = np.array([[255, 255, 0, 0]], np.uint8)
    assert mask_counts(np.array([[0.9, 0.1, 0.2, 0.0]]), truth) == (2, 1, 0)  # from 0.1 on
    assert mask_counts(np.array([[255, 0, 255, 0]], np.uint8), truth) == (1, 1, 1)
    assert mask_counts(np.array([[26, 25, 0, 0]], np.uint8), truth) == (1, 0, 1)
    assert mask_counts(np.array([[True, True, False, False]]), truth) == (2, 0, 0)
    assert mask_counts(np.array([[0.9, 0.6, 0.2, 0.0]]), truth, threshold=0.5) == (2, 0, 0)
    scores = mask_scores([MaskCounts(6, 1, 2), MaskCounts(0, 1, 0), MaskCounts(0, 0, 0)])
    assert scores == {
        "precision": 6 / 8, "recall": 6 / 8, "f1": 12 / 16, "iou": 6 / 10,
        "empty_count": 2, "empty_marked_count": 1,
    }  # fmt: skip
    nothing = {"precision": None, "recall": None, "f1": None, "iou": None}
    assert mask_scores([]) == nothing | {"empty_count": 0, "empty_marked_count": 0}
    one_empty = mask_scores([MaskCounts(0, 0, 0)])
    assert one_empty == nothing | {"empty_count": 1, "empty_marked_count": 0}


def test_all_together_is_not_slower_than_a_tenth_of_its_figure():
    target = cv2.resize(skimage.data.astronaut(), (768, 512))
    prediction = noisy(target, 20, "speed")
    mask = np.full(target.shape[:2], 255, np.uint8)
    ours = min(_seconds(lambda: measure(prediction, target, mask)) for _ in range(3))
    peer = min(_seconds(lambda: reference_ssim(prediction, target)) for _ in range(3))
    assert ours < peer / 7 * SLACK


def _seconds(work):
    begin = time.process_time()
    work()
    return time.process_time() - begin
