"""Every kind of image file becomes what docs/photos.md says, to within one level; the rest is
refused in one line. `KINDS` and `REFUSED` are keyed by the rows of its two tables."""

import io
import os
import re
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from pipeline import photos, seeds
from pipeline.errors import ImageError
from tests.conftest import ROOT
from tests.pipeline.photo_files import LIMIT, over_white, saved, tiff

Array = np.ndarray
H, W = 20, 30


def noise(name: str, *shape: int) -> Array:
    return seeds.rng(7, name).integers(0, 256, shape, np.uint8)


RGB, GRAY, ALPHA, INKS = (
    noise("rgb", H, W, 3), noise("gray", H, W), noise("alpha", H, W), noise("inks", H, W, 4)
)  # fmt: skip
DEEP = RGB.astype(np.uint16) * 257 - np.minimum(RGB, 77)
SMOOTH = cv2.resize(noise("smooth", 4, 6, 3), (W, H), interpolation=cv2.INTER_LINEAR)
PALETTE = noise("palette", 16, 3)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def paletted() -> Image.Image:
    image = Image.fromarray(GRAY % 16, "P")
    image.putpalette(PALETTE.tobytes())
    return image


def png(depth: int, color: int, rows: bytes, *beside: bytes) -> bytes:
    """A PNG by hand: what Pillow cannot write."""
    header = b"".join(n.to_bytes(4, "big") for n in (W, H)) + bytes([depth, color, 0, 0, 0])
    parts = [(b"IHDR", header), *((one[:4], one[4:]) for one in beside)]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in parts
    )


def rows16(planes: Array) -> bytes:
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in planes)


