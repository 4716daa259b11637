"""What stains and faded areas share: random fields, soft bumps, ridges, and their enlargement.

No family lives here. A mark is drawn on a grid of its own (at most `GRID` cells a side) and
enlarged by a whole factor: only the cells under a tile are enlarged, and a mark on a large photo
costs little more than on a small one.
"""

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.corruptions.geometry import Box

Array = np.ndarray
GRID = 256  # cells: fine enough that a mark on a 512 px photo is drawn at its own size
MARGIN = 2  # cells: no pixel depends on a cell farther away
CONES = (8, 16, 32, 64, 128)  # cells; a bump is scaled from the next larger one


def grid_of(height: int, width: int) -> tuple[int, int, int]:
    """Rows, columns and factor of the grid for a mark of `height` × `width` px."""
    factor = max(1, -(-max(height, width) // GRID))
    return -(-height // factor), -(-width // factor), factor


def enlarge(small: Array, factor: int, box: Box) -> Array:
    """The pixels in `box` of uint8 cells (H×W or H×W×C) enlarged `factor` times, smoothly."""
    rows, columns = box
    if factor == 1:
        return np.ascontiguousarray(small[rows, columns])
    top, left = (max(0, side.start // factor - MARGIN) for side in box)
    bottom, right = (side.stop // factor + MARGIN + 1 for side in box)
    part = small[top:bottom, left:right]
    size = part.shape[1] * factor, part.shape[0] * factor
    large = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    large = large.reshape(size[1], size[0], *small.shape[2:])  # cv2 drops a last axis of 1
    first, start = rows.start - top * factor, columns.start - left * factor
    last, stop = rows.stop - top * factor, columns.stop - left * factor
    return np.ascontiguousarray(large[first:last, start:stop])


def curve(*points: tuple[float, float]) -> Array:
    """A look-up table (uint8, 256) through ``(level, value)`` points, straight between them."""
    levels, values = zip(*points, strict=True)
    table: Array = np.rint(np.interp(np.arange(256), levels, values)).astype(np.uint8)
    return table


def fractal(rng: np.random.Generator, rows: int, columns: int, lumps: int, rough: float) -> Array:
    """A smooth random field, uint8 around 128, with some `lumps` on its shorter side.

    Each doubling adds noise of `rough` times the amplitude before it. Linear doubling again and
    again cuts corners, which ends in smooth splines: no trace of the grid is left.
    """
    doublings = max(0, int(math.log2(max(1.0, min(rows, columns) / lumps))))
    height, width = -(-rows >> doublings), -(-columns >> doublings)
    out = rng.integers(0, 256, (height, width), np.uint8)
    total = amplitude = 1.0
    for _ in range(doublings):
        height, width, amplitude = height * 2, width * 2, amplitude * rough
        total += amplitude
        out = cv2.resize(out, (width, height), interpolation=cv2.INTER_LINEAR)
        share = round(amplitude / total * 256) / 256  # in 256ths: no product is rounded
        finer = rng.integers(0, 256, (height, width), np.uint8)
        out = cv2.addWeighted(out, 1 - share, finer, share, 0).reshape(height, width)
    field: Array = out[:rows, :columns]
    return field


def bumps(rows: int, columns: int, cones: Sequence[Sequence[int]]) -> Array:
    """Cones on a grid of 0, uint8; the highest counts. Each is ``(top, left, height, width,
    level)``: its box in cells, and the level of its tip."""
    out = np.zeros((rows, columns), np.uint8)
    for top, left, height, width, level in cones:
        whole = next((side for side in CONES if side >= max(height, width)), CONES[-1])
        cone = cv2.resize(_cone(whole), (width, height), interpolation=cv2.INTER_AREA)
        if level < 255:
            cone = cv2.multiply(cone, np.full_like(cone, level), scale=1 / 255)
        part = out[top : top + height, left : left + width]
        np.maximum(part, cone.reshape(height, width), out=part)
    return out


def ridges(rng: np.random.Generator, y: Array, x: Array, across: float, stretch: int) -> Array:
    """The phase of a finger's ridges at points `y`, `x` (-1 to 1, y down the finger), uint8, 256
    to a ridge, `across` of them in a length of 1.

    A smooth phase (the distance to a bent core line: a whorl when it is short, a loop when it is
    long) bent by noise, and a spiral added wherever a ridge ends or forks (Larkin and Fletcher
    2007, "A coherent framework for fingerprint analysis").
    """
    bend = np.float32(rng.uniform(-0.5, 0.5))
    length = np.float32((0.1, 0.3, 2.0)[int(rng.integers(3))])
    y = y + np.float32(0.15)
    x = x - bend * y * y
    y = y - y.clip(0, length)
    phase = np.sqrt(x * x + y * y) * np.float32(across * 256)
    rows, columns = phase.shape
    bent = fractal(rng, rows, columns, 3, 0.4).astype(np.int32) * stretch
    turns: Array = ((phase.astype(np.int32) + bent) & 255).astype(np.uint8)
    for _ in range(int(rng.integers(16, 32))):
        top, left = GRID - int(rng.integers(rows)), GRID - int(rng.integers(columns))
        spiral = _spiral()[top : top + rows, left : left + columns]
        turns = turns + spiral if rng.integers(2) else turns - spiral
    return turns


@functools.cache
def _cone(side: int) -> Array:
    middle = (side - 1) / 2
    radii = [[math.hypot(y - middle, x - middle) for x in range(side)] for y in range(side)]
    return np.array(
        [[max(0, round(255 - 255 * r / middle)) for r in row] for row in radii], np.uint8
    )


@functools.cache
def _spiral() -> Array:
    """The angle around the middle of 2·GRID + 1 cells a side, 256 to a turn (uint8)."""
    side = range(GRID + 1)
    quarter = np.array([[round(math.atan2(y, x) * 128 / math.pi) for x in side] for y in side])
    right = np.concatenate([-quarter[:0:-1], quarter])
    return np.concatenate([(128 - right)[:, :0:-1], right], axis=1).astype(np.uint8)
