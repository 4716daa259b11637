"""Arrays scale, resize, join without a seam and are laid out for people."""

import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import images
from tests.pipeline.photo_files import COLOR, GRAY, HEIGHT, WIDTH, noise


def test_16_bits_scale_to_8_by_rounding() -> None:
    deep = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(images.to_uint8(deep), np.rint(deep / 257).astype(np.uint8))
    assert images.to_uint8(GRAY) is GRAY


def test_gray_is_bt_601_luma() -> None:
    wanted = COLOR @ np.array([0.299, 0.587, 0.114])
    gray = images.to_gray(COLOR)
    assert gray.shape == (HEIGHT, WIDTH, 1)
    assert np.abs(gray[:, :, 0] - wanted).max() <= 1
    assert images.to_gray(gray) is gray
    np.testing.assert_array_equal(images.to_rgb(gray), gray.repeat(3, axis=2))
    assert images.to_rgb(COLOR) is COLOR


@pytest.mark.parametrize("shape", [(20, 30, 3), (20, 30, 1), (20, 30)])
def test_resizing_keeps_channels_and_averages_areas(shape: tuple[int, ...]) -> None:
    picture = noise(*shape)
    half = images.resize(picture, 10, 15)
    assert half.shape == (10, 15, *shape[2:])
    blocks = picture.reshape(10, 2, 15, 2, *shape[2:]).mean(axis=(1, 3))
    assert np.abs(half - blocks).max() <= 0.5
    assert images.resize(picture, 40, 15).shape == (40, 15, *shape[2:])


@given(st.integers(1, 3000), st.integers(1, 300), st.integers(0, 299))
@settings(deadline=None)
def test_windows_cover_and_overlap(length: int, tile: int, overlap: int) -> None:
    assume(overlap < tile)
    starts = images.windows(length, tile, overlap)
    assert starts[0] == 0
    if length <= tile:
        assert starts == [0]
    else:
        assert starts[-1] + tile == length
        steps = np.diff(starts)
        assert steps.min() > 0 and steps.max() <= tile - overlap


@given(st.integers(1, 700), st.integers(1, 120), st.integers(0, 60))
@settings(deadline=None)
def test_feathered_windows_blend_without_a_seam(length: int, tile: int, overlap: int) -> None:
    assume(overlap < tile)
    signal = np.linspace(0, 1, length)
    total, weight = np.zeros(length), np.zeros(length)
    starts = images.windows(length, tile, overlap)
    for start in starts:
        end = min(start + tile, length)
        ramp = images.feather(end - start, overlap, start == 0, end == length)
        assert ramp.dtype == np.float32 and ramp.shape == (end - start,)
        assert ramp.min() > 0 and ramp.max() <= 1
        total[start:end] += ramp * signal[start:end]
        weight[start:end] += ramp
    assert weight.min() > 0
    np.testing.assert_allclose(total / weight, signal, atol=1e-6)


def test_two_windows_that_share_the_overlap_sum_to_one() -> None:
    weight = np.zeros(28)
    weight[:16] += images.feather(16, 4, True, False)
    weight[12:] += images.feather(16, 4, False, True)
    np.testing.assert_allclose(weight, 1, atol=1e-6)


def test_a_feathered_side_rises_evenly_and_is_mirrored() -> None:
    np.testing.assert_allclose(
        images.feather(10, 3, False, False), [0.25, 0.5, 0.75, 1, 1, 1, 1, 0.75, 0.5, 0.25]
    )
    np.testing.assert_allclose(images.feather(4, 3, True, False), [1, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(images.feather(5, 2, True, True), np.ones(5))
    np.testing.assert_allclose(images.feather(3, 3, False, False), [0.25, 0.5, 0.25])


def test_a_sheet_holds_every_picture_on_white() -> None:
    mask, gray = noise(5, 6), noise(8, 9, 1)
    color = noise(7, 4, 3)
    sheet = images.sheet([[color, mask], [gray]], gap=2)
    assert sheet.shape == (7 + 2 + 8, 4 + 2 + 6, 3) and sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[:7, :4], color)
    np.testing.assert_array_equal(sheet[:5, 6:12], mask[:, :, None].repeat(3, 2))
    np.testing.assert_array_equal(sheet[9:17, :9], gray.repeat(3, 2))
    rest = np.ones(sheet.shape[:2], bool)
    rest[:7, :4] = rest[:5, 6:12] = rest[9:17, :9] = False
    assert (sheet[rest] == 255).all()


@pytest.mark.parametrize("shape", [(12, 9, 3), (12, 9, 1), (12, 9)])
def test_pictures_for_people_are_lossless_png(shape: tuple[int, ...]) -> None:
    with Image.open(io.BytesIO(images.encode_png(noise(*shape)))) as image:
        np.testing.assert_array_equal(np.array(image).reshape(shape), noise(*shape))


def test_difference_maps_are_the_mean_over_channels_magnified_and_clipped() -> None:
    a = np.zeros((1, 4, 3), np.uint8)
    b = np.array([[[0, 0, 0], [1, 2, 4], [255, 255, 255], [3, 0, 0]]], np.uint8)
    expected = [[0, round(4 * 7 / 3), 255, 4]]
    for first, second in ((a, b), (b, a)):
        made = images.difference_map(first, second)
        assert made.dtype == np.uint8 and made.shape == (1, 4, 1)
        np.testing.assert_array_equal(made[:, :, 0], expected)
    np.testing.assert_array_equal(images.difference_map(a[..., :1], b[..., :1], 10)[0, 1], [10])
