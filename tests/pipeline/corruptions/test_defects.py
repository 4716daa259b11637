"""Defects: each kind with the shape and the shading that it is named after."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.defects import Defects

Array = np.ndarray
KINDS = ("scratch", "pit", "dent", "inclusion", "crack", "blotch")
SIDE, LEVEL = 400, 140


def defects(**changes: Any) -> Defects:
    fields = {
        "num_range": (1, 1),
        "size_range": (0.12, 0.12),
        "contrast_range": (0.9, 0.9),
        "kinds": KINDS,
    }
    return Defects(**{**fields, **changes})


def alone(kind: str, number: int, **changes: Any) -> tuple[Array, Array, dict[str, Any]]:
    """The change (levels, mean of the channels) and mask of one mark in the middle of a flat
    part."""
    told = defects(kinds=(kind,), **changes).draw((SIDE, SIDE), seeds.rng(7, kind, number))
    told["marks"][0] |= {"y": SIDE // 2, "x": SIDE // 2}
    out, mask = defects().apply(np.full((SIDE, SIDE, 3), LEVEL, np.uint8), told)
    return out.astype(float).mean(axis=2) - LEVEL, mask, told["marks"][0]


def length_and_breadth(mask: Array) -> tuple[float, float]:
    points = np.argwhere(mask > 0)[:, ::-1].astype(np.float32)
    sides = sorted(cv2.minAreaRect(points)[1])
    return sides[1], max(1.0, sides[0])


@pytest.mark.parametrize("kind", KINDS)
def test_marks_are_local_and_as_large_as_asked_for(kind: str) -> None:
    lengths = []
    for number in range(20):
        change, mask, _ = alone(kind, number)
        assert np.abs(change[mask > 0]).max() > 8
        assert not change[mask == 0].any()
        lengths.append(length_and_breadth(mask)[0] / SIDE)
    size = {"scratch": 0.36, "crack": 0.36, "blotch": 0.19}.get(kind, 0.12)
    assert 0.6 * size < np.mean(lengths) < 1.5 * size
    assert max(lengths) < 2.2 * size


@pytest.mark.parametrize("kind", KINDS)
def test_no_two_marks_are_the_same(kind: str) -> None:
    masks = {alone(kind, number)[1].tobytes() for number in range(8)}
    assert len(masks) == 8


def test_scratches_are_long_straight_and_thin() -> None:
    for number in range(20):
        _, mask, _ = alone("scratch", number)
        long, broad = length_and_breadth(mask)
        assert long / broad > 4
        assert cv2.distanceTransform(mask, cv2.DIST_L2, 5).max() < 0.06 * long


def test_cracks_are_dark_thin_and_branched() -> None:
    reaches = []
    for number in range(20):
        change, mask, _ = alone("crack", number)
        long, broad = length_and_breadth(mask)
        thick = 2 * cv2.distanceTransform(mask, cv2.DIST_L2, 5).max()
        assert change.min() < -60 and thick < 0.25 * long
        reaches.append(broad / thick)
    assert np.mean(reaches) > 2.5  # a lone line would be as broad as thick


def test_dents_shade_one_side_and_light_the_other() -> None:
    for number in range(20):
        change, _, mark = alone("dent", number)
        bright, dark = change > 2, change < -2
        assert min(bright.sum(), dark.sum()) > 0.5 * max(bright.sum(), dark.sum())
        middles = [np.argwhere(side).mean(axis=0) for side in (bright, dark)]
        apart = np.hypot(*(middles[0] - middles[1]))
        assert apart > 0.4 * mark["radius"]


def test_the_light_falls_the_same_way_on_all_dents_of_a_photo() -> None:
    told = defects(num_range=(6, 6), kinds=("dent",)).draw((SIDE, SIDE), seeds.rng(7, "light"))
    ways = []
    for mark in told["marks"]:
        one = {**told, "marks": [mark | {"y": SIDE // 2, "x": SIDE // 2}]}
        out, _ = defects().apply(np.full((SIDE, SIDE, 1), LEVEL, np.uint8), one)
        change = out[:, :, 0].astype(int) - LEVEL
        middles = [np.argwhere(side).mean(axis=0) for side in (change > 2, change < -2)]
        way = middles[0] - middles[1]
        ways.append(way / np.hypot(*way))
    assert np.hypot(*np.mean(ways, axis=0)) > 0.9


def test_pits_are_dark_inside_with_a_pale_rim() -> None:
    for number in range(20):
        change, _, _ = alone("pit", number)
        assert change.min() < -60
        assert change.max() > 5


def sharpness(kind: str) -> float:
    """The steepest step of each mark against its deepest level, over 20 of them."""
    found = []
    for number in range(20):
        change, _, _ = alone(kind, number)
        step = max(np.abs(np.diff(change, axis=axis)).max() for axis in (0, 1))
        found.append(step / np.abs(change).max())
    return float(np.mean(found))


def test_inclusions_have_sharp_outlines_and_blotches_soft_ones() -> None:
    assert sharpness("inclusion") > 2 * sharpness("blotch")
    assert sharpness("blotch") > sharpness("dent")


def test_marks_are_counted_for_the_photo_and_not_for_the_tile() -> None:
    told = [
        defects(num_range=(20, 20), size_range=(0.02, 0.02), kinds=("pit",)).draw(
            (100, 100, SIDE), seeds.rng(7, number)
        )
        for number in range(60)
    ]
    assert 1.0 < np.mean([len(one["marks"]) for one in told]) < 3.5  # a sixteenth, and its margin


def test_drawn_on_both_pictures_they_change_both_alike() -> None:
    told = defects(num_range=(5, 5)).draw((SIDE, SIDE), seeds.rng(7, "both"))
    clean = np.full((SIDE, SIDE, 3), LEVEL, np.uint8)
    noisy = cv2.add(clean, seeds.field(1).integers(0, 30, clean.shape, np.uint8))
    (first, mask), (second, again) = (defects().apply(one, told) for one in (clean, noisy))
    np.testing.assert_array_equal(mask, again)
    np.testing.assert_array_equal(second[mask == 0], noisy[mask == 0])
    before, after = (np.abs(a.astype(int) - b)[mask > 0].mean() for a, b in
                     ((clean, noisy), (first, second)))  # fmt: skip
    assert after < before  # what the marks hide, they hide in both
