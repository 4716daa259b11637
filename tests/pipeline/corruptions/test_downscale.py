"""Detail is lost by the factor, squares lie on the photo's grid, and each method looks its way."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions import Window
from pipeline.corruptions.downscale import MOST_CELLS, Downscale
from tests.pipeline.corruptions.conftest import Array, apply, mse, photo_tile, real_photos

METHODS = ("area", "linear", "cubic", "nearest")


def downscaled(
    tile: Array, factor: float, down: str = "area", up: str = "linear", phase: tuple = (0, 0)
) -> Array:
    drawn = {"factor": factor, "down": down, "up": up, "phase": list(phase)}
    return apply(Downscale.at(0.5), tile, drawn)[0]


@pytest.mark.parametrize("factor", [2, 3, 5])
@pytest.mark.parametrize("down", METHODS)
def test_enlarging_by_nearest_leaves_squares_of_the_factor(down: str, factor: int) -> None:
    out = downscaled(photo_tile(60, 90), factor, down, "nearest")
    squares = out[:60:factor, :90:factor].repeat(factor, 0).repeat(factor, 1)
    np.testing.assert_array_equal(out, squares)
    assert (np.diff(squares[0, ::factor].astype(int), axis=0) != 0).any()


@pytest.mark.parametrize("phase", [(0, 0), (1, 3), (2, 0)])
def test_squares_begin_where_the_phase_says(phase: tuple[int, int]) -> None:
    out = downscaled(photo_tile(50, 50), 4.0, "area", "nearest", phase).astype(int)
    rows = np.flatnonzero(np.abs(np.diff(out, axis=0)).sum(axis=(1, 2))) + 1
    columns = np.flatnonzero(np.abs(np.diff(out, axis=1)).sum(axis=(0, 2))) + 1
    assert set((rows + phase[0]) % 4) == {0} and set((columns + phase[1]) % 4) == {0}


@pytest.mark.parametrize(
    ("factor", "period"), [(4.0, 4), (2.7, 27), (3.3, 33), (1.083, 13), (0.9, 9), (0.667, 2)]
)
@pytest.mark.parametrize(
    ("down", "up"),
    [("area", "nearest"), ("linear", "area"), ("nearest", "linear"), ("area", "cubic")],
)
def test_a_tile_in_the_photo_is_damaged_as_the_photo_is(
    factor: float, period: int, down: str, up: str
) -> None:
    photo = real_photos(240)[0]
    whole = downscaled(photo, factor, down, up)
    for top, left in ((38, 53), (101, 7), (76, 110)):
        tile = photo[top : top + 96, left : left + 96]
        part = downscaled(tile, factor, down, up, (top % period, left % period))
        inside = (slice(12, -12), slice(12, -12))
        wanted = whole[top : top + 96, left : left + 96][inside].astype(int)
        np.testing.assert_allclose(part[inside], wanted, atol=1 if up == "cubic" else 0)


def test_phases_are_those_of_the_place_on_the_photo() -> None:
    corruption = scaled(scale_range=(0.25, 0.8))
    for number in range(100):
        drawn = corruption.draw((64, 64, 500), seeds.rng(7, number))
        place = Window(64, 64, 500).place(seeds.rng(7, number))
        cells = [c for c in range(1, MOST_CELLS + 1) if _whole(c * drawn["factor"])]
        period = round(cells[0] * drawn["factor"])
        assert drawn["phase"] == [place.top % period, place.left % period]


def _whole(length: float) -> bool:
    return abs(length - round(length)) < MOST_CELLS * 0.0005 + 1e-9


@pytest.mark.parametrize("factor", [2.0, 3.7, 6.0])
def test_detail_finer_than_the_factor_goes_and_coarser_stays(factor: float) -> None:
    steps = np.arange(240)

    def kept(period: float) -> float:
        wave = 127.5 + 100 * np.sin(2 * np.pi * steps / period)
        tile = np.broadcast_to(wave[None, :, None], (40, 240, 1)).astype(np.uint8)
        return float(downscaled(tile, factor)[20].std() / tile[20].std())

    assert kept(1.3 * factor) < 0.35 and kept(12 * factor) > 0.85


def test_averaging_does_not_alias_and_skipping_does() -> None:
    tile = np.zeros((64, 64, 1), np.uint8)
    tile[:, ::2] = 255  # lines of one pixel
    flat = downscaled(tile, 4.0, "area", "linear")
    assert flat.std() < 2
    skipped = downscaled(tile, 3.0, "nearest", "nearest")
    assert skipped.std() > 100


@pytest.mark.parametrize("factor", [1.0, 1.004])
def test_no_factor_is_no_change(factor: float) -> None:
    tile = photo_tile(50, 70)
    np.testing.assert_array_equal(downscaled(tile, factor), tile)


def test_the_mean_and_the_place_stay() -> None:
    photo = real_photos(200)[0]
    for factor in (1.5, 2.0, 3.3, 7.9):
        out = downscaled(photo, factor)
        assert abs(out.mean() - photo.mean()) < 1
        soft = [cv2.GaussianBlur(one, (0, 0), 2 * factor)[30:-30, 30:-30] for one in (out, photo)]
        (right, down), _ = cv2.phaseCorrelate(
            *(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float32) for one in soft)
        )
        assert abs(right) < 0.3 and abs(down) < 0.3


def test_every_method_scale_and_phase_occurs() -> None:
    corruption = scaled(scale_range=(0.25, 0.8))
    draws = [corruption.draw((64, 64, 500), seeds.rng(7, number)) for number in range(300)]
    assert {(one["down"], one["up"]) for one in draws} == {(a, b) for a in METHODS for b in METHODS}
    factors = [one["factor"] for one in draws]
    assert 1.25 <= min(factors) < 1.3 and 3.7 < max(factors) <= 4
    assert {part for one in draws for part in one["phase"]} >= set(range(20))
    whole = corruption.draw((64, 64), seeds.rng(7))
    assert whole["phase"] == [0, 0]


def scaled(**changes: Any) -> Downscale:
    fields = {"down_probability": 1.0, "up_probability": 0.0, "scale_range": (0.5, 1.0)}
    methods = {"down_methods": METHODS, "up_methods": METHODS}
    return Downscale.model_validate({**fields, **methods, **changes})


def test_photos_are_shrunk_enlarged_and_kept_as_often_as_asked_for() -> None:
    corruption = scaled(scale_range=(0.15, 1.5), down_probability=0.7, up_probability=0.2)
    draws = [corruption.draw((64, 64), seeds.rng(7, number)) for number in range(2000)]
    factors = np.array([one["factor"] for one in draws])
    assert abs((factors > 1).mean() - 0.7) < 0.03 and abs((factors < 1).mean() - 0.2) < 0.03
    scales = 1 / factors[factors > 1]
    assert abs(np.median(scales) - 0.575) < 0.03  # even in scale, not in factor
    assert factors.min() > 0.66 and factors.max() < 6.7


def test_probabilities_of_more_than_one_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most 0.3, as down_probability takes the rest"):
        scaled(down_probability=0.7, up_probability=0.4)


@pytest.mark.parametrize("up", ["area", "linear", "cubic"])
@pytest.mark.parametrize("down", ["area", "linear", "cubic"])
def test_enlarging_changes_little_and_less_than_shrinking(down: str, up: str) -> None:
    photo = real_photos(200)[0]
    for factor in (0.5, 0.667, 0.8):
        out = downscaled(photo, factor, down, up)
        assert mse(photo, out) < 0.5 * mse(photo, downscaled(photo, 2.0, down, up))
        assert abs(out.mean() - photo.mean()) < 0.5


def test_enlarging_by_linear_softens() -> None:
    photo = real_photos(200)[0]
    out = downscaled(photo, 0.667, "linear", "linear")
    assert np.diff(out.astype(int), axis=1).std() < 0.95 * np.diff(photo.astype(int), axis=1).std()
