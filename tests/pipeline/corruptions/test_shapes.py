"""Shapes cover what they should, lie where they should, and are painted as their numbers say."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import seeds
from tests.pipeline.corruptions.conftest import Array, apply, family, photo_tile


@pytest.mark.parametrize("photo_side", [300, 400, 512])
@pytest.mark.parametrize("side", [128, 192])
def test_shapes_cover_what_they_should(side: int, photo_side: int, bank: Path) -> None:
    corruption = family("shapes", bank)
    covered = []
    for number in range(500):
        drawn = corruption.draw((side, side, photo_side), seeds.rng(7, "cover", number))
        _, mask = corruption.apply(np.zeros((side, side, 1), np.uint8), {**drawn, "shapes": [
            {**shape, "fill": "white"} for shape in drawn["shapes"]]})  # fmt: skip
        covered.append(np.count_nonzero(mask) / mask.size)
        assert drawn["covered"] == round(covered[-1], 5)
    share = np.mean([0.02 <= one <= 0.35 for one in covered])
    assert share >= 0.99
    assert np.std(covered) > 0.03  # and not always the same


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mask_of_shapes_is_exactly_what_was_painted(channels: int, bank: Path) -> None:
    corruption = family("shapes", bank, opacity_range=[1.0, 1.0], fills=["white"])
    tile = np.zeros((96, 130, channels), np.uint8)
    for number in range(30):
        drawn = corruption.draw((96, 130, 300), seeds.rng(7, number))
        out, mask = apply(corruption, tile, drawn)
        np.testing.assert_array_equal(out, mask[:, :, None].repeat(channels, 2))


def distance_mask(shape: dict[str, Any], height: int, width: int) -> Array:
    """Which pixels a shape may cover, computed apart."""
    y, x = np.mgrid[:height, :width]
    down, right, size = y - shape["y"], x - shape["x"], shape["size"]
    if shape["kind"] == "circle":
        return np.hypot(down, right) <= size + 0.5
    return (np.abs(down + 0.25) <= size / 2) & (np.abs(right + 0.25) <= size / 2)


def test_shapes_lie_where_their_numbers_say(bank: Path) -> None:
    corruption = family("shapes", bank)
    for number in range(60):
        drawn = corruption.draw((96, 130, 300), seeds.rng(7, number))
        for shape in drawn["shapes"]:
            _, mask = corruption.apply(np.zeros((96, 130, 3), np.uint8), {"shapes": [shape]})
            wanted = distance_mask(shape, 96, 130)
            rim = 6 * shape["size"] if shape["kind"] == "circle" else 2 * shape["size"] + 2
            assert np.count_nonzero((mask > 0) != wanted) <= rim


@pytest.mark.parametrize("kind", ["square", "circle"])
@pytest.mark.parametrize("fill", ["color", "black", "white", "noise"])
def test_a_fill_is_blended_with_its_opacity(fill: str, kind: str, bank: Path) -> None:
    tile = photo_tile(60, 70)
    shape = {
        "kind": kind, "y": 30, "x": 20, "size": 14, "fill": fill, "color": [10, 200, 90],
        "opacity": 0.7, "seed": 11,
    }  # fmt: skip
    out, mask = apply(family("shapes", bank), tile, {"shapes": [shape]})
    inside = mask > 0
    assert 150 < np.count_nonzero(inside) < 700
    np.testing.assert_array_equal(out[~inside], tile[~inside])
    flat = {"color": [10, 200, 90], "black": [0, 0, 0], "white": [255, 255, 255]}
    if fill != "noise":
        wanted = 0.3 * tile[inside] + 0.7 * np.array(flat[fill])
        assert np.abs(out[inside] - wanted).max() <= 0.51
    else:
        painted = (out[inside] - 0.3 * tile[inside]) / 0.7
        assert painted.min() > -1 and painted.max() < 256
        assert abs(painted.mean() - 127.5) < 15 and abs(painted.std() - 73.9) < 10


def test_every_kind_fill_and_opacity_occurs(bank: Path) -> None:
    corruption = family("shapes", bank)
    draws = [corruption.draw((128, 128, 300), seeds.rng(7, n)) for n in range(150)]
    shapes = [shape for drawn in draws for shape in drawn["shapes"]]
    kinds, fills = Counter(s["kind"] for s in shapes), Counter(s["fill"] for s in shapes)
    assert set(kinds) == {"square", "circle"} and min(kinds.values()) > 0.3 * len(shapes)
    assert set(fills) == {"color", "black", "white", "noise"}
    assert min(fills.values()) > 0.15 * len(shapes)
    opacities = [shape["opacity"] for shape in shapes]
    assert 0.6 <= min(opacities) < 0.65 and 0.95 < max(opacities) <= 1.0
    sizes = [shape["size"] for shape in shapes]
    assert min(sizes) >= 0.03 * 300 - 1 and max(sizes) <= 0.12 * 300 + 1


def test_fills_can_be_narrowed(bank: Path) -> None:
    corruption = family("shapes", bank, fills=["black"])
    drawn = corruption.draw((128, 128, 300), seeds.rng(7))
    assert {shape["fill"] for shape in drawn["shapes"]} == {"black"}


def test_sizes_follow_the_photo_and_not_the_tile() -> None:
    corruption = family("shapes", covered_range=[0.0, 1.0])  # which is of the tile

    def mean_size(photo_side: int) -> float:
        draws = [corruption.draw((256, 256, photo_side), seeds.rng(7, n)) for n in range(80)]
        return float(np.mean([shape["size"] for drawn in draws for shape in drawn["shapes"]]))

    assert 1.9 < mean_size(800) / mean_size(400) < 2.1


def test_the_number_of_shapes_is_that_of_the_photo() -> None:
    corruption = family("shapes", covered_range=[0.0, 1.0], num_range=[40, 40])

    def mean_number(side: int) -> float:
        draws = [corruption.draw((side, side, 800), seeds.rng(7, n)) for n in range(60)]
        return float(np.mean([len(drawn["shapes"]) for drawn in draws]))

    assert mean_number(800) == 40
    assert 9 < mean_number(400) < 15  # a quarter, and those that reach in