def rows_packed(values: Array, bits: int) -> bytes:
    """Gray values of fewer than 8 bits, packed."""
    planes = (values[:, :, None] >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    return b"".join(b"\0" + np.packbits(row.ravel()).tobytes() for row in planes)


def turned(orientation: int, file_format: str, **options: object) -> bytes:
    """As a camera stores it that was held in that way."""
    stored = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.swapaxes(0, 1),
        6: np.rot90(RGB, 1), 7: np.rot90(RGB, 1)[:, ::-1], 8: np.rot90(RGB, -1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[photos.ORIENTATION] = orientation
    return saved(np.ascontiguousarray(stored[orientation]), file_format, exif=exif, **options)


def lossy(picture: Array | Image.Image, file_format: str, **options: object) -> bytes:
    return saved(picture, file_format, quality=100, **options)


def pillows(data: bytes) -> Array:
    """What the reference decoder sees in a lossy file."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


JPEG = lossy(SMOOTH, "JPEG", subsampling=0)
JPEG_GRAY = lossy(SMOOTH[:, :, 0], "JPEG")
JPEG_CMYK = lossy(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG")
FRAMES = {"save_all": True, "append_images": [Image.fromarray(255 - RGB)]}
FOUR = GRAY % 4

# row of the table → files of that kind: (name, bytes, the values they stand for)
KINDS: dict[str, list[tuple[str, bytes, Array]]] = {
    "8-bit color": [
        ("png", saved(RGB, "PNG"), RGB), ("bmp", saved(RGB, "BMP"), RGB),
        ("tiff", saved(RGB, "TIFF"), RGB), ("bigtiff", tiff(RGB, photometric="rgb", bigtiff=True),
        RGB), ("webp", saved(RGB, "WEBP", lossless=True), RGB), ("jpeg", JPEG, pillows(JPEG)),
        ("planar", tiff(np.moveaxis(RGB, 2, 0).copy(), photometric="rgb",
        planarconfig="separate"), RGB),
    ],
    "8-bit gray": [
        ("png", saved(GRAY, "PNG"), GRAY), ("tiff", saved(GRAY, "TIFF"), GRAY),
        ("white is zero", tiff(255 - GRAY, photometric="miniswhite"), GRAY),
        ("jpeg", JPEG_GRAY, pillows(JPEG_GRAY)),
    ],
    "1, 2 or 4 bits": [
        ("1 bit", saved(Image.fromarray(GRAY > 99), "PNG"), (GRAY > 99) * 255),
        ("fax", saved(Image.fromarray(GRAY > 99), "TIFF", compression="group4"), (GRAY > 99) * 255),
        ("2 bits", png(2, 0, rows_packed(FOUR, 2)), FOUR * 85),
        ("4 bits", png(4, 0, rows_packed(GRAY % 16, 4)), GRAY % 16 * 17),
    ],
    "palette": [
        ("png", saved(paletted(), "PNG"), PALETTE[GRAY % 16]),
        ("gif", saved(paletted(), "GIF"), PALETTE[GRAY % 16]),
        ("bmp", saved(paletted(), "BMP"), PALETTE[GRAY % 16]),
        ("tiff", saved(paletted(), "TIFF"), PALETTE[GRAY % 16]),
    ],
    "16 bits a channel": [
        ("gray png", png(16, 0, rows16(DEEP[:, :, 0])), DEEP[:, :, 0]),
        ("color png", png(16, 2, rows16(DEEP)), DEEP),
        ("gray tiff", tiff(DEEP[:, :, 0], byteorder=">"), DEEP[:, :, 0]),
        ("color tiff", tiff(DEEP, photometric="rgb", compression="zlib", predictor=True), DEEP),
    ],
    "alpha": [
        ("color", saved(np.dstack([RGB, ALPHA]), "PNG"), over_white(RGB, ALPHA)),
        ("gray", saved(np.dstack([GRAY, ALPHA]), "PNG"), over_white(GRAY, ALPHA)),
        ("webp", saved(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True),
         over_white(RGB, ALPHA)),
        ("16 bits", png(16, 6, rows16(np.dstack([DEEP, DEEP[:, :, 1]]))),
         over_white(DEEP, DEEP[:, :, 1], 65535)),
        ("one color", saved(RGB, "PNG", transparency=tuple(map(int, RGB[3, 4]))),
         np.where((RGB[3, 4] == RGB).all(axis=2, keepdims=True), 255, RGB)),
        ("premultiplied", tiff(np.dstack([np.minimum(RGB, ALPHA[..., None]), ALPHA]),
         photometric="rgb", extrasamples=["assocalpha"]),
         np.minimum(RGB, ALPHA[..., None]) + 255.0 - ALPHA[..., None]),
    ],
    "CMYK": [
        ("tiff", saved(Image.fromarray(INKS, "CMYK"), "TIFF"),
         (255.0 - INKS[:, :, :3]) * (255.0 - INKS[:, :, 3:]) / 255),
        ("jpeg", JPEG_CMYK, 255.0 - pillows(JPEG_CMYK)[:, :, :3]),  # without black ink
    ],
    "EXIF orientation 1 to 8": [
        *((f"png {n}", turned(n, "PNG"), RGB) for n in range(1, 9)),
        *((f"tiff {n}", turned(n, "TIFF"), RGB) for n in range(1, 9)),
        *((f"webp {n}", turned(n, "WEBP", lossless=True), RGB) for n in range(1, 9)),
    ],
    "ICC profile": [("png", saved(RGB, "PNG", icc_profile=SRGB), RGB)],
    "animated": [
        ("gif", saved(paletted(), "GIF", save_all=True, append_images=[
            Image.fromarray(255 - RGB).quantize(16)]), PALETTE[GRAY % 16]),
        ("png", saved(RGB, "PNG", **FRAMES), RGB),
        ("webp", saved(RGB, "WEBP", lossless=True, **FRAMES), RGB),
    ],
    "several pages": [("tiff", tiff(np.stack([RGB, 255 - RGB]), photometric="rgb"), RGB)],
}  # fmt: skip
FILES = [(kind, *file) for kind, files in KINDS.items() for file in files]

REFUSED: dict[str, list[bytes]] = {
    "float": [tiff(GRAY.astype(np.float32)), tiff(RGB / np.float32(255), photometric="rgb"),
              tiff(GRAY.astype(np.float64))],
    "32-bit or signed": [tiff(GRAY.astype(np.uint32)), tiff(GRAY.astype(np.int16)),
                         tiff((GRAY // 2).astype(np.int8))],
    "Lab": [tiff(RGB, photometric="cielab")],
    "16-bit CMYK, planar, white is zero, premultiplied": [
        tiff(INKS.astype(np.uint16) * 257, photometric="separated"),
        tiff(np.moveaxis(DEEP, 2, 0).copy(), photometric="rgb", planarconfig="separate"),
        tiff(DEEP[:, :, 0], photometric="miniswhite"),
        tiff(np.dstack([DEEP, DEEP[:, :, 0]]), photometric="rgb", extrasamples=["assocalpha"]),
    ],
    "any other format": [saved(RGB, name) for name in ("PPM", "TGA", "ICO", "PCX", "JPEG2000")],
}  # fmt: skip


def first_column(heading: str) -> list[str]:
    """The kinds that a table of the page names."""
    text = (ROOT / "docs/photos.md").read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    return [row[1] for row in re.finditer(r"^\| ([^|]+?) \|.*$", text, re.M)][2:]


def test_the_page_has_a_row_for_each_kind() -> None:
    assert first_column("## What becomes of a file") == list(KINDS)
    assert first_column("## What is refused") == list(REFUSED)
    assert len(FILES) >= 30


@pytest.mark.parametrize(
    ("kind", "name", "data", "values"), FILES, ids=[f"{kind}: {name}" for kind, name, *_ in FILES]
)
def test_a_file_becomes_what_the_page_says(
    kind: str, name: str, data: bytes, values: Array
) -> None:
    picture = photos.decode(data, LIMIT)
    deep = picture.pixels.dtype == np.uint16
    assert deep == (int(np.max(values)) > 255)
    flat = values.reshape(H, W, -1)
    assert picture.pixels.shape == (H, W, 3)
    assert np.abs(picture.pixels.astype(float) - flat).max() <= 1
    shallow = photos.decode_rgb(data, LIMIT).astype(float)
    assert np.abs(shallow - flat / (257 if deep else 1)).max() <= 1
    assert picture.gray == (flat.shape[2] == 1)
    np.testing.assert_array_equal(photos.decode_known(data, LIMIT), photos.decode_rgb(data, LIMIT))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_decode_wrongly_is_refused_in_a_line(kind: str) -> None:
    for data in REFUSED[kind]:
        with pytest.raises(ImageError) as caught:
            photos.decode(data, LIMIT)
        assert "\n" not in str(caught.value) and caught.value.next_step


@pytest.mark.skipif("PATINA_PHOTOS" not in os.environ, reason="needs PATINA_PHOTOS")
def test_known_photos_decode_to_the_same_pixels() -> None:
    paths = sorted(Path(os.environ["PATINA_PHOTOS"]).glob("train/**/*.jpg"))[::10]
    assert len(paths) > 10
    for path in paths:
        data = path.read_bytes()
        known, slowly = photos.decode_known(data, LIMIT), photos.decode_rgb(data, LIMIT)
        np.testing.assert_array_equal(known, slowly, err_msg=path.name)
