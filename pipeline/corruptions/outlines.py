"""Irregular lines and outlines: seeded, the same on every CPU.

Points are float64 arrays of (x, y) in px. Only sums, products and square roots touch them; sines
come from the compass.
"""

import math

import numpy as np

from pipeline.corruptions.geometry import DIRECTIONS, TURN, compass, right_of

Array = np.ndarray


def normals(points: Array) -> Array:
    """Unit vectors at right angles to an open line, to the left as seen when walking along it."""
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    length = np.sqrt((along * along).sum(axis=1, keepdims=True))
    across: Array = -right_of(along) / np.maximum(length, 1e-9)
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


def smooth(count: int, points: int, passes: int, generator: np.random.Generator) -> Array:
    """Smooth random curves of about unit spread, float64 (count, points)."""
    level = generator.normal(size=(count, points + passes))
    for _ in range(passes):
        level = (level[:, 1:] + level[:, :-1]) * 0.5
    return np.asarray(level * (math.pi * passes) ** 0.25)  # what averaging took from the spread


def curl(
    starts: Array, lengths: Array, turns: Array, pieces: int, generator: np.random.Generator
) -> Array:
    """Curled paths, float64 (count, pieces + 1, 2): `turns` is by how many full turns the
    direction strays on the way, half of it one way round."""
    count = len(starts)
    bias = generator.normal(size=(count, 1)) + 1.4 * smooth(count, pieces, pieces // 5, generator)
    bias += 0.9 * smooth(count, pieces, 3, generator)
    angles = generator.integers(0, TURN, (count, 1)) + np.cumsum(
        bias * (turns * TURN / pieces)[:, None], axis=1
    )
    steps = (
        compass(TURN)[np.rint(angles).astype(np.int64) % TURN] * (lengths / pieces)[:, None, None]
    )
    places = starts[:, None] + np.cumsum(steps, axis=1)
    return np.concatenate([starts[:, None], places], axis=1)
