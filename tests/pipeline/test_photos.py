"""Photos of every kind decode to the documented values, upright, and encode to what they were."""

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline import images, photo_encoding, photos
from pipeline.errors import ImageError
from tests.pipeline.photo_files import (
    ALPHA,
    COLOR,
    DEEP,
    GRAY,
    HEIGHT,
    INKS,
    LA16,
    LIMIT,
    SMOOTH,
    TABLE,
    WIDTH,
    Array,
    chunk,
    deep_rows,
    exif,
    noise,
    over_white,
    raw_png,
    saved,
    tiff,
)


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


WIDE = {
    "32-bit float": (np.float32, GRAY), "32-bit float color": (np.float32, COLOR),
    "64-bit float color": (np.float64, COLOR), "16-bit float": (np.float16, GRAY),
    "32-bit integer": (np.uint32, GRAY), "32-bit integer color": (np.uint32, COLOR),
}  # fmt: skip


@pytest.mark.parametrize("kind", WIDE)
def test_pixels_that_are_too_wide_are_told_as_such(kind: str) -> None:
    dtype, planes = WIDE[kind]
    data = tiff(planes.astype(dtype), photometric="rgb" if planes.ndim == 3 else "minisblack")
    with pytest.raises(ImageError) as told:
        photos.decode(data, LIMIT)
    wanted = f"its pixels are {kind.removesuffix(' color')}, which is not supported"
    assert str(told.value) == f"photo: {wanted}; export it as 8 or 16 bit"


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
    again = photo_encoding.encode(picture, picture.pixels)
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
    assert photo_encoding.encode(picture, picture.pixels)


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
METADATA = {"icc_profile": PROFILE, "exif": exif(6)}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_encoding_keeps_format_size_profile_and_exif(file_format: str) -> None:
    picture = photos.decode(saved(COLOR, file_format, **METADATA), LIMIT)
    with Image.open(io.BytesIO(photo_encoding.encode(picture, picture.pixels))) as image:
        assert image.format == file_format
        assert image.size == (HEIGHT, WIDTH)  # turned upright
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(photos.ORIENTATION, 1) == 1


OPAQUE = [kind for kind in TABLE if "alpha" not in kind and "transparen" not in kind]


@pytest.mark.parametrize("kind", OPAQUE)
def test_encoding_gives_back_the_same_pixels(kind: str) -> None:
    picture = photos.decode(TABLE[kind][0], LIMIT)
    again = photos.decode(photo_encoding.encode(picture, picture.pixels), LIMIT)
    assert again.pixels.dtype == picture.pixels.dtype
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    assert again.file_format == picture.file_format
    assert again.gray is picture.gray or picture.file_format == "GIF"


@pytest.mark.parametrize("suffix", ["PNG", "TIFF"])
def test_16_bit_photos_stay_16_bit_and_gray_ones_gray(suffix: str) -> None:
    for kind in (f"16-bit gray {suffix}", f"16-bit color {suffix}"):
        picture = photos.decode(TABLE[kind][0], LIMIT)
        data = photo_encoding.encode(picture, picture.pixels)
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
    data = photo_encoding.encode(picture, picture.pixels)
    np.testing.assert_array_equal(photos.decode(data, LIMIT).pixels, picture.pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["icc_profile"] == PROFILE
        assert image.getexif()[0x010F] == "Maker"
        assert image.getexif().get(photos.ORIENTATION, 1) == 1


def test_gray_stays_one_channel_unless_color_was_added() -> None:
    picture = photos.decode(saved(GRAY, "PNG"), LIMIT)
    with Image.open(io.BytesIO(photo_encoding.encode(picture, picture.pixels))) as image:
        assert image.mode == "L"
    with Image.open(io.BytesIO(photo_encoding.encode(picture, COLOR))) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.array(image), COLOR)


def test_a_cmyk_profile_is_not_put_on_rgb_pixels() -> None:
    profile = bytes(16) + b"CMYK" + bytes(200)
    data = saved(Image.fromarray(INKS, "CMYK"), "TIFF", icc_profile=profile)
    picture = photos.decode(data, LIMIT)
    assert picture.icc == profile
    assert photos.decode(photo_encoding.encode(picture, picture.pixels), LIMIT).icc is None


def test_a_phone_photo_of_several_frames_is_written_as_jpeg() -> None:
    image = Image.fromarray(SMOOTH)
    data = saved(image, "MPO", save_all=True, append_images=[image])
    picture = photos.decode(data, LIMIT)
    encoded = photo_encoding.encode(picture, picture.pixels)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == picture.file_format == "JPEG"


def test_a_half_transparent_photo_looks_the_same_when_encoded() -> None:
    picture = photos.decode(TABLE["color with alpha"][0], LIMIT)
    again = photos.decode(photo_encoding.encode(picture, picture.pixels), LIMIT)
    assert np.abs(again.pixels.astype(float) - picture.pixels).max() <= 1


def test_alpha_is_kept_where_the_format_has_it() -> None:
    for file_format in ("PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if file_format == "WEBP" else {}
        data = saved(np.dstack([COLOR, ALPHA]), file_format, **options)
        picture = photos.decode(data, LIMIT)
        again = photos.decode(photo_encoding.encode(picture, picture.pixels), LIMIT)
        np.testing.assert_array_equal(again.alpha, ALPHA)
