"""Shard PNGs: any reader opens ours, we open any, and damage never passes as a picture."""

import hashlib
import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from isal import isal_zlib
from PIL import Image

from pipeline import png, seeds
from pipeline.errors import ImageError

SIDES = st.integers(1, 40)
Array = np.ndarray


def pictures(channels: int) -> st.SearchStrategy[Array]:
    shapes = st.tuples(SIDES, SIDES, st.just(channels))
    return shapes.flatmap(lambda shape: arrays(np.uint8, shape))


def noise(*shape: int) -> Array:
    return seeds.field(sum(shape)).integers(0, 256, shape, np.uint8)


def pillow_reads(data: bytes) -> Array:
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image)


def cv2_reads(data: bytes) -> Array:
    planes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return planes if planes.ndim == 2 else planes[:, :, ::-1]


@given(pictures(3))
@settings(max_examples=60, deadline=None)
def test_color_comes_back_and_every_reader_agrees(picture: Array) -> None:
    data = png.encode(picture)
    for read in (png.decode, pillow_reads, cv2_reads):
        np.testing.assert_array_equal(read(data), picture)


@given(pictures(1))
@settings(max_examples=60, deadline=None)
def test_gray_comes_back_in_one_channel_and_every_reader_agrees(picture: Array) -> None:
    data = png.encode(picture)
    np.testing.assert_array_equal(png.decode(data), picture)
    for read in (pillow_reads, cv2_reads):
        np.testing.assert_array_equal(read(data), picture[:, :, 0])


@given(st.tuples(SIDES, SIDES).flatmap(lambda shape: arrays(np.uint8, shape)))
@settings(max_examples=60, deadline=None)
def test_masks_come_back_as_0_and_255(mask: Array) -> None:
    data = png.encode_mask(mask)
    wanted = np.where(mask > 0, 255, 0)
    np.testing.assert_array_equal(png.decode_mask(data), wanted)
    np.testing.assert_array_equal(cv2_reads(data), wanted)
    np.testing.assert_array_equal(pillow_reads(data), wanted > 0)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (1, 700, 3), (700, 1, 1), (257, 513, 3)])
def test_thin_and_large_pictures_come_back(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(png.decode(png.encode(noise(*shape))), noise(*shape))


def test_a_slice_of_a_picture_encodes_like_its_copy() -> None:
    picture = noise(30, 40, 3)
    assert png.encode(picture[3:20, 5:31]) == png.encode(picture[3:20, 5:31].copy())


def test_decoded_pictures_can_be_written_to() -> None:
    picture = png.decode(png.encode(noise(5, 6, 3)))
    picture[0, 0] = 9
    mask = png.decode_mask(png.encode_mask(noise(5, 6)))
    mask[0, 0] = 9
    assert picture[0, 0, 0] == mask[0, 0] == 9


def by_hand(planes: Array, color: int, filters: Array | None = None, palette: bytes = b"") -> bytes:
    """An 8-bit PNG out of ready rows, with filter type None unless given."""
    rows = planes.reshape(planes.shape[0], -1)
    first = np.zeros(len(rows), np.uint8) if filters is None else filters
    body = zlib.compress(np.column_stack([first, rows]).tobytes())
    header = struct.pack(">IIBBBBB", planes.shape[1], planes.shape[0], 8, color, 0, 0, 0)
    extra = chunk(b"PLTE", palette) if palette else b""
    parts = (chunk(b"IHDR", header), extra, chunk(b"IDAT", body), chunk(b"IEND", b""))
    return png.SIGNATURE + b"".join(parts)


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def saved(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


SMOOTH = np.add.outer(np.arange(50), np.arange(70))[:, :, None].repeat(3, 2).astype(np.uint8)


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 255, 256, 257])
def test_rows_are_summed_as_numpy_sums_them(height: int) -> None:
    rows = seeds.rng(0, "rows", height).integers(0, 256, (height, 31), np.uint8)[:, 1:]
    expected = np.add.accumulate(rows, axis=0, dtype=np.uint8)
    np.testing.assert_array_equal(png._sum_down(rows), expected)


def test_pictures_that_pillow_wrote_decode_right() -> None:
    for picture in (SMOOTH, noise(50, 70, 3)):  # adaptive filters, all five of them
        for options in ({}, {"optimize": True}, {"compress_level": 0}):
            data = saved(Image.fromarray(picture), **options)
            np.testing.assert_array_equal(png.decode(data), picture)
    gray = noise(33, 21, 1)
    np.testing.assert_array_equal(png.decode(saved(Image.fromarray(gray[:, :, 0]))), gray)


@pytest.mark.parametrize("method", [1, 2, 3, 4])
def test_rows_of_every_filter_decode_right(method: int) -> None:
    deltas = noise(20, 30, 3)
    filters = np.full(20, method, np.uint8)
    filters[::3] = 0  # a mixture, which is not the dialect of ours
    data = by_hand(deltas, 2, filters)
    np.testing.assert_array_equal(png.decode(data), pillow_reads(data))


