"""Blocks lie on the photo's grid, lower quality is worse, and both codecs are used."""

import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.jpeg import Jpeg
from tests.pipeline.corruptions.conftest import Array, apply, mse, photo_tile, real_photos


def coded(tile: Array, quality: int, kind: str = "jpeg", phase: tuple = (0, 0)) -> Array:
    drawn = {"kind": kind, "quality": quality, "phase": list(phase)}
    return apply(Jpeg.at(0.5), tile, drawn)[0]


def jumps(out: Array, axis: int) -> Array:
    """Mean step across each line between two rows or columns."""
    steps = np.abs(np.diff(out.astype(int), axis=axis))
    return steps.mean(axis=(1 - axis, 2))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("phase", [(0, 0), (3, 0), (5, 13), (15, 8)])
def test_blocks_of_eight_begin_where_the_phase_says(phase: tuple[int, int], channels: int) -> None:
    ramp = np.add.outer(np.arange(160), np.arange(160)) / 2 + 40
    tile = np.repeat(ramp[:, :, None], channels, 2).astype(np.uint8)
    out = coded(tile, 5, phase=phase)
    for axis in (0, 1):
        found = jumps(out, axis)
        edges = (np.arange(len(found)) + 1 + phase[axis]) % 8 == 0
        assert found[edges].mean() > 4 * found[~edges].mean()


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_a_tile_in_the_photo_is_coded_as_the_photo_is(kind: str) -> None:
    photo = real_photos(256)[0]
    top, left = 45, 67
    tile = photo[top : top + 128, left : left + 128]
    wanted = coded(photo, 30, kind)[top : top + 128, left : left + 128]
    on_grid = coded(tile, 30, kind, (top % 16, left % 16))
    inner = slice(16, 112)
    assert mse(on_grid[inner, inner], wanted[inner, inner]) < 0.5 * mse(
        coded(tile, 30, kind)[inner, inner], wanted[inner, inner]
    )
    if kind == "jpeg":  # whose blocks do not depend on one another
        np.testing.assert_array_equal(on_grid[inner, inner], wanted[inner, inner])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_lower_quality_is_worse_and_100_is_untouched(kind: str, channels: int) -> None:
    photo = real_photos(128)[0][:, :, :channels]
    errors = [mse(coded(photo, quality, kind), photo) for quality in (100, 95, 75, 50, 25, 10, 4)]
    assert errors == sorted(set(errors)) and errors[0] == 0
    assert 1 < errors[3] < 200


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_color_is_coded_in_the_right_order_and_coarser_than_light(kind: str) -> None:
    flat = np.zeros((64, 64, 3), np.uint8)
    flat[:] = (200, 60, 20)
    assert np.abs(coded(flat, 90, kind).astype(int) - flat).max() <= 6
    lines = np.full((64, 64, 3), 128, np.uint8)
    lines[:, ::2] = (188, 108, 88)  # about the same light
    out = coded(lines, 90, kind).astype(int)
    assert np.abs(np.diff(out[:, :, 0], axis=1)).mean() < 0.5 * 60


def test_gray_stays_gray() -> None:
    tile = photo_tile(50, 70, 1)
    for kind in ("jpeg", "webp"):
        assert coded(tile, 40, kind).shape == tile.shape


def test_every_quality_codec_and_phase_occurs() -> None:
    corruption = Jpeg(kinds=("jpeg", "webp"), quality_range=(10, 20))
    draws = [corruption.draw((64, 64, 500), seeds.rng(7, number)) for number in range(400)]
    assert {one["quality"] for one in draws} == set(range(10, 21))
    assert 150 < sum(one["kind"] == "webp" for one in draws) < 250
    for axis in (0, 1):
        assert {one["phase"][axis] for one in draws} == set(range(16))
    assert corruption.draw((64, 64), seeds.rng(7))["phase"] == [0, 0]


def test_webp_gives_way_where_the_format_ends() -> None:
    corruption = Jpeg(kinds=("webp",), quality_range=(50, 50))
    assert corruption.draw((2, 17000), seeds.rng(7))["kind"] == "jpeg"
