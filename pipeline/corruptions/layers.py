"""Layers that damage families lay over a photo: uint8 alphas drawn, blurred, moved and blended.

An alpha is uint8 H×W, 255 = opaque. Everything is integer work of cv2 and numpy, so that every CPU
makes the same bytes.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from pipeline.corruptions.geometry import SHIFT, Box, fixed
from pipeline.seeds import field

Array = np.ndarray
Color = Sequence[int]
FULL = 255
FAINT = 5  # of 255 (2 %): coats that cover no more, and strokes that cover less, are not laid
SOFTEST = 12  # px: what `soften` looks at around a pixel
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def blank(box: Box, times: int = 1) -> Array:
    """A uint8 picture of zeros, as large as the box, or so many times as large."""
    height, width = (side.stop - side.start for side in box)
    return np.zeros((times * height, times * width), np.uint8)


def fill(alpha: Array, outline: Array) -> None:
    """Make the inside of a closed outline (float64 N×2, px of the alpha) opaque."""
    cv2.fillPoly(alpha, [fixed(outline)], FULL, shift=SHIFT)


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


def soften(alpha: Array, sigma: float) -> Array:
    """Blurred by a Gaussian of `sigma` px; less than a third of a pixel is nothing, and `SOFTEST`
    is as far as it reaches."""
    if sigma < 0.34:
        return alpha
    reach = min(SOFTEST, math.ceil(2.5 * sigma))
    side = 2 * reach + 1
    return cv2.GaussianBlur(alpha, (side, side), min(sigma, SOFTEST / 2.5))


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


def less(alpha: Array, by: Array) -> Array:
    """Alpha, fainter where another alpha is high."""
    return cv2.multiply(alpha, FULL - by, scale=1 / FULL).reshape(alpha.shape)


def clear(alpha: Array) -> Array:
    """Without what is faint."""
    return cv2.threshold(alpha, FAINT, FULL, cv2.THRESH_TOZERO)[1].reshape(alpha.shape)


def marked(alpha: Array) -> Array:
    """The mask of an alpha: 255 where anything is laid on."""
    return cv2.threshold(alpha, 0, FULL, cv2.THRESH_BINARY)[1].reshape(alpha.shape)


def tint(alpha: Array, color: Color, channels: int) -> Array:
    """``color × alpha / 255`` in `channels` channels, uint8."""
    steps = np.arange(256)
    planes = {
        level: cv2.LUT(alpha, ((steps * int(level) + 127) // 255).astype(np.uint8))
        for level in set(color[:channels])
    }
    return cv2.merge([planes[level] for level in color[:channels]]).reshape(*alpha.shape, channels)


def mix(under: Array, over: Array | Color, alpha: Array) -> Array:
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


def cover(out: Array, mask: Array, box: Box, over: Array | Color, alpha: Array) -> None:
    """Lay `over`, a picture or one color, on the box of a picture where its alpha is not faint,
    and add that to the mask."""
    alpha = clear(alpha)
    out[box] = mix(out[box], over, alpha)
    mask[box] |= marked(alpha)


def put(out: Array, mask: Array, index: Array, alpha: Array, color: Color) -> None:
    """Move the pixels at `index` of the contiguous picture toward `color` by `alpha` of 255, where
    that is not faint, and add them to the mask."""
    kept = alpha >= FAINT
    index, share = index[kept], alpha[kept].astype(np.uint16)[:, None]
    pixels = out.reshape(-1, out.shape[2])
    toward = np.array(color[: out.shape[2]], np.uint16)
    pixels[index] = (pixels[index] * (FULL - share) + toward * share + FULL // 2) // FULL
    mask.reshape(-1)[index] = FULL


def filling(drawn: dict[str, Any], extent: Sequence[int]) -> Array | Color:
    """What a story's `fill` names: "black", "white", "noise" from its `seed` in each value of
    `extent` (height, width, channels), or else its `color`."""
    if drawn["fill"] == "noise":
        return field(drawn["seed"]).integers(0, 256, extent, np.uint8)
    color: Color = {"black": BLACK, "white": WHITE}.get(drawn["fill"], drawn["color"])
    return color
