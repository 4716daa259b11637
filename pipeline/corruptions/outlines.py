"""Lines and outlines that damage families share: irregular, seeded, the same on every CPU.

Points are float64 N×2 arrays of (x, y) in px of the tile. Only sums, products and square roots
touch them; sines come from a rounded table.
"""

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

Array = np.ndarray
Box = tuple[slice, slice]
SHIFT = 4  # cv2 draws in sixteenths of a pixel
FAR = 1 << 20  # px; past any tile, and safe in sixteenths
DIRECTIONS = 1024  # of the compass; a power of two, so that `& (DIRECTIONS - 1)` turns round


@functools.cache
def compass() -> Array:
    """The unit vector of each of the `DIRECTIONS`, clockwise from the right."""
    angles = [2 * math.pi * number / DIRECTIONS for number in range(DIRECTIONS)]
    return np.array([[round(math.cos(angle), 6), round(math.sin(angle), 6)] for angle in angles])


def fixed(points: Array) -> Array:
    """For cv2's ``shift=SHIFT``: int32 sixteenths of a pixel."""
    sixteenths: Array = np.rint(np.clip(points, -FAR, FAR) * (1 << SHIFT)).astype(np.int32)
    return sixteenths


def normals(points: Array) -> Array:
    """Unit vectors at right angles to an open line, to the left as seen when walking along it."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    length = np.sqrt((along * along).sum(axis=1, keepdims=True))
    across: Array = np.stack([along[:, 1], -along[:, 0]], axis=1) / np.maximum(length, 1e-9)
    return across


def roughness(levels: int, decay: float, rng: np.random.Generator) -> Array:
    """A fractal height at ``2**levels + 1`` places, 0 at both ends, by mid-point displacement
    (Fournier, Fussell & Carpenter 1982): each level adds less by the factor `decay`; ±1 or so."""
    heights, step = np.zeros(2), 1.0
    for _ in range(levels):
        middles = (heights[1:] + heights[:-1]) / 2
        middles += step * (rng.random(len(middles)) - 0.5)
        finer = np.empty(2 * len(heights) - 1)
        finer[::2], finer[1::2] = heights, middles
        heights, step = finer, step * decay
    return heights


def bent(start: Array, bend: Array, end: Array, num: int, past: float = 0) -> Array:
    """`num` points of the parabola from `start` towards `bend` to `end` (a quadratic Bézier),
    continued past both by the share `past`."""
    t = np.linspace(-past, 1 + past, num)[:, None]
    parabola: Array = start * (1 - t) ** 2 + bend * (2 * t * (1 - t)) + end * t**2
    return parabola


def blob(radius: float, rough: float, num: int, rng: np.random.Generator) -> Array:
    """A closed irregular outline of about `num` points round (0, 0), within about `radius` of it:
    a disk at `rough` 0, long and ragged at 1."""
    levels = max(1, (num - 1).bit_length())
    ragged = np.clip(1 + 1.4 * rough * roughness(levels, 0.65, rng)[:-1], 0.3, 1.5)
    start = int(rng.integers(2**levels))
    outline = np.roll(compass()[:: DIRECTIONS >> levels], start, axis=0) * ragged[:, None]
    along = compass()[int(rng.integers(DIRECTIONS))]
    squeezed = rough * rng.uniform(0, 0.7)
    pressed: Array = outline - squeezed * (outline * along).sum(axis=1, keepdims=True) * along
    return pressed * (radius / 1.1)


def levels_for(length: float, step: float = 2.0, most: int = 11) -> int:
    """Levels of displacement after which the pieces of a line are about `step` px long."""
    return min(most, max(1, math.ceil(math.log2(max(2.0, length / step)))))


def box_of(points: Array, margin: float, extent: Sequence[int]) -> Box | None:
    """Rows and columns of the tile that the points grown by `margin` may touch; None: none."""
    low = np.floor(np.clip(points.min(axis=0) - margin, -FAR, FAR)).astype(int)
    high = np.ceil(np.clip(points.max(axis=0) + margin, -FAR, FAR)).astype(int) + 1
    x0, y0 = np.maximum(low, 0).tolist()
    x1, y1 = np.minimum(high, [extent[1], extent[0]]).tolist()
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def meets(outline: Array, extent: Sequence[int]) -> bool:
    """Whether a closed outline of many points has a part in the tile."""
    inside = (outline >= -0.5) & (outline <= np.array([extent[1], extent[0]]) - 0.5)
    if inside.all(axis=1).any():
        return True
    closed = outline.astype(np.float32).reshape(-1, 1, 2)
    corners = [(x, y) for x in (0.0, extent[1] - 1.0) for y in (0.0, extent[0] - 1.0)]
    return any(cv2.pointPolygonTest(closed, corner, False) >= 0 for corner in corners)


def within(points: Array, box: Box) -> Array:
    """The same points as seen from the box's top left corner."""
    moved: Array = points - np.array([box[1].start, box[0].start])
    return moved
