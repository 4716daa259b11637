"""Strokes: connected, as wide as asked for, round at joints, inside of the photo, flat or noisy."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.strokes import Strokes

Array = np.ndarray
SIDE = 300


def strokes(**changes: Any) -> Strokes:
    fields = {
        "num_range": (1, 1),
        "pieces_range": (4, 4),
        "length_range": (0.15, 0.25),
        "width_range": (0.05, 0.05),
        "turn_range": (20.0, 110.0),
        "opacity_range": (1.0, 1.0),
        "fills": ("white",),
    }
    return Strokes(**{**fields, **changes})


def drawn(number: int, shape: tuple[int, ...] = (SIDE, SIDE), **changes: Any) -> dict[str, Any]:
    return strokes(**changes).draw(shape, seeds.rng(7, "strokes", number))


def painted(told: dict[str, Any], side: int = SIDE) -> tuple[Array, Array]:
    return strokes().apply(np.full((side, side, 3), 128, np.uint8), told)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.12])
def test_a_stroke_is_one_piece_and_as_wide_as_asked_for(share: float) -> None:
    for number in range(12):
        _, mask = painted(drawn(number, width_range=(share, share)))
        assert cv2.connectedComponents(mask)[0] == 2
        _, mask = painted(drawn(number, width_range=(share, share), pieces_range=(1, 1)))
        inside = cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)
        assert abs(2 * inside.max() - 1 - share * SIDE) <= 0.12 * share * SIDE + 2


def test_joints_and_ends_are_round() -> None:
    for number in range(12):
        told = drawn(number, turn_range=(100.0, 160.0), width_range=(0.08, 0.08))
        _, mask = painted(told)
        (one,) = told["strokes"]
        for x, y in one["points"]:
            disk = np.zeros_like(mask)
            cv2.circle(disk, (x, y), one["width"] // 2 - 1, 255, cv2.FILLED)
            assert (mask[disk > 0] > 0).all()


def test_it_turns_as_much_as_asked_for() -> None:
    for number in range(30):
        told = drawn(number, (3000, 3000), turn_range=(40.0, 60.0), length_range=(0.02, 0.03))
        points = np.array(told["strokes"][0]["points"], float)
        if points.min() < 100 or points.max() > 2900:
            continue  # mirrored at the border
        along = np.diff(points, axis=0)
        along /= np.sqrt((along**2).sum(axis=1, keepdims=True))
        turned = np.degrees(np.arccos((along[1:] * along[:-1]).sum(axis=1)))
        assert (turned > 38).all() and (turned < 62).all()


def test_strokes_stay_on_the_photo() -> None:
    for number in range(40):
        points = np.array(drawn(number, (200, 320))["strokes"][0]["points"])
        assert (points >= 0).all() and (points < [320, 200]).all()


def test_thin_ones_are_as_frequent_as_thick_ones() -> None:
    widths = [
        drawn(number, width_range=(0.01, 0.16), num_range=(3, 3))["strokes"][0]["width"]
        for number in range(200)
    ]
    assert 0.35 < np.mean(np.array(widths) < 0.04 * SIDE) < 0.65  # the geometric mean


def test_fills_are_what_they_are_called() -> None:
    for fill, level in (("black", 0), ("white", 255)):
        out, mask = painted(drawn(1, fills=(fill,)))
        assert (out[mask > 0] == level).all()
    told = drawn(1, fills=("color",))
    out, mask = painted(told)
    assert (out[mask > 0] == told["strokes"][0]["color"]).all()
    out, mask = painted(drawn(1, fills=("noise",)))
    assert 65 < out[mask > 0].std() < 82  # 74 where all levels are as frequent
    assert (out[mask == 0] == 128).all()


def test_a_tile_sees_only_what_crosses_it() -> None:
    told = [drawn(number, (40, 40, 400), num_range=(6, 6)) for number in range(60)]
    counts = [len(one["strokes"]) for one in told]
    assert max(counts) <= 6 and 0 < np.mean(counts) < 3
    assert sum(painted(one, 40)[1].any() for one in told) < 60
