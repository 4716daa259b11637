"""Fast PNG for shards: plain standard files, written and read many times faster than usual.

Written: one IDAT, one filter (Up for pictures, None for 1-bit masks), deflate by ISA-L;
gray pictures keep one channel. Any PNG reader opens them. Read: exactly that dialect, checked;
every other PNG goes through OpenCV. PNG specification: ISO/IEC 15948.
"""

import math
import struct

import cv2
import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

from pipeline.errors import ImageError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GRAY, RGB = 0, 2  # PNG color types
NONE, UP = 0, 2  # PNG filter types
LEVEL = 1  # of ISA-L's 0 to 3: the quickest that does not make noise larger
# At the start of a stream ISA-L 2.31 hashes the address of its state in place of the third byte's
# neighbors (igzip_icf_body_h1_gr_bt.asm, write_first_byte), and so may choose other matches for the
# same bytes. A start this short (bytes), flushed, goes through other code, which is right.
START = 8
END = b"\0\0\0\0IEND\xaeB`\x82"
Array = np.ndarray


def encode(picture: Array) -> bytes:
    """PNG bytes of a uint8 H×W×3 (RGB) or H×W×1 (gray) picture."""
    height, width, channels = picture.shape
    rows = picture.reshape(height, width * channels)
    filtered = np.empty((height, 1 + width * channels), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return _file(width, height, 8, RGB if channels == 3 else GRAY, filtered)


def encode_mask(mask: Array) -> bytes:
    """1-bit PNG bytes of a uint8 H×W mask; non-zero becomes 255."""
    height, width = mask.shape
    packed = np.packbits(mask != 0, axis=1)
    filtered = np.zeros((height, 1 + packed.shape[1]), np.uint8)
    filtered[:, 1:] = packed
    return _file(width, height, 1, GRAY, filtered)


def decode(data: bytes) -> Array:
    """A uint8 H×W×3 or H×W×1 picture. Raises ImageError when the bytes are no whole PNG."""
    fast = _decode_own(data)
    return fast if fast is not None else _decode_any(data)


def decode_mask(data: bytes) -> Array:
    """A uint8 H×W mask of 0 and 255."""
    return decode(data)[:, :, 0]


def crc32(picture: Array) -> int:
    """Of an array's bytes."""
    return int(isal_zlib.crc32(np.ascontiguousarray(picture).data))


def _file(width: int, height: int, depth: int, color: int, filtered: Array) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = _deflate(filtered.reshape(-1).data)
    return b"".join((SIGNATURE, *_chunk(b"IHDR", header), *_chunk(b"IDAT", body), END))


def _deflate(data: memoryview) -> bytes:
    """A zlib stream, the same for the same bytes wherever memory lies."""
    stream = isal_zlib.compressobj(level=LEVEL)
    start = stream.compress(data[:START]) + stream.flush(isal_zlib.Z_SYNC_FLUSH)
    return b"".join((start, stream.compress(data[START:]), stream.flush()))


def _chunk(kind: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    crc = isal_zlib.crc32(body, isal_zlib.crc32(kind))
    return struct.pack(">I", len(body)), kind, body, struct.pack(">I", crc)


def _decode_own(data: bytes) -> Array | None:
    """Decode our own dialect; None for anything that is not exactly it."""
    if len(data) < 57 or data[:8] != SIGNATURE or data[8:16] != b"\x00\x00\x00\rIHDR":
        return None
    width, height, depth, color, *methods = struct.unpack(">IIBBBBB", data[16:29])
    (length,) = struct.unpack(">I", data[33:37])
    if data[37:41] != b"IDAT" or len(data) != 57 + length or any(methods) or data[-12:] != END:
        return None
    if (depth, color) not in ((8, GRAY), (8, RGB), (1, GRAY)) or not width or not height:
        return None
    if data[29:33] != _crc(data[12:29]) or data[41 + length : 45 + length] != _crc(
        memoryview(data)[37 : 41 + length]
    ):
        return None
    channels = 3 if color == RGB else 1
    stride = 1 + (width * channels * depth + 7) // 8
    if stride * height > 1100 * length:  # deflate cannot shrink further: a lying header
        return None
    try:
        raw = isal_zlib.decompress(memoryview(data)[41 : 41 + length], bufsize=stride * height)
    except IsalError:  # type: ignore[misc]  # isal types it as a plain object
        return None
    if len(raw) != stride * height:
        return None
    rows = np.frombuffer(raw, np.uint8).reshape(height, stride)
    filters = rows[:, 0]
    if depth == 1 and not filters.any():
        bits = np.unpackbits(rows[:, 1:], axis=1, count=width)
        return np.multiply(bits, 255, out=bits)[:, :, None]
    if depth == 8 and (filters == UP).all():
        return _sum_down(rows[:, 1:]).reshape(height, width, channels)
    return None


def _sum_down(rows: Array) -> Array:
    """``np.add.accumulate(rows, axis=0, dtype=np.uint8)``, which goes pixel by pixel, in whole
    rows: within all blocks of rows at once, then from block to block."""
    height, width = rows.shape
    deep = math.isqrt(height)
    num, out = height // deep, np.empty((height, width), np.uint8)
    whole = num * deep
    # Row by row of the blocks, so that what is added lies together and apart from its sum.
    sums = np.ascontiguousarray(rows[:whole].reshape(num, deep, width).swapaxes(0, 1))
    above = sums[0]
    for below in sums[1:]:
        above = np.add(below, above, below)
    carried = np.zeros((num, width), np.uint8)
    carried[1:] = sums[-1, :-1]
    near = 1
    while near < num:  # twice as many blocks' sums each time
        carried[near:] += carried[:-near]
        near *= 2
    blocks = out[:whole].reshape(num, deep, width)
    np.add(sums.swapaxes(0, 1), carried[:, None], blocks)
    for row in range(whole, height):
        np.add(out[row - 1], rows[row], out[row])
    return out


def _crc(data: bytes | memoryview) -> bytes:
    return struct.pack(">I", isal_zlib.crc32(data))


def _chunks_are_whole(data: bytes) -> bool:
    """Are all chunks there, undamaged? OpenCV would set memory aside for whatever length one
    names."""
    place = 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        if data[end : end + 4] != _crc(data[place + 4 : end]):
            return False
        if data[place + 4 : place + 8] == b"IEND":
            return True
        place = end + 4
    return False


def _decode_any(data: bytes) -> Array:
    picture = None
    if data[:8] == SIGNATURE and _chunks_are_whole(data):
        width, height = struct.unpack(">II", data[16:24])
        if width * height <= 8 * 1100 * len(data):  # as above, at one bit a pixel
            picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8:
        raise ImageError("PNG", "cannot be decoded as 8-bit", "rebuild the shard")
    if picture.ndim == 2:
        return picture[:, :, None]
    return np.ascontiguousarray(picture[:, :, 2::-1])
