"""Cracks: a net of thin lines that closes islands, as dense as asked for, inside of its patch."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.cracks import Cracks

Array = np.ndarray
SIDE = 400


def cracks(**changes: Any) -> Cracks:
    fields = {
        "num_range": (1, 1),
        "size_range": (4.0, 4.0),
        "spacing_range": (0.06, 0.06),
        "width_range": (0.004, 0.004),
        "lift_range": (0.0, 0.0),
        "opacity_range": (1.0, 1.0),
        "tones": ("dark",),
    }
    return Cracks(**{**fields, **changes})


def drawn(number: int, shape: tuple[int, ...] = (SIDE, SIDE), **changes: Any) -> dict[str, Any]:
    return cracks(**changes).draw(shape, seeds.rng(7, "cracks", number))


def cracked(told: dict[str, Any], side: int = SIDE) -> tuple[Array, Array]:
    return cracks().apply(np.full((side, side, 3), 128, np.uint8), told)


def test_cracks_are_thin_and_one_network() -> None:
    for number in range(6):
        _, mask = cracked(drawn(number))
        assert cv2.distanceTransform(mask, cv2.DIST_L2, 5).max() < 7
        stats = cv2.connectedComponentsWithStats(cv2.dilate(mask, np.ones((3, 3), np.uint8)))[2]
        largest = stats[1 + np.argmax(stats[1:, cv2.CC_STAT_AREA])]
        assert largest[cv2.CC_STAT_WIDTH] > 0.8 * SIDE
        assert largest[cv2.CC_STAT_HEIGHT] > 0.8 * SIDE


def test_cracks_close_islands() -> None:
    for number in range(6):
        _, mask = cracked(drawn(number))
        islands = cv2.connectedComponentsWithStats(255 - mask, connectivity=4)[2][1:]
        large = islands[islands[:, cv2.CC_STAT_AREA] > 60]
        assert len(large) > 40
        assert large[:, cv2.CC_STAT_AREA].max() < 0.4 * SIDE**2


def test_half_the_spacing_is_twice_the_length() -> None:
    wide, narrow = (
        sum(
            np.count_nonzero(cracked(drawn(n, spacing_range=(spacing, spacing)))[1])
            for n in range(6)
        )
        for spacing in (0.12, 0.06)
    )
    assert 1.5 < narrow / wide < 2.4


def test_patches_are_where_they_should_be() -> None:
    for number in range(10):
        told = drawn(number, size_range=(0.5, 0.5), spacing_range=(0.03, 0.03))
        (patch,) = told["patches"]
        _, mask = cracked(told)
        rows, columns = np.nonzero(mask)
        away = np.hypot(columns - patch["x"], rows - patch["y"])
        assert np.mean(away < 1.25 * patch["radius"]) > 0.95
        assert away.max() < 2 * patch["radius"]


def test_tiles_off_the_patch_see_none() -> None:
    told = [drawn(n, (50, 50, 900), size_range=(0.2, 0.2)) for n in range(200)]
    assert 0.02 < np.mean([len(one["patches"]) for one in told]) < 0.2


@pytest.mark.parametrize("tone", ["dark", "bright"])
def test_tones_are_what_they_are_called(tone: str) -> None:
    out, mask = cracked(drawn(1, tones=(tone,)))
    change = out.astype(int)[mask > 0] - 128
    assert (change <= 0).all() if tone == "dark" else (change >= 0).all()
    assert np.abs(change).mean() > 20


def test_lifted_edges_are_pale_on_one_side_and_shaded_on_the_other() -> None:
    told = drawn(1, lift_range=(0.5, 0.5))
    out, mask = cracked(told)
    flat, narrow = cracked({"patches": [told["patches"][0] | {"lift": 0.0}]})
    beside = (mask > 0) & (narrow == 0)
    change = out.astype(int)[beside][:, 0] - 128
    assert (change > 5).sum() > 500 and (change < -3).sum() > 500
    assert (flat[beside] == 128).all()
