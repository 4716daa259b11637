"""Marks with an outline: random paths, strokes of varying strength along them, specks, scatterings.

Paths are complex arrays (count, points), x + iy in parts of the map's side. Headings turn by exact
rational rotations, so that no sine is needed; cv2 draws them in fixed point, strongest last.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.textures.fields import FULL, Floats, Gray, cloud, rank

Paths = NDArray[np.complex128]
SHIFT = 4  # fractional bits of cv2's drawing
QUARTER_TURNS = np.array([1, 1j, -1, -1j])
EIGHTH_TAN = 0.41421356  # tan(22.5 degrees)


def rotation(half_tangents: Floats) -> Paths:
    """Unit complex numbers that turn by 2·atan(t)."""
    squares = half_tangents * half_tangents
    turned = (1 - squares + 2j * half_tangents) / (1 + squares)
    return np.asarray(turned, dtype=np.complex128)


def headings(count: int, generator: np.random.Generator) -> Paths:
    """Unit directions all around."""
    turns = rotation(generator.uniform(-EIGHTH_TAN, EIGHTH_TAN, count))
    quarters = QUARTER_TURNS[generator.integers(0, 4, count)]
    return np.asarray(turns * quarters, dtype=np.complex128)


def heavy(count: int, generator: np.random.Generator, most: float) -> Floats:
    """Sizes from 1 to `most` with a Pareto tail of exponent 2: many small, a few large."""
    sizes = 1.0 / np.sqrt(generator.uniform(1.0 / (most * most), 1.0, count))
    return np.asarray(sizes, dtype=np.float64)


def spots(count: int, generator: np.random.Generator, clustering: int) -> Paths:
    """`count` places in the unit square, drawn together where a random cloud is thick."""
    ground = cloud(64, 3, 4, generator)
    middle, high = rank(ground, 0.5), rank(ground, 0.16)
    density = np.clip((ground - middle) / (4.0 * (high - middle)) + 0.4, 0.02, 1.0)
    weight = density + 0.3
    for _ in range(clustering):
        weight *= density
    cumulative = np.cumsum(weight.ravel())
    cells = np.searchsorted(cumulative, generator.random(count) * cumulative[-1])
    cells = np.minimum(cells, 64 * 64 - 1)
    inside = generator.random((count, 2))
    places = (cells % 64 + inside[:, 0] + 1j * (cells // 64 + inside[:, 1])) / 64
    return np.asarray(places, dtype=np.complex128)


def wander(
    starts: Paths, toward: Paths, lengths: Floats, bend: Floats, points: int,
    generator: np.random.Generator,
) -> Paths:  # fmt: skip
    """Smoothly turning paths; `bend` is how fast the turn itself changes, 0 = straight."""
    turns = np.zeros((len(starts), points))
    rate = generator.normal(size=len(starts)) * 2
    for step in range(points):
        rate = 0.85 * rate + generator.normal(size=len(starts))
        turns[:, step] = rate * bend
    steps = toward[:, None] * np.cumprod(rotation(turns), axis=1)
    steps *= (lengths / points)[:, None]
    return np.concatenate([starts[:, None], starts[:, None] + np.cumsum(steps, axis=1)], axis=1)


def crack(
    starts: Paths, ends: Paths, roughness: float, depth: int, generator: np.random.Generator
) -> Paths:
    """Jagged paths by midpoint displacement: 2**depth pieces, alike at every scale."""
    paths = np.stack([starts, ends], axis=1)
    for _ in range(depth):
        along = np.diff(paths, axis=1)
        aside = generator.normal(size=along.shape) * roughness
        between = paths[:, :-1] + along * (0.5 + 1j * aside)
        grown = np.empty((len(paths), paths.shape[1] + between.shape[1]), np.complex128)
        grown[:, 0::2], grown[:, 1::2] = paths, between
        paths = grown
    return paths


def fading(count: int, points: int, generator: np.random.Generator, gaps: float) -> Floats:
    """Strength in 0..1 along strokes: swelling, with gaps, thin at both ends."""
    level = generator.random((count, points))
    for _ in range(2 + points // 32):
        level[:, 1:] = (level[:, 1:] + level[:, :-1]) / 2
    # averaging has drawn the levels together: spread them again
    level = np.clip((level - 0.5) * (1.2 + points / 64) + 0.5, 0, 1)
    level = np.clip((level - gaps) / (0.75 - gaps), 0, 1)
    place = np.arange(points) / max(1, points - 1)
    return np.asarray(level * np.minimum(1, 0.25 + 4 * place * (1 - place)), dtype=np.float64)


def draw_strokes(canvas: Gray, paths: Paths, strengths: Floats, widths: NDArray[np.int64]) -> None:
    """Draw paths in pieces; `strengths` 0..255 (count, pieces), `widths` in pixels (count,)."""
    side = canvas.shape[0]
    fixed = fixed_points(paths, side)
    levels = np.clip(strengths, 0, FULL).astype(np.int64)
    order = np.argsort(levels, axis=None, kind="stable")
    order = order[levels.ravel()[order] > 2]
    rows, columns = np.divmod(order, levels.shape[1])
    first, last = fixed[rows, columns].tolist(), fixed[rows, columns + 1].tolist()
    grays, thick = levels[rows, columns].tolist(), widths[rows].tolist()
    for start, end, gray, width in zip(first, last, grays, thick, strict=True):
        cv2.line(canvas, start, end, gray, width, cv2.LINE_AA, SHIFT)


def draw_points(canvas: Gray, places: Paths, strengths: Floats, grain: float = 1.0) -> None:
    """Set grains of `grain` times `pixel_unit` each to its strength, if that is more than what is
    there."""
    side = canvas.shape[0]
    unit = grain * pixel_unit(side)
    count = visible(len(places), side)
    levels = np.clip(strengths[:count], 0, FULL).astype(np.uint8)
    x, y = places.real[:count] * side, places.imag[:count] * side
    reach = int(unit) + 1
    for right, down in np.ndindex(reach, reach):
        # a grain of 1.5 pixels covers one or two, as its place has it
        columns, rows = np.floor(x).astype(np.int64) + right, np.floor(y).astype(np.int64) + down
        inside = (columns < np.floor(x + unit)) & (rows < np.floor(y + unit))
        inside &= (columns < side) & (rows < side)
        np.maximum.at(canvas, (rows[inside], columns[inside]), levels[inside])


def pixel_widths(canvas: Gray, widths: Floats) -> NDArray[np.int64]:
    """Widths in units of `pixel_unit` as whole pixels of the canvas, at least one."""
    return np.maximum(1, np.rint(widths * pixel_unit(canvas.shape[0]))).astype(np.int64)


def pixel_unit(side: int) -> float:
    """Canvas pixels per 1/1024 of the map's side: sizes follow the map, but never vanish."""
    return max(1.0, side / 1024)


