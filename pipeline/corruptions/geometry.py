"""Directions, boxes and cv2's fixed point: the plain geometry that damage families share.

Points are float64 arrays of (x, y) in px, directions whole parts of a turn, so that a story can
tell them: their sines come from a rounded table, the same on every CPU.
"""

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

Array = np.ndarray
Box = tuple[slice, slice]  # rows and columns of a tile, never empty
SHIFT = 4  # cv2 draws in sixteenths of a pixel
FAR = 1 << 22  # px; past any tile, and safe in sixteenths
DIRECTIONS = 1024  # of a story's compass; a power of two, so that `& (DIRECTIONS - 1)` turns round
TURN = 4096  # directions of the finer compass of curling strokes


@functools.cache
def compass(directions: int = DIRECTIONS) -> Array:
    """The unit vector of each direction, clockwise from the right, float64 (directions, 2)."""
    angles = [math.tau * number / directions for number in range(directions)]
    return np.array([[round(math.cos(angle), 6), round(math.sin(angle), 6)] for angle in angles])


def step(direction: int, length: float) -> tuple[int, int]:
    """The whole px (x, y) that are nearest to `length` px in one of the `DIRECTIONS`."""
    x, y = np.rint(compass()[direction] * length).astype(int).tolist()
    return x, y


def right_of(vectors: Array) -> Array:
    """Vectors (…, 2), each a quarter turn clockwise, as y grows downwards."""
    turned: Array = vectors[..., ::-1] * np.array([-1.0, 1.0])
    return turned


def fixed(points: Array) -> Array:
    """For cv2's ``shift=SHIFT``: int32 sixteenths of a pixel."""
    sixteenths: Array = np.rint(np.clip(points, -FAR, FAR) * (1 << SHIFT)).astype(np.int32)
    return sixteenths


def clipped(rows: Sequence[int], columns: Sequence[int], extent: Sequence[int]) -> Box | None:
    """Half-open rows and columns, as far as a tile of `extent` (height, width) has them; None:
    not at all."""
    y0, x0 = max(0, rows[0]), max(0, columns[0])
    y1, x1 = min(extent[0], rows[1]), min(extent[1], columns[1])
    return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None


def box_of(points: Array, margin: float, extent: Sequence[int]) -> Box | None:
    """Where in a tile of `extent` the points (N×2), grown by `margin`, may lie; None: nowhere."""
    low = np.floor(np.clip(points.min(axis=0) - margin, -FAR, FAR)).astype(int).tolist()
    high = np.ceil(np.clip(points.max(axis=0) + margin, -FAR, FAR)).astype(int).tolist()
    return clipped((low[1], high[1] + 1), (low[0], high[0] + 1), extent)


def within(points: Array, box: Box) -> Array:
    """The same points as seen from the box's top left corner."""
    moved: Array = points - np.array([box[1].start, box[0].start])
    return moved


def inside(box: Box, top: int, left: int) -> Box:
    """A tile's box as seen from another top left corner."""
    rows, columns = (
        slice(side.start - first, side.stop - first)
        for side, first in zip(box, (top, left), strict=True)
    )
    return rows, columns


def meets(outline: Array, extent: Sequence[int]) -> bool:
    """Whether a closed outline of many points has a part in the tile."""
    within_tile = (outline >= -0.5) & (outline <= np.array([extent[1], extent[0]]) - 0.5)
    if within_tile.all(axis=1).any():
        return True
    closed = outline.astype(np.float32).reshape(-1, 1, 2)
    corners = [(x, y) for x in (0.0, extent[1] - 1.0) for y in (0.0, extent[0] - 1.0)]
    return any(cv2.pointPolygonTest(closed, corner, False) >= 0 for corner in corners)
