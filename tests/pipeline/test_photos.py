"""Photos of every kind decode to the documented values, hostile ones are refused, tiles rejoin."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from pipeline import images, photos, seeds
from pipeline.errors import ImageError
from tests.conftest import ROOT

Array = np.ndarray
LIMIT = 80.0
HEIGHT, WIDTH = 20, 30


def noise(*shape: int) -> Array:
    return seeds.field(sum(shape)).integers(0, 256, shape, np.uint8)


COLOR, GRAY, ALPHA = noise(HEIGHT, WIDTH, 3), noise(HEIGHT, WIDTH), noise(WIDTH, HEIGHT).T
INKS = noise(HEIGHT, WIDTH, 4)
PALETTE = noise(16, 3)
DEEP = COLOR.astype(np.uint16) * 257 - np.minimum(COLOR, 77)  # no plain multiples of 257


def over_white(color: Array, alpha: Array, full: int = 255) -> Array:
    share = alpha[..., None].astype(float) / full
    return color.reshape(*alpha.shape, -1) * share + full * (1 - share)


def saved(picture: Array | Image.Image, file_format: str, **options: object) -> bytes:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def tiff(planes: Array, **options: object) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, planes, **options)
    return out.getvalue()


def palette_image(transparent: bool = False) -> Image.Image:
    image = Image.fromarray(GRAY % 16, "P")
    image.putpalette(PALETTE.tobytes())
    if transparent:
        image.info["transparency"] = bytes([0, 64, 128, *[255] * 13])
    return image


def chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def raw_png(width: int, height: int, depth: int, color: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_rows(planes: Array) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in planes)


def animated() -> bytes:
    frames = [palette_image(), Image.fromarray(255 - COLOR).quantize(16)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


PALETTE_ALPHA = np.array([0, 64, 128, *[255] * 13], np.uint8)[GRAY % 16]
LA16 = np.dstack([DEEP[:, :, 0], DEEP[:, :, 1]])
RGBA16 = np.dstack([DEEP, DEEP[:, :, 1]])

# name → (file, the values it stands for, computed apart, whether it stores no color)
TABLE: dict[str, tuple[bytes, Array, bool]] = {
    "color PNG": (saved(COLOR, "PNG"), COLOR, False),
    "gray PNG": (saved(GRAY, "PNG"), GRAY, True),
    "gray BMP": (saved(GRAY, "BMP"), GRAY, True),
    "color BMP": (saved(COLOR, "BMP"), COLOR, False),
    "color TIFF": (saved(COLOR, "TIFF"), COLOR, False),
    "LZW TIFF": (saved(COLOR, "TIFF", compression="tiff_lzw"), COLOR, False),
    "tiled TIFF": (tiff(COLOR, photometric="rgb", tile=(16, 16)), COLOR, False),
    "planar TIFF": (
        tiff(np.moveaxis(COLOR, 2, 0).copy(), photometric="rgb", planarconfig="separate"),
        COLOR,
        False,
    ),
    "multi-page TIFF": (tiff(np.stack([COLOR, 255 - COLOR]), photometric="rgb"), COLOR, False),
    "white-is-zero TIFF": (tiff(255 - GRAY, photometric="miniswhite"), GRAY, True),
    "lossless WebP": (saved(COLOR, "WEBP", lossless=True), COLOR, False),
    "palette PNG": (saved(palette_image(), "PNG"), PALETTE[GRAY % 16], False),
    "palette GIF": (saved(palette_image(), "GIF"), PALETTE[GRAY % 16], False),
    "animated GIF": (animated(), PALETTE[GRAY % 16], False),
    "palette with transparency": (
        saved(palette_image(True), "PNG", transparency=bytes([0, 64, 128, *[255] * 13])),
        over_white(PALETTE[GRAY % 16], PALETTE_ALPHA),
        False,
    ),
    "one transparent color": (
        saved(COLOR, "PNG", transparency=tuple(map(int, COLOR[3, 4]))),
        np.where((COLOR[3, 4] == COLOR).all(axis=2, keepdims=True), 255, COLOR),
        False,
    ),
    "one transparent gray": (
        saved(GRAY, "PNG", transparency=int(GRAY[3, 4])),
        np.where(GRAY[3, 4] == GRAY, 255, GRAY),
        True,
    ),
    "gray with alpha": (
        saved(np.dstack([GRAY, ALPHA]), "PNG"),
        over_white(GRAY, ALPHA)[:, :, 0],
        True,
    ),
    "color with alpha": (saved(np.dstack([COLOR, ALPHA]), "PNG"), over_white(COLOR, ALPHA), False),
    "WebP with alpha": (
        saved(np.dstack([COLOR, ALPHA]), "WEBP", lossless=True, exact=True),
        over_white(COLOR, ALPHA),
        False,
    ),
    "1-bit PNG": (saved(Image.fromarray(GRAY > 99), "PNG"), (GRAY > 99) * 255, True),
    "1-bit TIFF": (saved(Image.fromarray(GRAY > 99), "TIFF"), (GRAY > 99) * 255, True),
    "CMYK TIFF": (
        saved(Image.fromarray(INKS, "CMYK"), "TIFF"),
        (255 - INKS[:, :, :3].astype(float)) * (255.0 - INKS[:, :, 3:]) / 255,
        False,
    ),
    "16-bit gray PNG": (saved(DEEP[:, :, 0], "PNG"), DEEP[:, :, 0], True),
    "16-bit color PNG": (raw_png(WIDTH, HEIGHT, 16, 2, deep_rows(DEEP)), DEEP, False),
    "16-bit PNG with alpha": (
        raw_png(WIDTH, HEIGHT, 16, 6, deep_rows(RGBA16)),
        over_white(DEEP, DEEP[:, :, 1], 65535),
        False,
    ),
    "16-bit gray TIFF": (tiff(DEEP[:, :, 0], photometric="minisblack"), DEEP[:, :, 0], True),
    "16-bit big-endian TIFF": (tiff(DEEP[:, :, 0], byteorder=">"), DEEP[:, :, 0], True),
    "16-bit color TIFF": (tiff(DEEP, photometric="rgb"), DEEP, False),
    "16-bit deflated TIFF": (
        tiff(DEEP, photometric="rgb", compression="zlib", predictor=True),
        DEEP,
        False,
    ),
    "16-bit TIFF with alpha": (
        tiff(RGBA16, photometric="rgb", extrasamples=["unassalpha"]),
        over_white(DEEP, DEEP[:, :, 1], 65535),
        False,
    ),
}


def as_rgb(values: Array) -> Array:
    return np.broadcast_to(values[:, :, None] if values.ndim == 2 else values, (HEIGHT, WIDTH, 3))


@pytest.mark.parametrize("kind", TABLE)
def test_a_file_decodes_to_what_it_stands_for(kind: str) -> None:
    data, values, gray = TABLE[kind]
    picture = photos.decode(data, LIMIT)
    assert picture.pixels.shape == (HEIGHT, WIDTH, 3)
    assert picture.pixels.dtype == (np.uint16 if "16-bit" in kind else np.uint8)
    assert np.abs(picture.pixels.astype(float) - as_rgb(values)).max() <= 1
    assert picture.gray is gray
    shallow = as_rgb(values) / (257 if "16-bit" in kind else 1)
    assert np.abs(photos.decode_rgb(data, LIMIT).astype(float) - shallow).max() <= 1


def test_16_bit_gray_with_alpha_is_known_as_gray() -> None:
    data = raw_png(WIDTH, HEIGHT, 16, 4, deep_rows(LA16))
    picture = photos.decode(data, LIMIT)
    wanted = over_white(LA16[:, :, 0], LA16[:, :, 1], 65535)
    assert np.abs(picture.pixels.astype(float) - wanted).max() <= 1
    assert picture.gray


def test_a_jpeg_in_cmyk_keeps_its_look() -> None:
    smooth = cv2.resize(noise(4, 6, 3), (96, 64), interpolation=cv2.INTER_LINEAR)
    data = saved(Image.fromarray(smooth).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(photos.decode_rgb(data, LIMIT).astype(float) - smooth).mean() < 3


REFUSED = {
    "float TIFF": tiff(GRAY.astype(np.float32)),
    "32-bit TIFF": tiff(GRAY.astype(np.uint32)),
    "signed TIFF": tiff(GRAY.astype(np.int16)),
    "16-bit CMYK TIFF": tiff(INKS.astype(np.uint16) * 257, photometric="separated"),
    "16-bit planar TIFF": tiff(
        np.moveaxis(DEEP, 2, 0).copy(), photometric="rgb", planarconfig="separate"
    ),
    "16-bit white-is-zero TIFF": tiff(DEEP[:, :, 0], photometric="miniswhite"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_decode_wrongly_is_refused(kind: str) -> None:
    with pytest.raises(ImageError, match=r"supported|cannot be decoded"):
        photos.decode(REFUSED[kind], LIMIT)


# what a camera stores for orientation n, so that turning it gives the upright picture
STORE: dict[int, Callable[[Array], Array]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.fliplr(np.rot90(a, -1)),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: np.fliplr(np.rot90(a, 1)),
    8: lambda a: np.rot90(a, -1),
}


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[photos.ORIENTATION] = orientation
    tags[0x010F] = "Maker"
    return tags


def turned_file(kind: str, orientation: int) -> bytes:
    stored = np.ascontiguousarray(STORE[orientation](COLOR))
    if kind == "16-bit TIFF":
        tag = (photos.ORIENTATION, "H", 1, orientation, True)
        return tiff(stored.astype(np.uint16) * 257, photometric="rgb", extratags=[tag])
    if kind == "16-bit PNG":
        data = raw_png(
            stored.shape[1], stored.shape[0], 16, 2, deep_rows(stored.astype(np.uint16) * 257)
        )
        return data[:33] + chunk(b"eXIf", exif(orientation).tobytes()[6:]) + data[33:]
    options = {"lossless": True} if kind == "WEBP" else {}
    return saved(stored, kind, exif=exif(orientation), **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "16-bit PNG", "16-bit TIFF"])
def test_every_orientation_comes_out_upright_once(kind: str, orientation: int) -> None:
    picture = photos.decode(turned_file(kind, orientation), LIMIT)
    np.testing.assert_array_equal(images.to_uint8(picture.pixels), COLOR)
    again = photos.encode(picture, picture.pixels)
    np.testing.assert_array_equal(photos.decode_rgb(again, LIMIT), COLOR)
    with Image.open(io.BytesIO(again)) as image:
        assert image.getexif().get(photos.ORIENTATION, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_jpeg_comes_out_upright(orientation: int) -> None:
    smooth = cv2.resize(noise(4, 6, 3), (48, 32), interpolation=cv2.INTER_LINEAR)
    stored = np.ascontiguousarray(STORE[orientation](smooth))
    data = saved(stored, "JPEG", quality=95, subsampling=0, exif=exif(orientation))
    assert np.abs(photos.decode_rgb(data, LIMIT).astype(float) - smooth).mean() < 3


@pytest.mark.parametrize("orientation", [0, 9, 4242])
def test_an_orientation_that_is_none_turns_nothing(orientation: int) -> None:
    data = saved(COLOR, "PNG", exif=exif(orientation))
    np.testing.assert_array_equal(photos.decode_rgb(data, LIMIT), COLOR)


def test_broken_exif_loses_no_photo() -> None:
    entry = struct.pack("<HHII", 0x0100, 2, 4, 0x41424344)  # a width that is text
    broken = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
    picture = photos.decode(saved(COLOR, "PNG", exif=broken), LIMIT)
    np.testing.assert_array_equal(picture.pixels, COLOR)
    assert photos.encode(picture, picture.pixels)


def huge(file_format: str, side: int) -> bytes:
    """A small file whose header names side × side pixels."""
    if file_format == "PNG":
        return raw_png(side, side, 8, 2, bytes(1000))
    if file_format == "16-bit PNG":
        return raw_png(side, side, 16, 2, bytes(1000))
    if file_format == "GIF":
        return (
            b"GIF89a"
            + struct.pack("<HHBBB", side, side, 0x80, 0, 0)
            + bytes(6)
            + (b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00;")
        )
    if file_format == "TIFF":
        small = bytearray(tiff(GRAY, metadata=None))
        with tifffile.TiffFile(io.BytesIO(bytes(small))) as file:
            for name in ("ImageWidth", "ImageLength"):
                tag = file.pages[0].tags[name]
                size = "<H" if tag.dtype == 3 else "<I"
                struct.pack_into(size, small, tag.valueoffset, side)
        return bytes(small)
    if file_format == "BMP":
        small = bytearray(saved(COLOR, "BMP"))
        struct.pack_into("<ii", small, 18, side, side)
        return bytes(small)
    if file_format == "JPEG":
        small = bytearray(saved(COLOR, "JPEG"))
        struct.pack_into(">HH", small, small.index(b"\xff\xc0") + 5, side, side)
        return bytes(small)
    bits = struct.pack("<I", (side - 1) | (side - 1) << 14)
    body = b"VP8L" + struct.pack("<I", 30) + b"\x2f" + bits + bytes(25)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


BOMBS = [
    *((kind, side) for kind in ("PNG", "16-bit PNG", "TIFF", "BMP", "JPEG", "GIF", "WEBP")
      for side in (9_001, 16_000)),
    ("PNG", 65_000), ("16-bit PNG", 34_000), ("GIF", 34_000), ("TIFF", 34_000),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "side"), BOMBS)
def test_a_bomb_is_refused(kind: str, side: int) -> None:
    with pytest.raises(ImageError, match=r"megapixels|cannot be identified"):
        photos.decode(huge(kind, side), LIMIT)


def test_a_bombs_refusal_names_size_and_limit() -> None:
    with pytest.raises(ImageError, match="9001x9001 is more than 80 megapixels"):
        photos.decode(huge("PNG", 9_001), LIMIT)
    assert photos.decode(saved(COLOR, "PNG"), 0.0006).pixels.size  # 600 pixels
    with pytest.raises(ImageError, match="30x20 is more than"):
        photos.decode(saved(COLOR, "PNG"), 0.000599)


MEASURE = """
import resource, sys, time
from tests.pipeline.test_photos import BOMBS, LIMIT, huge
from pipeline import photos
files = [huge(*bomb) for bomb in BOMBS]
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before, start = peak(), time.process_time()
for data in files:
    try:
        photos.decode(data, LIMIT)
    except photos.ImageError:
        pass