def visible(count: int, side: int) -> int:
    """How many of `count` grains a small canvas shows, where each still takes a whole pixel."""
    return max(1, int(count * min(1.0, side * side / (1024 * 1024))))


def draw_specks(
    canvas: Gray, places: Paths, radii: Floats, strengths: Floats, generator: np.random.Generator
) -> None:
    """Fill ragged, drawn-out blobs; `radii` in pixels of the canvas."""
    count, corners = len(places), 11
    around = _compass(corners)[None, :] * generator.uniform(0.45, 1.25, (count, corners))
    stretch = generator.uniform(0.3, 1.0, (count, 1))
    outline = (around.real + 1j * around.imag * stretch) * headings(count, generator)[:, None]
    fixed = fixed_points(
        places[:, None] + outline * (radii / canvas.shape[0])[:, None], canvas.shape[0]
    )
    levels = np.clip(strengths, 0, FULL).astype(np.int64)
    for row in np.argsort(levels, kind="stable").tolist():
        cv2.fillPoly(canvas, [fixed[row]], int(levels[row]), cv2.LINE_AA, SHIFT)


def _compass(corners: int) -> Paths:
    """About evenly spread unit directions; even spread does not matter, exactness does."""
    quarter = rotation(np.arange(corners) * 4 / corners % 1 * 2 * EIGHTH_TAN - EIGHTH_TAN)
    around = quarter * QUARTER_TURNS[np.arange(corners) * 4 // corners]
    return np.asarray(around, dtype=np.complex128)


def fixed_points(paths: Paths, side: int) -> NDArray[np.int32]:
    """Paths as cv2 wants them: pixels of a canvas with `SHIFT` fractional bits, (..., 2)."""
    scale = side << SHIFT
    both = np.stack([paths.real * scale, paths.imag * scale], axis=-1)
    return np.clip(np.rint(both), -(1 << 24), 1 << 24).astype(np.int32)
