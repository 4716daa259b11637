"""Grain has the deviation and the law that its kind names, and clumps are as large as told."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.grain import Grain
from pipeline.corruptions.noise import BANK, CHUNK, clumped, clumped_deviation, gaussian
from tests.pipeline.corruptions.conftest import Array, apply, photo_tile

KINDS = ("gaussian", "film", "poisson", "speckle", "salt_pepper")


def grain(**changes: Any) -> Grain:
    """White grain, each channel its own, unless told otherwise."""
    fields = {
        "kinds": ("gaussian",), "sigma_range": (20.0, 20.0), "size_range": (0.004, 0.004),
        "gray_probability": 0.0,
    }  # fmt: skip
    return Grain(**(fields | changes))


def noise(level: int, side: int = 512, channels: int = 1, seed: int = 7, **changes: Any) -> Array:
    """What grain adds to a flat tile, float."""
    corruption, tile = grain(**changes), np.full((side, side, channels), level, np.uint8)
    drawn = corruption.draw((side, side), seeds.rng(seed, "grain"))
    return apply(corruption, tile, drawn)[0].astype(float) - level


@pytest.mark.parametrize("sigma", [5.0, 12.5, 25.0])
def test_gaussian_grain_has_the_drawn_deviation_and_is_gaussian(sigma: float) -> None:
    found = noise(128, channels=3, sigma_range=(sigma, sigma))
    assert abs(found.mean()) < 4 * sigma / np.sqrt(found.size) + 0.02
    assert abs(found.std() / sigma - 1) < 0.02
    normed = (found - found.mean()) / found.std()
    assert abs((normed**3).mean()) < 0.02
    assert abs((normed**4).mean() - 3) < 0.05
    assert np.abs(normed).max() > 4.2


@pytest.mark.parametrize("size", [0.0001, 0.004, 0.008, 0.02])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_the_deviation_at_mid_gray(kind: str, size: float) -> None:
    found = noise(128, kinds=(kind,), size_range=(size, size), sigma_range=(15.0, 15.0))
    assert abs(found.std() / 15 - 1) < 0.05
    assert abs(found.mean()) < 1.5


LAWS = {
    "gaussian": lambda light: 1.0,
    "poisson": lambda light: (light / 0.5) ** 0.5,
    "speckle": lambda light: light / 0.5,
    "film": lambda light: 2 * (light * (1 - light)) ** 0.5,
}


@pytest.mark.parametrize("level", [26, 77, 166, 217])
@pytest.mark.parametrize("kind", LAWS)
def test_each_kind_follows_the_light_in_its_own_way(kind: str, level: int) -> None:
    found = noise(level, kinds=(kind,), sigma_range=(6.0, 6.0))
    assert abs(found.std() / (6 * LAWS[kind](level / 255)) - 1) < 0.06


@pytest.mark.parametrize("kind", ["poisson", "speckle", "film"])
def test_black_has_no_grain_of_light(kind: str) -> None:
    assert not noise(0, 100, kinds=(kind,), sigma_range=(50.0, 50.0)).any()


def test_white_has_no_film_grain() -> None:
    assert not noise(255, 100, kinds=("film",), sigma_range=(50.0, 50.0)).any()


def test_salt_and_pepper_touch_the_share_that_the_deviation_says_and_nothing_else() -> None:
    found = noise(100, kinds=("salt_pepper",), sigma_range=(40.0, 40.0)) + 100
    counts = Counter(found.ravel().tolist())
    assert set(counts) == {0.0, 100.0, 255.0}
    share = (40 / 127.5) ** 2 / 2
    assert abs(counts[0.0] / found.size / share - 1) < 0.05
    assert abs(counts[255.0] / found.size / share - 1) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_one_grain_for_all_channels_or_one_for_each(kind: str) -> None:
    alike = noise(128, 300, 3, kinds=(kind,), gray_probability=1.0)
    np.testing.assert_array_equal(alike, alike[:, :, :1].repeat(3, 2))
    apart = noise(128, 300, 3, kinds=(kind,))
    between = np.corrcoef(apart.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.abs(between).max() < 0.03


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"film"}))
def test_grain_that_is_no_film_is_white(kind: str) -> None:
    found = noise(128, 500, kinds=(kind,))[:, :, 0]
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(found[:, lag:].ravel(), found[:, :-lag].ravel())[0, 1]) < 0.01
        assert abs(np.corrcoef(found[lag:].ravel(), found[:-lag].ravel())[0, 1]) < 0.01


def width(found: Array) -> float:
    """Of a field's correlation at half height, px."""
    row = [1.0]
    while row[-1] > 0.5:
        lag = len(row)
        row.append(np.corrcoef(found[:, lag:].ravel(), found[:, :-lag].ravel())[0, 1])
    inside = len(row) - 2
    return 2 * (inside + (row[inside] - 0.5) / (row[inside] - row[inside + 1]))


