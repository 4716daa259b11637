"""Dust: many small specks and few large ones, clustered, all over the photo."""

from typing import Any

import cv2
import numpy as np

from pipeline import seeds
from pipeline.corruptions.dust import Dust

Array = np.ndarray
GRAY = np.full((600, 700, 3), 128, np.uint8)


def drawn(number: int, shape: tuple[int, ...] = (600, 700), **changes: Any) -> dict[str, Any]:
    """What the family at full severity draws, with some fields changed."""
    fields = Dust.at(1.0).model_dump() | changes
    return Dust(**fields).draw(shape, seeds.rng(7, "dust", number))


def specks(told: dict[str, Any]) -> Array:
    """Stats of the connected marks: left, top, width, height, area, one row each."""
    return cv2.connectedComponentsWithStats(Dust.at(1.0).apply(GRAY, told)[1])[2][1:]


def unevenness(told: dict[str, Any]) -> float:
    """Variance over mean of the counts in an 8×8 grid: 1 where specks fall independently."""
    found = specks(told)
    cells = (found[:, 1] * 8 // 600) * 8 + found[:, 0] * 8 // 700
    counts = np.bincount(cells, minlength=64)
    return float(counts.var() / counts.mean())


def test_as_many_specks_as_drawn_where_they_stand_apart() -> None:
    for number in range(4):
        told = drawn(number, num_range=(100, 100), size_range=(0.004, 0.006), lint_range=(0.0, 0.0))
        found = len(specks({**told, "clustered": 0.0}))
        assert 75 <= found <= 100


def test_sizes_have_a_heavy_tail() -> None:
    told = drawn(1, num_range=(900, 900), size_range=(0.002, 0.03), lint_range=(0.0, 0.0))
    areas = specks({**told, "clustered": 0.0})[:, cv2.CC_STAT_AREA]
    assert areas.max() > 15 * np.median(areas)
    assert np.mean(areas < 2 * np.median(areas)) > 0.6


def test_clustered_specks_lie_together() -> None:
    for number in range(4):
        told = drawn(number, num_range=(800, 800), size_range=(0.0015, 0.002))
        spread = {**told, "clustered": 0.0}
        assert unevenness(spread) < 2 < unevenness({**told, "clustered": 1.0}) / 2


def test_lint_is_drawn_out_and_specks_are_not() -> None:
    told = drawn(2, num_range=(60, 60), size_range=(0.003, 0.006), opacity_range=(1.0, 1.0))
    fill = []
    for lint in (0.0, 1.0):
        found = specks({**told, "clustered": 0.0, "lint": lint})
        long = np.hypot(found[:, 2], found[:, 3])
        fill.append(np.median(found[:, 4] / (long * long)))
    assert fill[0] > 3 * fill[1]


def test_dust_on_a_negative_prints_bright() -> None:
    for bright, sign in ((1.0, 1), (0.0, -1)):
        out, mask = Dust.at(1.0).apply(GRAY, drawn(3, bright_range=(bright, bright)))
        change = sign * (out.astype(int) - 128).mean(axis=2)
        assert change.min() >= 0 and np.mean(change[mask > 0] > 0) > 0.9


def test_specks_are_ragged() -> None:
    """A disc fills its hull; a ragged speck does not."""
    told = drawn(4, num_range=(60, 60), size_range=(0.012, 0.03), lint_range=(0.0, 0.0))
    mask = Dust.at(1.0).apply(GRAY, {**told, "clustered": 0.0})[1]
    outlines = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    fullness = [
        cv2.contourArea(one) / cv2.contourArea(cv2.convexHull(one))
        for one in outlines
        if cv2.contourArea(one) > 80
    ]
    assert len(fullness) > 15 and np.median(fullness) < 0.93


def test_a_tile_sees_its_part_of_the_photo() -> None:
    whole = seeds.field(1).integers(0, 256, (600, 700, 3), np.uint8)
    for number in range(6):
        told = drawn(number)
        out, mask = Dust.at(1.0).apply(whole, told)
        tile = Dust.at(1.0).apply(whole[130:330, 211:511], {**told, "at": [130, 211]})
        np.testing.assert_array_equal(tile[0], out[130:330, 211:511])
        np.testing.assert_array_equal(tile[1], mask[130:330, 211:511])
