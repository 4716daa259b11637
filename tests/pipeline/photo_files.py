"""Photo files of every kind, with the values they stand for, for the tests that read them."""

import io
import struct
import zlib

import cv2
import numpy as np
import tifffile
from PIL import Image

from pipeline import photos, seeds

Array = np.ndarray
LIMIT = 80.0
HEIGHT, WIDTH = 20, 30


def noise(*shape: int) -> Array:
    return seeds.field(sum(shape)).integers(0, 256, shape, np.uint8)


COLOR, GRAY, ALPHA = noise(HEIGHT, WIDTH, 3), noise(HEIGHT, WIDTH), noise(WIDTH, HEIGHT).T
INKS = noise(HEIGHT, WIDTH, 4)
PALETTE = noise(16, 3)
SMOOTH = cv2.resize(noise(5, 7, 3), (50, 40), interpolation=cv2.INTER_LINEAR)
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


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[photos.ORIENTATION] = orientation
    tags[0x010F] = "Maker"
    return tags


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
