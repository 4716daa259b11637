"""Tears: from the photo's border inwards, ragged, with a rim of paper before the lid."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions import Window
from pipeline.corruptions.tears import Tears

Array = np.ndarray
SIDE = 320


def tears(**changes: Any) -> Tears:
    fields = {
        "num_range": (1, 1),
        "size_range": (0.25, 0.25),
        "rough_range": (0.2, 0.4),
        "rim_range": (0.02, 0.03),
        "kinds": ("corner", "edge"),
        "backgrounds": ("white", "black", "gray", "color"),
    }
    return Tears(**{**fields, **changes})


def drawn(number: int, shape: tuple[int, ...] = (SIDE, SIDE), **changes: Any) -> dict[str, Any]:
    return tears(**changes).draw(shape, seeds.rng(7, "tears", number))


def torn(told: dict[str, Any], level: int = 128, side: int = SIDE) -> tuple[Array, Array]:
    return tears().apply(np.full((side, side, 3), level, np.uint8), told)


@pytest.mark.parametrize("kind", ["corner", "edge"])
def test_every_tear_reaches_the_border_of_the_photo(kind: str) -> None:
    for number in range(25):
        _, mask = torn(drawn(number, kinds=(kind,), num_range=(1, 3)))
        count, labels = cv2.connectedComponents(mask)
        frame = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        sizes = np.bincount(labels.ravel(), minlength=count)
        loose = set(range(1, count)) - set(frame.tolist())
        assert mask.any()
        assert sum(sizes[one] for one in loose) <= 0.01 * np.count_nonzero(mask)  # fibers


def test_a_corner_takes_a_corner_and_an_edge_leaves_most_of_them() -> None:
    taken = {"corner": 0, "edge": 0}
    for kind in taken:
        for number in range(30):
            _, mask = torn(drawn(number, kinds=(kind,)))
            taken[kind] += np.count_nonzero(mask[:: SIDE - 1, :: SIDE - 1])
    assert taken["corner"] == 30
    assert taken["edge"] < 20


def test_many_corners_are_different_ones() -> None:
    for number in range(10):
        _, mask = torn(drawn(number, kinds=("corner",), num_range=(4, 4), size_range=(0.15, 0.15)))
        assert mask[:: SIDE - 1, :: SIDE - 1].all()


@pytest.mark.parametrize("kind", ["corner", "edge"])
def test_as_much_is_missing_as_the_size_says(kind: str) -> None:
    shares = [
        np.count_nonzero(torn(drawn(number, kinds=(kind,), rim_range=(0.0, 0.0)))[1]) / SIDE**2
        for number in range(60)
    ]
    assert 0.6 < np.mean(shares) / (0.25**2 / 2) < 1.3  # less where an edge's tear leaves the photo


def test_only_tiles_near_the_border_see_a_tear() -> None:
    shape, far, near = (64, 64, 900), 0, 0
    for number in range(400):
        place = Window.of(shape).place(seeds.rng(7, "tears", number))
        told = drawn(number, shape, size_range=(0.1, 0.1), num_range=(4, 4))
        rooms = (place.top, place.left, place.height - 64 - place.top,
                 place.width - 64 - place.left)  # fmt: skip
        if min(rooms) > 0.3 * 900:
            far += 1
            assert told["tears"] == [] and not torn(told, side=64)[1].any()
        elif told["tears"]:
            near += 1
            assert torn(told, side=64)[1].any()
    assert far > 30 and near > 10


def test_the_lid_is_flat_where_no_shadow_falls() -> None:
    for background, low, high in (("white", 244, 255), ("black", 0, 21), ("gray", 40, 129)):
        told = drawn(2, kinds=("corner",), backgrounds=(background,), size_range=(0.5, 0.5))
        out, mask = torn(told)
        corners = out[:: SIDE - 1, :: SIDE - 1][mask[:: SIDE - 1, :: SIDE - 1] > 0]
        assert len(corners) == 1 and (corners == told["background"]).all()
        assert low <= corners.min() and corners.max() <= high


def test_a_rim_of_paper_lies_between_picture_and_lid() -> None:
    told = drawn(4, kinds=("corner",), backgrounds=("black",), rim_range=(0.03, 0.03))
    told["background"] = [0, 0, 0]
    out, mask = torn(told, level=0)  # a black photo on a black lid: only the paper is bright
    paper = (out.max(axis=2) > 110).astype(np.uint8)
    lid = cv2.erode(mask, np.ones((3, 3), np.uint8)) * (1 - cv2.dilate(paper, np.ones((3, 3))))
    assert np.count_nonzero(paper) > 100
    assert not paper[mask == 0].any()
    reach = cv2.distanceTransform(np.pad(mask, 40, mode="edge"), cv2.DIST_L2, 5)[40:-40, 40:-40]
    assert reach[paper > 0].max() < 1.6 * 0.03 * SIDE + 3  # as wide as drawn
    assert reach[lid > 0].max() > 4 * 0.03 * SIDE  # and the lid behind it
    without = drawn(4, kinds=("corner",), backgrounds=("black",), rim_range=(0.0, 0.0))
    without["background"] = [0, 0, 0]
    bare = torn(without, level=0)[0].max(axis=2) > 110
    assert np.count_nonzero(bare) < 0.1 * np.count_nonzero(paper)


def test_rough_outlines_are_longer() -> None:
    lengths = []
    for rough in (0.0, 0.4, 0.9):
        total = 0.0
        for number in range(12):
            told = drawn(number, rough_range=(rough, rough), rim_range=(0.0, 0.0))
            outline = cv2.findContours(torn(told)[1], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][
                0
            ]
            total += cv2.arcLength(outline, True) / cv2.arcLength(cv2.convexHull(outline), True)
        lengths.append(total / 12)
    assert 1.0 <= lengths[0] < 1.12
    assert lengths[0] + 0.02 < lengths[1] < lengths[2] - 0.03, lengths
