"""Small files that would unpack to gigabytes are refused from their header."""

import contextlib
import io
import resource
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
import tifffile

from pipeline import photos
from pipeline.errors import ImageError
from tests.conftest import ROOT

LIMIT = 80.0
FIGURE_SECONDS, FIGURE_MEGABYTES = 0.05, 20


def png(side: int) -> bytes:
    """A whole file: side × side white or black pixels that decompress for real."""
    deflate, row = zlib.compressobj(9), bytes(1 + -(-side // 8))
    packed = b"".join([*(deflate.compress(row) for _ in range(side)), deflate.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    )


def gif(side: int) -> bytes:
    """A screen of side × side, and a frame as large."""
    screen = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x44\x01\x00;"


def gif_frame(side: int) -> bytes:
    """A small screen, and a frame that is not."""
    whole = bytearray(gif(side))
    struct.pack_into("<HH", whole, 6, 10, 10)
    return bytes(whole)


def tiff(side: int) -> bytes:
    """One strip that claims to hold side × side pixels."""
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((8, 8), np.uint8), compression="zlib", metadata=None)
    whole = bytearray(out.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(whole))) as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = file.pages[0].tags[name]
            struct.pack_into("<H" if tag.dtype == 3 else "<I", whole, tag.valueoffset, side)
    return bytes(whole)


def webp(side: int) -> bytes:
    """Lossless, side × side."""
    bits = struct.pack("<I", (side - 1) | (side - 1) << 14)
    return _riff(b"VP8L" + struct.pack("<I", 30) + b"\x2f" + bits + bytes(25))


def webp_canvas(side: int) -> bytes:
    """An animation on a canvas of side × side."""
    size = (side - 1).to_bytes(3, "little")
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + size + size
    return _riff(canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6))


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


SIDES = (9_001, 16_000, 34_641)  # 81, 256, 1,200 megapixels
BOMBS = [
    (make, side)
    for make in (png, gif, gif_frame, tiff, webp, webp_canvas)
    for side in SIDES
    if make is not webp or side <= 16_383
]


@pytest.mark.parametrize(("make", "side"), BOMBS, ids=[f"{m.__name__} {s}" for m, s in BOMBS])
def test_a_bomb_is_refused(make, side) -> None:
    with pytest.raises(ImageError, match=r"megapixels|decoder") as caught:
        photos.decode(make(side), LIMIT)
    assert "\n" not in str(caught.value)


def measure() -> None:
    """For each bomb: CPU seconds, and megabytes by which the process grew beyond all before."""
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # noqa: E731
    files = [(make.__name__, side, make(side)) for make, side in BOMBS]
    with contextlib.suppress(ImageError):  # what the first call takes is no bomb's
        photos.decode(files[0][2][:100], LIMIT)
    for name, side, data in files:
        before, start = peak(), time.process_time()
        with contextlib.suppress(ImageError):
            photos.decode(data, LIMIT)
        print(name, side, time.process_time() - start, peak() - before)


@pytest.mark.slow
def test_the_limit_is_the_users_own_and_not_the_decoders() -> None:
    assert photos.decode(png(13_600), 185.0).pixels.shape == (13_600, 13_600, 3)
    with pytest.raises(ImageError, match="megapixels"):
        photos.decode(png(13_600), 184.0)


def test_bombs_cost_neither_memory_nor_time() -> None:
    code = "from tests.pipeline.test_photo_bombs import measure; measure()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) == len(BOMBS)
    for name, side, seconds, megabytes in rows:
        assert float(seconds) < 10 * FIGURE_SECONDS, (name, side)
        assert float(megabytes) < FIGURE_MEGABYTES, (name, side)


def test_a_known_photo_is_read_under_the_same_limits_in_a_fresh_process(tmp_path) -> None:
    (tmp_path / "large.png").write_bytes(png(14_000))
    (tmp_path / "cut.jpg").write_bytes(b"no photo")
    code = """
import sys
from pathlib import Path
from pipeline import photos
from pipeline.errors import ImageError
home = Path(sys.argv[1])
print(photos.decode_known((home / "large.png").read_bytes(), 400.0).shape)
for name, limit in (("large.png", 195.0), ("cut.jpg", 400.0)):
    try:
        photos.decode_known((home / name).read_bytes(), limit)
    except ImageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shape, large, cut = done.stdout.splitlines()
    assert shape == "(14000, 14000, 3)"
    assert "14000x14000 is more than 195 megapixels (index.max_megapixels)" in large
    assert "cannot be identified as a photo" in cut
