"""Folds run where their kind says, with a lit and a shaded flank, and flake more the more worn."""

import math
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.folds import Folds

Array = np.ndarray
SHAPE = (400, 500)
GRAY = np.full((*SHAPE, 3), 128, np.uint8)


def drawn(kind: str, number: int, shape: tuple[int, ...] = SHAPE, **changes: Any) -> dict[str, Any]:
    """What a family of one kind of folds draws."""
    fields = Folds.at(0.6).model_dump() | {"kinds": (kind,)} | changes
    return Folds(**fields).draw(shape, seeds.rng(7, "folds", number))


def bend(told: dict[str, Any], tile: Array = GRAY) -> tuple[Array, Array]:
    return Folds.at(0.6).apply(tile, told)


def direction(fold: dict[str, Any]) -> float:
    """In degrees, 0 to 180."""
    x0, y0, x1, y1 = fold["ends"]
    return math.degrees(math.atan2(y1 - y0, x1 - x0)) % 180


def test_a_fold_runs_from_border_to_border() -> None:
    for number in range(12):
        told = drawn("parallel", number, num_range=(1, 1))
        mask = bend(told)[1]
        upright = abs(direction(told["folds"][0]) - 90) < 45
        along = mask.any(axis=1) if upright else mask.any(axis=0)
        assert np.mean(along) > 0.97
        assert np.count_nonzero(mask) < 0.3 * mask.size


def outside(x: float, y: float) -> bool:
    return not (0 <= x <= SHAPE[1] and 0 <= y <= SHAPE[0])


@pytest.mark.parametrize("kind", ["parallel", "quarters", "corner", "free"])
def test_every_fold_ends_outside_of_the_photo_or_on_another(kind: str) -> None:
    joints = 0
    for number in range(40):
        folds = drawn(kind, number, num_range=(3, 3))["folds"]
        for fold in folds:
            x0, y0, x1, y1 = fold["ends"]
            assert outside(x1, y1)
            if outside(x0, y0):
                assert not fold["joined"]
                continue
            joints += 1
            assert fold["joined"] and kind == "free"
            away = [
                abs((x0 - a) * (d - b) - (y0 - b) * (c - a)) / math.hypot(c - a, d - b)
                for a, b, c, d in (other["ends"] for other in folds if other is not fold)
            ]
            assert min(away) < 0.2
    assert (joints > 20) == (kind == "free")


def test_free_folds_are_seen_from_border_to_border() -> None:
    for number in range(12):
        told = drawn("free", number, num_range=(1, 1), worn_range=(0.9, 0.9))
        mask = bend(told)[1]
        x0, y0, x1, y1 = told["folds"][0]["ends"]
        steps = np.linspace(0, 1, 400)
        xs, ys = x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps
        seen = (xs > 2) & (xs < SHAPE[1] - 3) & (ys > 2) & (ys < SHAPE[0] - 3)
        assert mask[ys[seen].astype(int), xs[seen].astype(int)].astype(bool).mean() > 0.97


def test_a_letter_has_parallel_folds_and_quarters_cross_at_right_angles() -> None:
    for number in range(20):
        first, second = map(direction, drawn("parallel", number)["folds"])
        assert abs((first - second + 90) % 180 - 90) < 10
        first, second = map(direction, drawn("quarters", number)["folds"])
        assert 80 < abs(first - second) < 100
        mask = bend(drawn("quarters", number))[1]
        assert mask[150:250, 200:300].any()  # they cross near the middle


def test_dog_ears_keep_to_their_corners() -> None:
    corners = np.zeros(SHAPE, bool)
    reach = int(0.45 * 400)  # 30 % of the short side, a tenth beyond, the flank
    for rows in (slice(0, reach), slice(-reach, None)):
        for columns in (slice(0, reach), slice(-reach, None)):
            corners[rows, columns] = True
    for number in range(20):
        mask = bend(drawn("corner", number))[1]
        assert mask.any() and not mask[~corners].any()
        assert len({fold["ends"][0] > 250 for fold in drawn("corner", number)["folds"]}) <= 2


def test_a_tile_far_from_the_corner_sees_no_dog_ear() -> None:
    near = 0
    for number in range(60):
        told = drawn("corner", number, (100, 100, 1000), num_range=(4, 4))
        top, left = told["at"]
        out, mask = bend(told, np.full((100, 100, 3), 128, np.uint8))
        if min(top, 900 - top) + min(left, 900 - left) > 700:
            assert not told["folds"] and not mask.any() and (out == 128).all()
            assert Folds.at(0.6).severity(told) == 0
        near += bool(told["folds"])
    assert 3 < near < 50


def test_one_flank_is_lit_and_the_other_in_the_shade() -> None:
    for number in range(8):
        worn = {"num_range": (1, 1), "worn_range": (0.5, 0.5), "flank_range": (0.04, 0.05)}
        told = drawn("parallel", number, **worn)
        fold = told["folds"][0]
        out = bend(told)[0].mean(axis=2)
        x0, y0, x1, y1 = fold["ends"]
        length = math.hypot(x1 - x0, y1 - y0)
        y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
        aside = ((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) / length
        beside = (np.abs(aside) > 4) & (np.abs(aside) < 0.5 * fold["flank"])
        sides = [np.median(out[beside & side]) for side in (aside > 0, aside < 0)]
        assert max(sides) > 129 and min(sides) < 127
        assert (sides[0] > sides[1]) == bool(fold["lit"])
        assert (out[np.abs(aside) > fold["flank"] + 20] == 128).all()


@pytest.mark.parametrize("kind", ["parallel", "free"])
def test_more_paper_shows_the_more_a_fold_is_worn(kind: str) -> None:
    black = np.full((*SHAPE, 3), 10, np.uint8)
    paper = []
    for worn in (0.1, 0.4, 0.7, 1.0):
        bare = 0
        for number in range(8):
            told = drawn(kind, number, worn_range=(worn, worn))
            bare += np.count_nonzero(bend(told, black)[0].min(axis=2) > 150)
        paper.append(bare)
    assert paper[0] < 0.02 * paper[3]
    assert paper == sorted(paper)


def test_chips_are_islands_of_many_sizes_near_the_ridge() -> None:
    islands, sizes = [], []
    for number in range(8):
        told = drawn("parallel", number, num_range=(1, 1), worn_range=(1.0, 1.0))
        out = bend(told, np.full((*SHAPE, 3), 10, np.uint8))[0]
        bare = (out.min(axis=2) > 150).astype(np.uint8)
        stats = cv2.connectedComponentsWithStats(bare)[2][1:]
        islands.append(len(stats))
        sizes += stats[:, cv2.CC_STAT_AREA].tolist()
        x0, y0, x1, y1 = told["folds"][0]["ends"]
        y, x = np.nonzero(bare)
        away = np.abs((y - y0) * (x1 - x0) - (x - x0) * (y1 - y0)) / math.hypot(x1 - x0, y1 - y0)
        assert np.percentile(away, 99) < 0.06 * 400
    assert np.median(islands) > 8
    assert max(sizes) > 50 * np.median(sizes)


def test_a_tile_sees_its_part_of_the_photo() -> None:
    whole = seeds.field(1).integers(0, 256, (*SHAPE, 3), np.uint8)
    for kind in ("parallel", "quarters", "corner", "free"):
        told = drawn(kind, 1, worn_range=(0.9, 0.9))
        out, mask = bend(told, whole)
        tile, touched = bend({**told, "at": [130, 211]}, whole[130:330, 211:411])
        np.testing.assert_array_equal(tile, out[130:330, 211:411])
        np.testing.assert_array_equal(touched, mask[130:330, 211:411])
