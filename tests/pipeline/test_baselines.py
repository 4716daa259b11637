"""The classical methods help where they should, keep what they should, and are tuned fairly."""

import ast
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from pipeline.errors import PipelineError
from pipeline.fidelity import psnr, psnr_masked
from pipeline.seeds import rng
from pipeline.systems import baselines
from pipeline.systems.baselines import BASELINES

STRENGTHS = {
    "telea": {}, "navier_stokes": {}, "median": {"kernel": 5}, "gaussian": {"sigma": 1.0},
    "non_local_means": {"h": 20.0}, "mean_fill": {}, "tint": {"a": 4.0, "b": 12.5},
}  # fmt: skip
INPAINTERS = ["navier_stokes", "telea"]


def photo(name, side=192, channels=3):
    picture = getattr(skimage.data, name)()[30 : 30 + side, 100 : 100 + side]
    return np.ascontiguousarray(picture[..., :channels])


def noisy_sample(name, sigma, side=192, channels=3):
    clean = photo(name, side, channels)
    noise = rng(0, name, sigma).normal(0, sigma, clean.shape)
    corrupted = np.clip(clean + noise, 0, 255).round().astype(np.uint8)
    return clean, corrupted, np.zeros(clean.shape[:2], np.uint8)


def holed_sample(name, side=192, channels=3):
    clean = photo(name, side, channels)
    mask = np.zeros(clean.shape[:2], np.uint8)
    draw = rng(0, "holes", name)
    for x, y, radius in zip(*draw.integers(0, side, (2, 8)), draw.integers(2, 12, 8), strict=True):
        cv2.circle(mask, (int(x), int(y)), int(radius), 255, -1)
    corrupted = clean.copy()
    corrupted[mask > 0] = 255
    return clean, corrupted, mask


def test_the_registry_names_them_all():
    assert set(BASELINES) == set(STRENGTHS)
    needy = [name for name in BASELINES if BASELINES[name].needs_mask]
    assert needy == ["mean_fill", *INPAINTERS]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(STRENGTHS))
def test_shape_and_dtype_stay_and_the_input_is_untouched(name, channels):
    for shape in [(1, 1), (2, 9), (64, 47)]:
        corrupted = rng(0, "any").integers(0, 256, (*shape, channels), np.uint8)
        mask = np.zeros(shape, np.uint8)
        mask[0, 0] = 255
        before, mask_before = corrupted.copy(), mask.copy()
        restored = BASELINES[name]().restore(corrupted, mask, STRENGTHS[name])
        assert restored.shape == corrupted.shape and restored.dtype == np.uint8
        assert restored.flags.c_contiguous and not np.shares_memory(restored, corrupted)
        np.testing.assert_array_equal(corrupted, before)
        np.testing.assert_array_equal(mask, mask_before)
        again = BASELINES[name]().restore(corrupted[:, ::-1][:, ::-1], mask, STRENGTHS[name])
        np.testing.assert_array_equal(restored, again)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", INPAINTERS)
def test_inpainting_mends_the_damage_and_nothing_else(name, channels):
    clean, corrupted, mask = holed_sample("astronaut", channels=channels)
    restored = BASELINES[name]().restore(corrupted, mask, {})
    np.testing.assert_array_equal(restored[mask == 0], corrupted[mask == 0])
    assert psnr_masked(restored, clean, mask) > psnr_masked(corrupted, clean, mask) + 8


@pytest.mark.parametrize("name", INPAINTERS)
def test_inpainting_does_not_peek_under_the_mask(name):
    clean, corrupted, mask = holed_sample("coffee")
    method = BASELINES[name]()
    np.testing.assert_array_equal(
        method.restore(corrupted, mask, {}), method.restore(clean, mask, {})
    )


@pytest.mark.parametrize("name", INPAINTERS)
def test_inpainting_at_the_ends_of_masks(name):
    _, corrupted, mask = holed_sample("coffee", side=64)
    method = BASELINES[name]()
    for whole in (np.zeros_like(mask), np.full_like(mask, 255)):
        np.testing.assert_array_equal(method.restore(corrupted, whole, {}), corrupted)
    with pytest.raises(PipelineError, match="needs the true mask"):
        method.restore(corrupted, None, {})


@pytest.mark.parametrize("name", INPAINTERS)
def test_the_tuned_radius_is_at_least_as_good_as_the_customary_one(name):
    samples = [holed_sample("astronaut"), holed_sample("chelsea")]
    method = BASELINES[name]()
    strength = method.tune(iter(samples))
    assert strength["radius"] in baselines.INPAINT_RADII
    tuned, customary = (
        np.mean([psnr(method.restore(c, m, s), clean) for clean, c, m in samples])
        for s in (strength, {})
    )
    assert tuned >= customary


def test_non_local_means_tuned_on_one_photo_helps_another():
    method = BASELINES["non_local_means"]()
    strength = method.tune([noisy_sample("astronaut", 25, side=128)])
    for channels, gain in ((3, 7), (1, 5)):
        clean, corrupted, mask = noisy_sample("coffee", 25, channels=channels)
        restored = method.restore(corrupted, mask, strength)
        assert psnr(restored, clean) > psnr(corrupted, clean) + gain