print((peak() - before) // 1024, (time.process_time() - start) / len(files))
"""


def test_bombs_cost_neither_memory_nor_time() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    megabytes, seconds = map(float, done.stdout.split())
    assert megabytes < 100 and seconds < 0.5


SMOOTH = cv2.resize(noise(5, 7, 3), (50, 40), interpolation=cv2.INTER_LINEAR)
WHOLE: dict[str, bytes] = {
    "JPEG": saved(SMOOTH, "JPEG", exif=exif(6)),
    "CMYK JPEG": saved(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"),
    "PNG": saved(SMOOTH, "PNG", exif=exif(3)),
    "palette PNG": saved(Image.fromarray(SMOOTH).quantize(16), "PNG"),
    "16-bit PNG": cv2.imencode(".png", SMOOTH.astype(np.uint16) * 257)[1].tobytes(),
    "WEBP": saved(SMOOTH, "WEBP", exif=exif(2)),
    "lossless WEBP": saved(SMOOTH, "WEBP", lossless=True),
    "TIFF": saved(SMOOTH, "TIFF", exif=exif(5)),
    "LZW TIFF": saved(SMOOTH, "TIFF", compression="tiff_lzw"),
    "16-bit TIFF": tiff(SMOOTH.astype(np.uint16) * 257, photometric="rgb", compression="zlib"),
    "BMP": saved(SMOOTH, "BMP"),
    "GIF": saved(Image.fromarray(SMOOTH).quantize(16), "GIF"),
}


def mutants(kind: str, number: int) -> list[bytes]:
    """Cut files, and files with some bytes changed, half of them near the header."""
    data, rng = WHOLE[kind], seeds.rng(7, "mutant", kind)
    made = []
    for turn in range(number):
        broken = bytearray(data)
        if turn % 4 == 0:
            del broken[int(rng.integers(len(data))) :]
        reach = len(broken) if turn % 4 == 1 else min(400, len(broken))
        for _ in range(int(rng.integers(1, 8)) if turn % 4 and reach else 0):
            broken[int(rng.integers(reach))] = int(rng.integers(256))
        made.append(bytes(broken))
    return made


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_files_decode_or_are_image_errors(kind: str) -> None:
    assert photos.decode(WHOLE[kind], LIMIT).pixels.size
    refused = 0
    for data in mutants(kind, 200):
        try:
            picture = photos.decode(data, LIMIT)
            photos.encode(picture, picture.pixels)
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 20  # else the mutants were none


@pytest.mark.parametrize("kind", WHOLE)
def test_a_cut_file_is_refused_or_keeps_its_size(kind: str) -> None:
    data, wanted = WHOLE[kind], photos.decode(WHOLE[kind], LIMIT).pixels.shape
    for share in (0.1, 0.3, 0.6):
        with pytest.raises(ImageError):
            photos.decode(data[: int(len(data) * share)], LIMIT)
    try:
        assert photos.decode(data[:-1], LIMIT).pixels.shape == wanted
    except ImageError as error:
        assert error.where == "photo"


@pytest.mark.parametrize("data", [b"", b"\0", b"hello world" * 50, b"\x89PNG\r\n\x1a\n", b"GIF89a"])
def test_what_is_no_photo_is_refused(data: bytes) -> None:
    with pytest.raises(ImageError, match="photo: "):
        photos.decode(data, LIMIT)


def test_other_formats_of_pillow_are_not_opened() -> None:
    for file_format in ("PPM", "TGA", "ICO", "PCX", "EPS"):
        with pytest.raises(ImageError):
            photos.decode(saved(COLOR, file_format), LIMIT)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
METADATA = {"icc_profile": PROFILE, "exif": exif(6)}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_encoding_keeps_format_size_profile_and_exif(file_format: str) -> None:
    picture = photos.decode(saved(COLOR, file_format, **METADATA), LIMIT)
    with Image.open(io.BytesIO(photos.encode(picture, picture.pixels))) as image:
        assert image.format == file_format
        assert image.size == (HEIGHT, WIDTH)  # turned upright
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(photos.ORIENTATION, 1) == 1


OPAQUE = [kind for kind in TABLE if "alpha" not in kind and "transparen" not in kind]


@pytest.mark.parametrize("kind", OPAQUE)
def test_encoding_gives_back_the_same_pixels(kind: str) -> None:
    picture = photos.decode(TABLE[kind][0], LIMIT)
    again = photos.decode(photos.encode(picture, picture.pixels), LIMIT)
    assert again.pixels.dtype == picture.pixels.dtype
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert again.file_format == picture.file_format
    assert again.gray is picture.gray or picture.file_format == "GIF"


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_16_bit_photos_stay_16_bit_and_gray_ones_gray(suffix: str) -> None:
    for kind in (f"16-bit gray {suffix}", f"16-bit color {suffix}"):
        picture = photos.decode(TABLE[kind][0], LIMIT)
        data = photos.encode(picture, picture.pixels)
        planes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert planes.dtype == np.uint16 and planes.ndim == (2 if "gray" in kind else 3)
        assert photos.decode(data, LIMIT).file_format == suffix


def with_profile(suffix: str) -> bytes:
    if suffix == "TIFF":
        tag = (34675, "B", len(PROFILE), PROFILE, True)
        return tiff(DEEP, photometric="rgb", extratags=[tag, (271, "s", 0, "Maker", True)])
    data = raw_png(WIDTH, HEIGHT, 16, 2, deep_rows(DEEP))
    extra = chunk(b"iCCP", b"icc\0\0" + zlib.compress(PROFILE))
    return data[:33] + extra + chunk(b"eXIf", exif(6).tobytes()[6:]) + data[33:]


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_16_bit_photos_keep_profile_and_exif(suffix: str) -> None:
    picture = photos.decode(with_profile(suffix), LIMIT)
    assert picture.icc == PROFILE
    data = photos.encode(picture, picture.pixels)
    np.testing.assert_array_equal(photos.decode(data, LIMIT).pixels, picture.pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(photos.ORIENTATION, 1) == 1


def test_gray_stays_one_channel_unless_color_was_added() -> None:
    picture = photos.decode(saved(GRAY, "PNG"), LIMIT)
    with Image.open(io.BytesIO(photos.encode(picture, picture.pixels))) as image:
        assert image.mode == "L"
    with Image.open(io.BytesIO(photos.encode(picture, COLOR))) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.array(image), COLOR)


def test_a_cmyk_profile_is_not_put_on_rgb_pixels() -> None:
    profile = bytes(16) + b"CMYK" + bytes(200)
    data = saved(Image.fromarray(INKS, "CMYK"), "TIFF", icc_profile=profile)
    picture = photos.decode(data, LIMIT)
    assert picture.icc == profile
    assert photos.decode(photos.encode(picture, picture.pixels), LIMIT).icc is None


def test_a_phone_photo_of_several_frames_is_written_as_jpeg() -> None:
    image = Image.fromarray(SMOOTH)
    data = saved(image, "MPO", save_all=True, append_images=[image])
    picture = photos.decode(data, LIMIT)
    encoded = photos.encode(picture, picture.pixels)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == picture.file_format == "JPEG"


def test_a_half_transparent_photo_looks_the_same_when_encoded() -> None:
    picture = photos.decode(TABLE["color with alpha"][0], LIMIT)
    again = photos.decode(photos.encode(picture, picture.pixels), LIMIT)
    assert np.abs(again.pixels.astype(float) - picture.pixels).max() <= 1


def test_alpha_is_kept_where_the_format_has_it() -> None:
    for file_format in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if file_format == "WEBP" else {}
        data = saved(np.dstack([COLOR, ALPHA]), file_format, **options)
        picture = photos.decode(data, LIMIT)
        again = photos.decode(photos.encode(picture, picture.pixels), LIMIT)
        np.testing.assert_array_equal(again.alpha, ALPHA)


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
