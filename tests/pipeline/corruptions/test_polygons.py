"""Polygons: of the kind, size and number of points asked for, flat, and exactly in the mask."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.polygons import Polygons

Array = np.ndarray
SIDE = 256


def polygons(**changes: Any) -> Polygons:
    """The competition's damage: one polygon, its box at least 50 px of 256, one gray level."""
    fields = {
        "num_range": (1, 1),
        "points_range": (3, 20),
        "size_range": (50 / 256, 1.0),
        "opacity_range": (1.0, 1.0),
        "kinds": ("random", "star", "convex"),
        "fills": ("gray",),
    }
    return Polygons(**{**fields, **changes})


def drawn(number: int, shape: tuple[int, ...] = (SIDE, SIDE), **changes: Any) -> dict[str, Any]:
    return polygons(**changes).draw(shape, seeds.rng(7, "polygons", number))


def filled(told: dict[str, Any], side: int = SIDE) -> Array:
    return polygons().apply(np.zeros((side, side, 1), np.uint8), told)[1] > 0


def turns(points: Array) -> Array:
    """Twice the signed area of each corner's triangle: one sign where an outline is convex."""
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    (ax, ay), (bx, by) = (points - before).T, (after - points).T
    return ax * by - ay * bx


def area(points: Array) -> float:
    """By the shoelace formula: parts that are wound the other way count against the rest."""
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def test_one_polygon_of_one_gray_level_with_a_box_of_50_px_or_more() -> None:
    for number in range(60):
        told = drawn(number)
        (one,) = told["polygons"]
        points = np.array(one["points"])
        assert points.min() >= 0 and points.max() < SIDE
        assert (np.ptp(points, axis=0) + 1 >= 50).all()
        assert 3 <= len(points) <= 20
        photo = seeds.field(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        out, mask = polygons().apply(photo, told)
        assert len(set(one["color"])) == 1
        assert (out[mask > 0] == one["color"][0]).all()
        rows, columns = np.nonzero(mask)
        assert [np.ptp(columns), np.ptp(rows)] == np.ptp(points, axis=0).tolist()


def test_convex_ones_are_convex_and_fill_their_hull() -> None:
    for number in range(30):
        told = drawn(number, kinds=("convex",), points_range=(6, 20))
        points = np.array(told["polygons"][0]["points"])
        assert (turns(points) > 0).all() or (turns(points) < 0).all()
        wanted = np.zeros((SIDE, SIDE), np.uint8)
        cv2.fillConvexPoly(wanted, points, 1)
        assert abs(int(filled(told).sum()) - int(wanted.sum())) <= 0.01 * wanted.sum() + 2


def test_stars_have_corners_both_ways_and_never_cross_themselves() -> None:
    dented = 0
    for number in range(30):
        told = drawn(number, kinds=("star",), points_range=(12, 12), size_range=(0.5, 0.9))
        points = np.array(told["polygons"][0]["points"])
        dented += bool((turns(points) > 0).any() and (turns(points) < 0).any())
        outline = float(np.sqrt(((points - np.roll(points, 1, axis=0)) ** 2).sum(axis=1)).sum())
        assert abs(filled(told).sum() - area(points)) < 0.6 * outline  # half the outline's pixels
    assert dented >= 28


def test_random_ones_cross_themselves_and_leave_holes() -> None:
    holes = 0
    for number in range(20):
        told = drawn(number, kinds=("random",), points_range=(10, 20), size_range=(0.8, 1.0))
        outside = (~filled(told)).astype(np.uint8)
        outside = np.pad(outside, 1, constant_values=1)
        holes += cv2.connectedComponents(outside, connectivity=4)[0] > 2
    assert holes >= 18  # by the even-odd rule; a background and at least one region within


@pytest.mark.parametrize("opacity", [0.2, 0.5, 1.0])
def test_opacity_is_the_share_of_the_fill(opacity: float) -> None:
    told = drawn(3, opacity_range=(opacity, opacity), fills=("color",))
    photo = np.full((SIDE, SIDE, 3), 100, np.uint8)
    out, mask = polygons().apply(photo, told)
    wanted = 100 + opacity * (np.array(told["polygons"][0]["color"]) - 100)
    assert np.abs(out[mask > 0] - wanted).max() <= 1.5
    np.testing.assert_array_equal(out[mask == 0], photo[mask == 0])


def test_what_cannot_be_seen_is_not_in_the_mask() -> None:
    out, mask = polygons().apply(
        np.full((SIDE, SIDE, 3), 9, np.uint8), drawn(1, opacity_range=(0.0, 0.01))
    )
    assert not mask.any() and (out == 9).all()


def test_a_tile_is_a_window_into_the_photo() -> None:
    seen, whole = 0, 0
    for number in range(200):
        told = drawn(number, (32, 32, SIDE), size_range=(0.25, 0.25), kinds=("convex",))
        seen += len(told["polygons"])
        whole += bool(told["polygons"]) and filled(told, 32).all()
    assert 0.10 < seen / 200 < 0.40  # boxes of 64 px and tiles of 32 px in 256: about a fifth meet
    assert whole > 0  # and some polygons hide a tile completely


def test_a_gray_tile_takes_one_channel_of_the_fill() -> None:
    told = drawn(5, fills=("color",))
    out, mask = polygons().apply(np.zeros((SIDE, SIDE, 1), np.uint8), told)
    assert (out[mask > 0] == told["polygons"][0]["color"][0]).all()