def test_joint_patches_beat_the_lab_way_at_its_best():
    clean, corrupted, mask = noisy_sample("coffee", 25, side=128)
    method = BASELINES["non_local_means"]()
    ours = psnr(method.restore(corrupted, mask, method.tune([(clean, corrupted, mask)])), clean)
    bgr = np.ascontiguousarray(corrupted[..., ::-1])
    lab = max(
        psnr(cv2.fastNlMeansDenoisingColored(bgr, None, h, h, 7, 21)[..., ::-1], clean)
        for h in (10, 13, 16, 20, 25)
    )
    assert ours > lab + 0.5


@pytest.mark.parametrize("name", ["gaussian", "median", "non_local_means"])
def test_more_noise_asks_for_more_strength_and_none_for_none(name):
    method = BASELINES[name]()
    first = {"gaussian": "sigma", "median": "kernel", "non_local_means": "h"}[name]
    weak, strong = (
        method.tune([noisy_sample("chelsea", sigma, side=96)])[first] for sigma in (10, 50)
    )
    assert 0 < weak < strong
    clean = photo("chelsea", side=96)
    idle = method.tune([(clean, clean, np.zeros((96, 96), np.uint8))])
    np.testing.assert_array_equal(method.restore(clean, None, idle), clean)


@pytest.mark.parametrize("name", sorted(STRENGTHS))
def test_tuning_is_repeatable_and_needs_samples(name):
    sample = holed_sample("astronaut", side=64)
    method = BASELINES[name]()
    assert method.tune([sample]) == BASELINES[name]().tune(iter([sample]))
    assert all(isinstance(value, int | float) for value in method.tune([sample]).values())
    with pytest.raises(PipelineError, match="no validation samples"):
        method.tune(iter([]))


@pytest.mark.parametrize("name", ["gaussian", "median", "non_local_means"])
def test_an_untuned_strength_is_refused(name):
    with pytest.raises(PipelineError, match="tune it"):
        BASELINES[name]().restore(photo("coffee", side=16), None, {})


def test_an_even_median_is_refused():
    with pytest.raises(PipelineError, match="odd"):
        BASELINES["median"]().restore(photo("coffee", side=16), None, {"kernel": 4})


def test_the_climb_finds_the_top_and_the_weaker_of_equals():
    for top in range(51):
        assert baselines._climb(lambda i, top=top: -abs(i - top), 51, 25, 8) == (top, 0)
    assert baselines._climb(lambda i: min(i, 7), 51, 25, 8) == (7, 7)
    assert baselines._climb(lambda i: 0, 51, 25, 8) == (0, 0)


def test_no_torch_and_no_global_settings():
    text = Path(baselines.__file__).read_text(encoding="utf-8")
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported == {"collections", "cv2", "math", "numpy", "pipeline", "typing"}
    assert "setNumThreads" not in text


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_fill_paints_holes_with_the_mean_of_what_is_whole(channels):
    clean, corrupted, mask = holed_sample("astronaut", channels=channels)
    method = BASELINES["mean_fill"]()
    filled = method.restore(corrupted, mask, method.tune([(clean, corrupted, mask)]))
    np.testing.assert_array_equal(filled[mask == 0], corrupted[mask == 0])
    mean = corrupted[mask == 0].astype(float).mean(axis=0)
    assert np.abs(filled[mask > 0] - mean).max() <= 0.5
    everything = np.full_like(mask, 255)
    np.testing.assert_array_equal(method.restore(corrupted, everything, {}), corrupted)
    with pytest.raises(PipelineError, match="needs the true mask"):
        method.restore(corrupted, None, {})


def test_the_tuned_tint_is_better_than_no_color_and_than_its_neighbours():
    clean = photo("coffee", 128)
    gray = np.repeat(cv2.cvtColor(clean, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    method, mask = BASELINES["tint"](), np.zeros(clean.shape[:2], np.uint8)
    best = method.tune([(clean, gray, mask)])
    reached = psnr(method.restore(gray, mask, best), clean)
    assert reached > psnr(gray, clean) + 0.5
    for name, shift in (("a", 12), ("a", -12), ("b", 12), ("b", -12)):
        other = {**best, name: best[name] + shift}
        assert reached > psnr(method.restore(gray, mask, other), clean)


def test_a_tint_keeps_the_lightness_and_makes_one_hue():
    gray = np.repeat(photo("coffee", 96)[..., :1], 3, axis=2)
    tinted = BASELINES["tint"]().restore(gray, None, {"a": 0.0, "b": 20.0})
    lab = [cv2.cvtColor(one, cv2.COLOR_RGB2LAB).astype(int) for one in (gray, tinted)]
    middle = (lab[0][..., 0] > 60) & (lab[0][..., 0] < 200)
    assert np.abs(lab[1][..., 0] - lab[0][..., 0])[middle].max() <= 2
    assert np.abs(lab[1][..., 2][middle] - 148).max() <= 2
    one_channel = np.ascontiguousarray(gray[..., :1])
    kept = BASELINES["tint"]().restore(one_channel, None, {"a": 5.0, "b": 20.0})
    np.testing.assert_array_equal(kept, one_channel)
