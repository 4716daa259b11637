"""Bombs, damaged files and files of other kinds end in one line, cheaply."""

import io
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from pipeline import photo_encoding, photos, seeds
from pipeline.errors import ImageError
from tests.conftest import ROOT
from tests.pipeline.photo_files import COLOR, GRAY, LIMIT, SMOOTH, exif, raw_png, saved, tiff


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
    with pytest.raises(ImageError, match=r"megapixels|decompression bomb|cannot be identified"):
        photos.decode(huge(kind, side), LIMIT)


def test_a_bombs_refusal_names_size_and_limit() -> None:
    with pytest.raises(
        ImageError, match=r"9001x9001 is more than 80 megapixels \(index.max"
    ) as told:
        photos.decode(huge("PNG", 9_001), LIMIT)
    assert told.value.next_step == "raise index.max_megapixels or make the photo smaller"
    with pytest.raises(ImageError, match="raise --max-megapixels or make the photo smaller"):
        photos.decode(huge("PNG", 9_001), LIMIT, "--max-megapixels")
    assert photos.decode(saved(COLOR, "PNG"), 0.0006).pixels.size  # 600 pixels
    with pytest.raises(ImageError, match="30x20 is more than"):
        photos.decode(saved(COLOR, "PNG"), 0.000599)


MEASURE = """
import resource, sys, time
from tests.pipeline.photo_files import LIMIT
from tests.pipeline.test_hostile_photos import BOMBS, huge
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
            photo_encoding.encode(picture, picture.pixels)
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