def test_rows_without_a_filter_decode_right() -> None:
    picture = noise(20, 30, 3)
    np.testing.assert_array_equal(png.decode(by_hand(picture, 2)), picture)
    np.testing.assert_array_equal(png.decode(by_hand(picture[:, :, :1], 0)), picture[:, :, :1])


def test_a_palette_of_16_colors_decodes_right() -> None:
    palette = noise(16, 3)
    places = noise(24, 31) % 16
    image = Image.fromarray(places, "P")
    image.putpalette(palette.tobytes())
    for data in (saved(image), saved(image, bits=4), by_hand(places, 3, None, palette.tobytes())):
        np.testing.assert_array_equal(png.decode(data), palette[places])


def test_one_bit_pictures_of_others_decode_to_0_and_255() -> None:
    mask = noise(17, 23) > 100
    np.testing.assert_array_equal(png.decode_mask(saved(Image.fromarray(mask))), mask * 255)


def test_interlaced_pictures_decode_right() -> None:
    picture = noise(11, 13, 1)[:, :, 0]
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    passes.append((1, 0, 2, 1))
    rows = b""
    for y, x, down, right in passes:
        part = picture[y::down, x::right]
        rows += b"".join(b"\0" + row.tobytes() for row in part if row.size)
    header = struct.pack(">IIBBBBB", 13, 11, 8, 0, 0, 0, 1)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    data = png.SIGNATURE + b"".join(parts)
    np.testing.assert_array_equal(pillow_reads(data), picture)
    np.testing.assert_array_equal(png.decode(data)[:, :, 0], picture)


def test_color_with_alpha_keeps_its_color() -> None:
    planes = noise(9, 8, 4)
    np.testing.assert_array_equal(png.decode(saved(Image.fromarray(planes))), planes[:, :, :3])


def test_16_bit_pictures_are_refused() -> None:
    deep = saved(Image.fromarray(noise(9, 8).astype(np.uint16)))
    with pytest.raises(ImageError, match="8-bit"):
        png.decode(deep)


OURS = {
    "color": png.encode(noise(12, 14, 3)),
    "gray": png.encode(noise(12, 14, 1)),
    "mask": png.encode_mask(noise(12, 14) & 1),
}


@pytest.mark.parametrize("kind", OURS)
def test_every_truncation_is_refused(kind: str) -> None:
    data = OURS[kind]
    for length in range(len(data)):
        with pytest.raises(ImageError):
            png.decode(data[:length])


@pytest.mark.parametrize("kind", OURS)
def test_300_flipped_bytes_are_refused_or_harmless(kind: str) -> None:
    data, wanted = OURS[kind], png.decode(OURS[kind])
    rng = seeds.rng(7, "flip", kind)
    refused = 0
    for _ in range(300):
        broken = bytearray(data)
        broken[int(rng.integers(len(data)))] ^= int(rng.integers(1, 256))
        try:
            np.testing.assert_array_equal(png.decode(bytes(broken)), wanted)
        except ImageError:
            refused += 1
    assert refused == 300  # signature, lengths, names, bodies and sums: all of it is covered


def with_body(body: bytes, width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", body), chunk(b"IEND", b""))
    return png.SIGNATURE + b"".join(parts)


LIES = {
    "too few rows": with_body(zlib.compress(bytes(5 * 9)), 8, 6),
    "no deflate at all": with_body(b"hello" * 9, 8, 6),
    "a wrong checksum inside": with_body(zlib.compress(bytes(6 * 9))[:-1] + b"\xff", 8, 6),
    "a header of 4 gigapixels": with_body(zlib.compress(bytes(54)), 65000, 65000),
    "no width": with_body(zlib.compress(bytes(54)), 0, 6),
    "a filter that is none": with_body(zlib.compress(b"\x09" * 54), 8, 6),
    "nothing": b"",
    "text": b"hello world" * 20,
    "a JPEG": cv2.imencode(".jpg", noise(20, 20, 3))[1].tobytes(),
}


@pytest.mark.parametrize("lie", LIES)
def test_whole_files_that_lie_are_refused(lie: str) -> None:
    with pytest.raises(ImageError) as caught:
        png.decode(LIES[lie])
    assert "\n" not in str(caught.value)


def test_the_same_pixels_are_the_same_bytes_wherever_the_state_lies() -> None:
    """Without the flushed start some of these masks are compressed otherwise at some addresses."""
    generator = seeds.field(5)
    masks = [
        cv2.resize(generator.integers(0, 256, (9, 9), np.uint8), (64, 64)) // 200
        for _ in range(400)
    ]
    found, held = set(), []
    for _ in range(300):
        data = b"".join(png.encode_mask(mask) for mask in masks)
        found.add(hashlib.sha256(data).hexdigest())
        held.append(isal_zlib.compressobj())  # so that the next one lies elsewhere
    assert len(found) == 1
