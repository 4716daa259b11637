"""Directions, boxes and fixed point: what a tile sees of things drawn for a whole photo."""

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions import geometry


def test_the_fine_compass_holds_the_coarse_one() -> None:
    coarse, fine = geometry.compass(), geometry.compass(geometry.TURN)
    np.testing.assert_array_equal(fine[:: len(fine) // len(coarse)], coarse)
    np.testing.assert_allclose((fine**2).sum(axis=1), 1, atol=2e-6)
    np.testing.assert_array_equal(coarse[::256], [[1, 0], [0, 1], [-1, 0], [0, -1]])


def test_right_of_the_compass_is_a_quarter_turn_on() -> None:
    turned = geometry.right_of(geometry.compass())
    np.testing.assert_allclose(turned, np.roll(geometry.compass(), -256, axis=0), atol=1e-12)


def test_a_step_is_in_whole_pixels() -> None:
    assert geometry.step(0, 3.4) == (3, 0)
    assert geometry.step(128, 2.0) == (1, 1)
    assert geometry.step(768, 2.0) == (0, -2)


def test_far_points_stay_drawable() -> None:
    points = np.array([[-1e12, 1e12], [0.5, -0.25]])
    fixed = geometry.fixed(points)
    assert fixed.dtype == np.int32
    np.testing.assert_array_equal(fixed[1], [8, -4])
    canvas = np.zeros((9, 9), np.uint8)
    cv2.polylines(canvas, [fixed], False, 255, 1, cv2.LINE_AA, geometry.SHIFT)
    assert canvas.any()


def test_boxes_hold_exactly_what_lies_in_the_tile() -> None:
    rng = seeds.rng(7, "boxes")
    for _ in range(300):
        points, margin = rng.integers(-20, 40, (3, 2)), int(rng.integers(0, 4))
        low, high = points.min(axis=0) - margin, points.max(axis=0) + margin
        touched = np.zeros((100, 100), bool)
        touched[30 + low[1] : 31 + high[1], 30 + low[0] : 31 + high[0]] = True
        seen = touched[30:46, 30:54]
        box = geometry.box_of(points, margin, seen.shape)
        assert (box is not None) == bool(seen.any())
        if box is not None:
            assert seen[box].all() and seen.sum() == seen[box].size


def test_a_box_outside_of_the_tile_is_none() -> None:
    assert geometry.clipped((-3, 0), (0, 5), (10, 10)) is None
    assert geometry.clipped((2, 5), (10, 12), (10, 10)) is None
    assert geometry.clipped((4, 4), (0, 5), (10, 10)) is None
    assert geometry.clipped((-3, 1), (9, 12), (10, 10)) == (slice(0, 1), slice(9, 10))


def test_a_box_and_its_points_are_seen_from_the_same_corner() -> None:
    box = (slice(3, 8), slice(5, 6))
    assert geometry.inside(box, 3, -2) == (slice(0, 5), slice(7, 8))
    moved = geometry.within(np.array([[5, 3], [6, 8]]), box)
    np.testing.assert_array_equal(moved, [[0, 0], [1, 5]])


@pytest.mark.parametrize(
    ("middle", "radius", "seen"),
    [((5, 5), 3, True), ((-2, 5), 3, True), ((-9, 5), 3, False), ((5, 5), 400, True)],
)
def test_an_outline_meets_a_tile_that_it_crosses_or_surrounds(
    middle: tuple[int, int], radius: int, seen: bool
) -> None:
    outline = geometry.compass() * radius + np.array(middle)
    assert geometry.meets(outline, (10, 10)) is seen
