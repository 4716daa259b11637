"""Arrays of pixels: gray and RGB, sizes, sheets, and tiles that rejoin without a seam."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from pipeline.errors import ImageError

Array = np.ndarray


ERROR_GAIN = 4  # differences of pictures are shown this much larger, clipped at white


def to_uint8(pixels: Array) -> Array:
    """16-bit values scaled and rounded to 8 bits (65535 → 255); 8-bit ones unchanged."""
    if pixels.dtype == np.uint8:
        return pixels
    return ((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


def to_gray(picture: Array) -> Array:
    """Luma of a uint8 H×W×3 picture as H×W×1 (ITU-R BT.601, fixed point); gray ones unchanged."""
    if picture.shape[2] == 1:
        return picture
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]


def to_rgb(picture: Array) -> Array:
    """H×W×1 repeated to H×W×3; RGB unchanged."""
    return picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)


def resize(picture: Array, height: int, width: int) -> Array:
    """Area averaging when shrinking, linear when enlarging (both portable across CPUs); keeps
    channels."""
    shrinks = height <= picture.shape[0] and width <= picture.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(picture, (width, height), interpolation=method)
    return resized.reshape(height, width, *picture.shape[2:])


def encode_png(picture: Array) -> bytes:
    """Well-compressed PNG of a uint8 H×W×3, H×W×1 or H×W picture, for people to look at."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[-1] == 1 else picture)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=False)
    return out.getvalue()


def encode_jpeg(picture: Array, quality: int, halved_color: bool = False) -> bytes:
    """JPEG of a uint8 H×W×3 or H×W×1 picture; color in full resolution (4:4:4) unless halved
    (4:2:0)."""
    sampling = (
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
        if halved_color
        else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    )
    planes = picture if picture.shape[2] == 1 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    done, data = cv2.imencode(".jpg", planes, options)
    assert done, picture.shape
    return bytes(data.tobytes())


def decode_jpeg(data: bytes) -> Array:
    """uint8 H×W×3 or H×W×1 of a JPEG of ours. Raises ImageError when it is none."""
    planes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if planes is None:
        raise ImageError("JPEG", "cannot be decoded", "make it again")
    if planes.ndim == 2:
        return planes[:, :, None]
    return cv2.cvtColor(planes, cv2.COLOR_BGR2RGB)


def encode_webp(picture: Array, quality: int) -> bytes:
    """Lossy WebP of a uint8 H×W×3 or H×W×1 picture, by the fastest of the coder's methods."""
    image = Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    out = io.BytesIO()
    image.save(out, "WEBP", quality=quality, method=0)
    return out.getvalue()


def decode_webp(data: bytes) -> Array:
    """uint8 H×W×3 of a WebP of ours, which knows no gray; strangers' go through photos.decode."""
    with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
        return np.array(image.convert("RGB"))


def sheet(rows: Sequence[Sequence[Array]], gap: int = 4) -> Array:
    """Pictures side by side, row under row, on white: uint8 H×W×3. Masks H×W and gray ones are
    welcome."""
    cells = [[to_rgb(cell if cell.ndim == 3 else cell[:, :, None]) for cell in row] for row in rows]
    width = max(sum(cell.shape[1] + gap for cell in row) - gap for row in cells)
    height = sum(max(cell.shape[0] for cell in row) + gap for row in cells) - gap
    out = np.full((height, width, 3), 255, np.uint8)
    top = 0
    for row in cells:
        left = 0
        for cell in row:
            out[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
            left += cell.shape[1] + gap
        top += max(cell.shape[0] for cell in row) + gap
    return out


def difference_map(a: Array, b: Array, gain: float = ERROR_GAIN) -> Array:
    """Mean absolute difference of the channels × `gain`, uint8 H×W×1: black where two pictures
    are equal, clipped at white."""
    apart = np.abs(a.astype(np.int16) - b).mean(axis=2, keepdims=True)
    levels: Array = np.minimum(np.rint(apart * gain), 255).astype(np.uint8)
    return levels


def windows(length: int, tile: int, overlap: int) -> list[int]:
    """Starts of tiles that cover `length`; neighbours share at least `overlap`."""
    if length <= tile:
        return [0]
    step = tile - overlap
    count = -(-(length - overlap) // step)
    return [round(number * (length - tile) / (count - 1)) for number in range(count)]


def feather(length: int, overlap: int, at_start: bool, at_end: bool) -> Array:
    """float32 weights along one side of a tile: 1 inside, falling linearly where a neighbour
    overlaps."""
    weights = np.ones(length, np.float32)
    ramp = np.arange(1, min(overlap, length) + 1, dtype=np.float32) / np.float32(overlap + 1)
    if not at_start:
        weights[: len(ramp)] = ramp
    if not at_end:
        end = weights[length - len(ramp) :]
        np.minimum(end, ramp[::-1], out=end)
    return weights
