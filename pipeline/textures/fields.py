"""Smooth random fields and the arithmetic of amplitude maps: what all kinds of wear are grown from.

Everything is integer or exact by design (numpy's generator, cv2's bit-exact linear resize), because
the same seed has to give the same bytes on another CPU. No power, exponential or sine.
"""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Gray: TypeAlias = NDArray[np.uint8]
Field: TypeAlias = NDArray[np.int32]
Floats: TypeAlias = NDArray[np.float64]
FULL = 255


def noise(size: int, cells: tuple[int, int], generator: np.random.Generator) -> Field:
    """Value noise, int32 (size, size) in 0..65535, with `cells` = (down, across) random values.

    Doubling by linear resize is Chaikin's corner cutting: it ends in a quadratic spline, which
    shows none of the diamonds of a single linear resize.
    """
    down, across = (max(1, min(count, size)) for count in cells)
    grid = generator.integers(0, 1 << 16, (down, across), dtype=np.uint16)
    while 2 * max(grid.shape) <= size or 2 * min(grid.shape) <= size:
        height, width = (side if 2 * side > size else 2 * side for side in grid.shape)
        grid = _resize(grid, width, height)
    return _resize(grid, size, size).astype(np.int32)


def cloud(size: int, cells: int, octaves: int, generator: np.random.Generator) -> Field:
    """Fractal noise, int32 (size, size): each octave is twice as fine and half as strong."""
    total = noise(size, (cells, cells), generator)
    for octave in range(1, octaves):
        finer = cells << octave
        if finer > size:
            break
        total += noise(size, (finer, finer), generator) >> octave
    return total


def rank(field: Field, share: float) -> int:
    """The value that about `share` of the field's pixels exceed (a sixteenth of them is asked)."""
    ordered = np.sort(field[::4, ::4], axis=None)
    return int(ordered[min(ordered.size - 1, int(ordered.size * (1.0 - share)))])


def ramp(field: Field, low: int, high: int) -> Gray:
    """`field` as amplitude: 0 at `low` and below, 255 at `high` and above, straight between."""
    scale = np.float32(FULL / max(1, high - low))
    lifted = (field - np.int32(low)).astype(np.float32) * scale
    amplitude: Gray = np.clip(lifted, 0, FULL).astype(np.uint8)
    return amplitude


def patches(field: Field, share: float, hardness: float) -> Gray:
    """The highest `share` of a field as amplitude; hardness in 0..1 is the part that is full."""
    return ramp(field, rank(field, share), rank(field, share * hardness))


def multiply(first: Gray, second: Gray) -> Gray:
    """Amplitude times amplitude, with 255 as one."""
    wide = first.astype(np.uint16) * (second.astype(np.uint16) + np.uint16(1))
    return (wide >> 8).astype(np.uint8)


def scaled(amplitude: Gray, strength: int) -> Gray:
    """Amplitude with `strength` (0..255) as its new full scale."""
    table = (np.arange(256) * strength // FULL).astype(np.uint8)
    return table[amplitude]


def screen(first: Gray, second: Gray) -> Gray:
    """Both marks together, never above 255: one minus the product of what each leaves over."""
    return first + multiply(FULL - first, second)


def tooth(size: int, lowest: int, generator: np.random.Generator) -> Gray:
    """Fine uneven cover in lowest..255 that keeps any mark from looking flat."""
    fine = noise(size, (size // 2, size // 2), generator)
    fine += noise(size, (size // 6, size // 6), generator)
    return (lowest + ((fine * np.int32(FULL - lowest)) >> 17)).astype(np.uint8)


def shrink(canvas: Gray, size: int) -> Gray:
    """Area-average a finer canvas down to (size, size)."""
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def soften(amplitude: Gray, window: int) -> Gray:
    """Twice a box blur over about `window` pixels: a soft edge out of integer sums."""
    side = max(1, window) | 1
    return cv2.blur(cv2.blur(amplitude, (side, side)), (side, side)).astype(np.uint8)


def _resize(grid: NDArray[np.uint16], width: int, height: int) -> NDArray[np.uint16]:
    out = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return out.astype(np.uint16, copy=False)
