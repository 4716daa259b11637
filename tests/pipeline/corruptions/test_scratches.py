"""Scratches are long and thin, lie in bundles, break up, and follow the photo and not the tile."""

from typing import Any

import cv2
import numpy as np

from pipeline import seeds
from pipeline.corruptions.scratches import Scratches

Array = np.ndarray
GRAY = np.full((400, 500, 3), 128, np.uint8)


def drawn(number: int, shape: tuple[int, ...] = (400, 500), **changes: Any) -> dict[str, Any]:
    """What the family at full severity draws, with some fields changed."""
    fields = Scratches.at(1.0).model_dump() | changes
    return Scratches(**fields).draw(shape, seeds.rng(7, "scratches", number))


def marks(tile: Array, told: dict[str, Any]) -> tuple[Array, Array]:
    return Scratches.at(1.0).apply(tile, told)


def pieces(mask: Array) -> list[tuple[float, float, float]]:
    """(length, width, direction in degrees) of every connected mark of some size."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    found = []
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] >= 12:
            rows, columns = np.nonzero(labels == label)
            places = np.stack([columns - columns.mean(), rows - rows.mean()])
            spread, axes = np.linalg.eigh(np.cov(places))
            thin, long = np.sqrt(12 * np.maximum(spread, 0.08))
            found.append((long, thin, float(np.degrees(np.arctan2(*axes[::-1, 1])) % 180)))
    return found


def alignment(mask: Array) -> float:
    """1 where all marks lie the same way, near 0 where they lie anyhow."""
    double = np.radians([2 * direction for _, _, direction in pieces(mask)])
    return float(np.hypot(np.cos(double).mean(), np.sin(double).mean()))


def test_scratches_are_long_and_thin() -> None:
    ratios, widths = [], []
    for number in range(12):
        told = drawn(number, num_range=(3, 3), gaps_range=(0.0, 0.0), length_range=(0.3, 0.6))
        for long, thin, _ in pieces(marks(GRAY, told)[1]):
            ratios.append(long / thin)
            widths.append(thin)
    assert len(ratios) >= 20
    assert np.median(ratios) > 15
    assert np.median(widths) < 0.02 * 400


def test_a_bundle_lies_one_way() -> None:
    for number in range(6):
        loose = drawn(number, num_range=(60, 60), bundled_range=(0.0, 0.0))
        bundled = {**loose, "bundled": 1.0}
        ways = alignment(marks(GRAY, bundled)[1]), alignment(marks(GRAY, loose)[1])
        assert ways[0] > 0.7 and ways[0] > ways[1]


def test_bright_scratches_lighten_and_dark_ones_darken() -> None:
    for bright, sign in ((1.0, 1), (0.0, -1)):
        out, mask = marks(GRAY, drawn(3, bright_range=(bright, bright)))
        change = sign * (out.astype(int) - 128).mean(axis=2)[mask > 0]
        assert np.mean(change > 0) > 0.8  # a burr is of the other sort
        assert change.sum() > 0


def test_gaps_take_away_from_the_same_scratches() -> None:
    told = drawn(4, gaps_range=(0.0, 0.0))
    covered = [np.count_nonzero(marks(GRAY, {**told, "gaps": gaps})[1]) for gaps in (0, 0.5, 1)]
    assert covered[0] > 1.2 * covered[1] > 1.2 * covered[2] > 0


def test_the_bounds_of_the_length_are_kept() -> None:
    told = drawn(5, num_range=(80, 80), bundled_range=(0.0, 0.0), length_range=(0.02, 0.1))
    lengths = [long for long, _, _ in pieces(marks(GRAY, {**told, "gaps": 0.0})[1])]
    assert np.percentile(lengths, 90) <= 0.1 * 400 + 6


def test_a_tile_sees_its_part_of_the_photo() -> None:
    whole = seeds.field(1).integers(0, 256, (400, 500, 3), np.uint8)
    for number in range(6):
        told = drawn(number)
        out, mask = marks(whole, told)
        tile, touched = marks(whole[130:330, 211:411], {**told, "at": [130, 211]})
        np.testing.assert_array_equal(tile, out[130:330, 211:411])
        np.testing.assert_array_equal(touched, mask[130:330, 211:411])


def test_a_twice_as_large_photo_has_twice_as_large_scratches() -> None:
    small = drawn(6, num_range=(40, 40), width_range=(0.004, 0.006), gaps_range=(0.0, 0.0))
    large = {**small, "photo": [800, 1000, 800]}
    areas = [
        np.count_nonzero(marks(np.full((side, side * 5 // 4, 3), 128, np.uint8), told)[1])
        for side, told in ((400, small), (800, large))
    ]
    assert 2.5 < areas[1] / areas[0] < 5