@pytest.mark.parametrize("diameter", [2, 4, 8, 20])
def test_film_clumps_are_as_wide_as_told_and_round(diameter: int) -> None:
    found = noise(
        128, 900, kinds=("film",), size_range=(diameter / 900,) * 2, sigma_range=(15.0,) * 2
    )
    across, down = width(found[:, :, 0]), width(found[:, :, 0].T)
    assert abs(across / diameter - 1) < 0.2 and abs(down / across - 1) < 0.1


def test_clumps_belong_to_the_photo_and_not_to_the_tile() -> None:
    corruption = grain(kinds=("film",))
    drawn = [corruption.draw((100, 100, side), seeds.rng(7))["size"] for side in (500, 1000)]
    assert drawn == [2.0, 4.0]


@pytest.mark.parametrize("diameter", [1.5, 2.9, 6.1, 13.0])
def test_the_deviation_of_clumps_is_known_beforehand(diameter: float) -> None:
    found = clumped((700, 700), 1, diameter, seeds.rng(7)).astype(float)
    assert abs(found.std() / clumped_deviation(diameter) - 1) < 0.04


def test_two_stretches_of_the_bank_never_meet() -> None:
    for number in range(300):
        found = gaussian(CHUNK, 128 * 2**0.5, seeds.rng(7, number))[0, ::64].astype(float)
        assert found.std() < 1.05 * 128 * 2**0.5, "one stretch summed with itself has √2 of that"


def test_grain_of_one_photo_does_not_repeat_itself_nor_that_of_another() -> None:
    first = noise(128, 1200, seed=1)[:, :, 0].ravel()
    other = noise(128, 1200, seed=2)[:, :, 0].ravel()
    assert first.size < BANK
    spectra = np.fft.rfft(first), np.fft.rfft(other)
    for one, two in ((spectra[0], spectra[0]), spectra):
        likeness = np.fft.irfft(one * two.conj(), first.size) / first.size / 400
        likeness[0] = 0.0
        assert np.abs(likeness).max() < 0.1


@pytest.mark.parametrize("kind", ["gaussian", "poisson"])
def test_grain_saturates_and_never_wraps(kind: str) -> None:
    light = noise(250, 200, kinds=(kind,), sigma_range=(30.0, 30.0)) + 250
    assert 0.4 < (light == 255).mean() < 0.55 and light.min() > 0
    if kind == "gaussian":
        dark = noise(0, 200, sigma_range=(50.0, 50.0))
        assert 0.45 < (dark == 0).mean() < 0.55 and dark.max() < 255


def test_color_keeps_its_hue_under_gray_film_grain() -> None:
    corruption = grain(kinds=("film",), gray_probability=1.0)
    tile = photo_tile(80, 80) // 2 + 64
    drawn = corruption.draw((80, 80, 500), seeds.rng(7))
    change = corruption.apply(tile, drawn)[0].astype(int) - tile
    np.testing.assert_array_equal(change, change[:, :, :1].repeat(3, 2))


def test_grain_draws_all_of_its_ranges() -> None:
    corruption = grain(kinds=KINDS, sigma_range=(5.0, 50.0), gray_probability=0.3)
    draws = [corruption.draw((8, 8), seeds.rng(7, number)) for number in range(500)]
    sigmas = [drawn["sigma"] for drawn in draws]
    assert 5 <= min(sigmas) < 6 and 49 < max(sigmas) <= 50
    assert abs(np.mean(sigmas) - 27.5) < 2
    assert min(Counter(drawn["kind"] for drawn in draws).values()) > 70
    assert abs(np.mean([drawn["gray"] for drawn in draws]) - 0.3) < 0.06
