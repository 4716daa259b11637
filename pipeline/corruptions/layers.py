"""Layers that damage families lay over a photo: uint8 alphas drawn, blurred, moved and blended.

An alpha is uint8 H×W, 255 = opaque. Everything is integer work of cv2 and numpy, so that every CPU
makes the same bytes.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.corruptions.outlines import Box

Array = np.ndarray
VISIBLE = 5  # of 255: what is fainter (under 2 %) is not drawn at all, and not in the mask


def blank(box: Box, times: int = 1) -> Array:
    """A uint8 picture of zeros, as large as the box, or so many times as large."""
    height, width = (side.stop - side.start for side in box)
    return np.zeros((times * height, times * width), np.uint8)


def lines(alpha: Array, paths: Sequence[Array], width: float, level: int = 255) -> None:
    """Draw open lines (int32 points in half px) of any width on an alpha twice as large as what it
    is for; ones that are finer than half a pixel are fainter."""
    fine = min(1.0, 2 * width)
    cv2.polylines(alpha, paths, False, max(1, round(level * fine)), max(1, round(2 * width)))


def half(alpha: Array) -> Array:
    """An alpha drawn at twice the size, smoothly reduced to the size it is for."""
    height, width = alpha.shape[0] // 2, alpha.shape[1] // 2
    small = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width)


def cloud(extent: Sequence[int], cell: float, rng: np.random.Generator) -> Array:
    """Smooth uint8 noise whose spots are about `cell` px large."""
    cell = max(1.0, cell)
    small = [max(1, math.ceil(length / cell) + 1) for length in extent[:2]]
    spots = rng.integers(0, 256, small, np.uint8)
    rows, columns = (round(length * cell) for length in small)
    large = cv2.resize(spots, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return large.reshape(rows, columns)[: extent[0], : extent[1]]


def soft(alpha: Array, radius: float) -> Array:
    """Blurred by two boxes of ``2 × radius + 1`` px together; radius 0 changes nothing."""
    side = 2 * math.ceil(radius / 2) + 1
    twice = cv2.blur(cv2.blur(alpha, (side, side)), (side, side)) if side > 1 else alpha
    return twice.reshape(alpha.shape)


def scaled(alpha: Array, strength: float) -> Array:
    """Alpha times a strength, saturated."""
    table = np.minimum(np.rint(np.arange(256) * strength), 255).astype(np.uint8)
    return cv2.LUT(alpha, table).reshape(alpha.shape)


def shifted(alpha: Array, x: int, y: int) -> Array:
    """The same, moved by whole pixels; the border pixels follow."""
    height, width = alpha.shape
    up, by = abs(y), abs(x)
    frame: Array = cv2.copyMakeBorder(alpha, up, up, by, by, cv2.BORDER_REPLICATE)
    top, left = up - y, by - x
    return frame[top : top + height, left : left + width]


def clear(alpha: Array) -> Array:
    """Without what is fainter than 2 %."""
    return cv2.threshold(alpha, VISIBLE, 255, cv2.THRESH_TOZERO)[1].reshape(alpha.shape)


def marked(alpha: Array) -> Array:
    """The mask of an alpha: 255 where anything is laid on."""
    return cv2.threshold(alpha, 0, 255, cv2.THRESH_BINARY)[1].reshape(alpha.shape)


def tint(alpha: Array, color: Sequence[int], channels: int) -> Array:
    """``color × alpha / 255`` in `channels` channels, uint8."""
    steps = np.arange(256)
    planes = {
        level: cv2.LUT(alpha, ((steps * int(level) + 127) // 255).astype(np.uint8))
        for level in set(color[:channels])
    }
    return cv2.merge([planes[level] for level in color[:channels]]).reshape(*alpha.shape, channels)


def mix(under: Array, over: Array | Sequence[int], alpha: Array) -> Array:
    """`over`, a picture or one color, laid on `under` with an alpha; exact at 0 and at 255."""
    channels = under.shape[2]
    rest = cv2.merge([255 - alpha] * channels)
    below = cv2.multiply(under, rest, scale=1 / 255).reshape(under.shape)
    if isinstance(over, np.ndarray):
        above = cv2.multiply(over, cv2.merge([alpha] * channels), scale=1 / 255)
    elif any(over):
        above = tint(alpha, over, channels)
    else:
        return below  # black adds nothing
    return cv2.add(below, above.reshape(under.shape)).reshape(under.shape)
