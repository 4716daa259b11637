"""Nets of cracks: a plane divided again and again into islands, as drying layers divide.

Each crack runs from one older crack to another, so that every junction is a T and every island
closes; older cracks are wider (Bohn, Pauchard & Couder 2005, "Hierarchical crack pattern as formed
by successive domain divisions"). Lengths are in islands: 1 is the distance between two cracks.

All is a function of the seed and of the place in the net: windows of one net agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pipeline.corruptions.geometry import right_of
from pipeline.seeds import field

Array = np.ndarray
Limits = tuple[Array, Array]
GRAIN = 1.2  # how much longer islands are along the grain than across
OVER = 2.0  # farther than any point strays
LATTICE = 32  # places a side of a random field, after which it comes again; a power of two
FINER = 0.95  # a crack's width against its parent's
STRAYS = ((6.0, 0.6), (1.6, 0.22), (0.45, 0.07))  # wavelengths and spreads of the lines
GAPS = 0.05  # share of half cracks that never opened
PIECE = 0.4  # of a line, at most
MANY = 64  # cells from which on it pays to drop those out of sight


class Cells(NamedTuple):
    """Quadrilaterals: corners (n, 4, 2), how large each of them may stay, and their names."""

    corners: Array
    allowed: Array
    name: Array


class Runs(NamedTuple):
    """Half cracks: wandering lines (n, points, 2), and how wide each is against the widest."""

    paths: Array
    widths: Array


def net(radius: float, limits: Limits, along: Array, seed: int) -> list[Runs]:
    """The cracks of a ragged disk round (0, 0) that lie in the box between the two points of
    `limits`; `along` is the unit vector of the grain. One item for each class of lengths."""
    frame = np.stack([along * GRAIN, right_of(along) / GRAIN])
    low, high = _seen(frame, limits)
    half = 1.3 * radius + 1
    square = half * np.array([[[-1.0, -1], [1, -1], [1, 1], [-1, 1]]])
    cells = Cells(square, np.ones(1), np.ones(1, np.uint64))
    cuts: list[Array] = []
    generations: list[Array] = []
    while len(cells.name):
        ends, cells = _divide(cells, seed)
        cuts.append(ends)
        generations.append(np.full(len(ends), len(generations)))
        if len(cells.name) > MANY:
            cells = _near(cells, low, high)
    ends, depth = np.concatenate(cuts), np.concatenate(generations)
    seen = (ends.max(axis=1) > low) & (ends.min(axis=1) < high)
    return _wander(ends[seen.all(axis=1)], depth[seen.all(axis=1)], radius, frame, seed)


def _near(cells: Cells, low: Array, high: Array) -> Cells:
    """Those that the box may hold a part of."""
    kept = (cells.corners.max(axis=1) > low) & (cells.corners.min(axis=1) < high)
    return Cells(*(values[kept.all(axis=1)] for values in cells))


def _seen(frame: Array, limits: Limits) -> Limits:
    """The box of the net's own frame that holds all of `limits`, and what may stray into it."""
    (x0, y0), (x1, y1) = limits
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) @ np.linalg.inv(frame)
    return corners.min(axis=0) - OVER, corners.max(axis=0) + OVER


def _divide(cells: Cells, seed: int) -> tuple[Array, Cells]:
    """Cut every cell that is too large across its longer sides: the cuts (n, 2, 2), and the
    halves."""
    corners, chances = cells.corners, _chances(cells.name, seed)
    diagonals = corners[:, 2:] - corners[:, :2]
    x, y = diagonals[:, 0].T, diagonals[:, 1].T
    area = np.abs(x[0] * y[1] - x[1] * y[0]) / 2
    kept = area > 1.9 * cells.allowed * (0.7 + 0.6 * chances[0])
    corners, allowed, name = (values[kept] for values in cells)
    _, turned, share, skewed, finer = chances[:, kept]
    first, second, third, fourth = corners.transpose(1, 0, 2)
    upright = np.abs(third + fourth - first - second).sum(axis=1)
    level = np.abs(second + third - first - fourth).sum(axis=1)
    turn = (upright > level * (0.85 + 0.3 * turned))[:, None]
    second, fourth = np.where(turn, fourth, second), np.where(turn, second, fourth)
    share = 0.32 + 0.36 * share
    other = np.clip(share + 0.4 * (skewed - 0.5), 0.25, 0.75)
    one = first + (second - first) * share[:, None]
    two = fourth + (third - fourth) * other[:, None]
    halves = [(first, one, two, fourth), (one, second, third, two)]
    parts = np.concatenate([np.stack(half, axis=1) for half in halves])
    sizes = np.concatenate([allowed * (0.85 + 0.3 * finer), allowed * (1.15 - 0.3 * finer)])
    names = np.concatenate([2 * name, 2 * name + np.uint64(1)])
    return np.stack([one, two], axis=1), Cells(parts, sizes, names)


def _wander(ends: Array, depth: Array, radius: float, frame: Array, seed: int) -> list[Runs]:
    """Cuts as uneven lines in two halves, without those beyond the disk or never opened."""
    lattices = field(seed).standard_normal((len(STRAYS) + 2, 2 * LATTICE**2), np.float32)
    lattices = lattices.view(np.complex64)
    way = ends[:, 1] - ends[:, 0]
    classes = np.frexp((way * way).sum(axis=1))[1] + 1 >> 1  # powers of two above the length
    found = []
    for size in range(classes.min(initial=1), classes.max(initial=0) + 1):
        alike = classes == size
        pieces = max(2, math.ceil(2.0**size / PIECE / 2))
        place = np.arange(2 * pieces + 1)[:, None] / (2 * pieces)
        lines = ends[alike, None, 0] + way[alike, None] * place
        for (wavelength, spread), lattice in zip(STRAYS, lattices[2:], strict=True):
            lines = lines + spread * _smooth(lattice, lines / wavelength)
        lines = lines @ frame
        paths = np.concatenate([lines[:, : pieces + 1], lines[:, pieces:]])
        runs = Runs(paths, np.tile(FINER ** depth[alike], 2))
        found.append(_worn(runs, radius, lattices))
    return found


def _worn(runs: Runs, radius: float, lattices: Array) -> Runs:
    """Of uneven width, finer and fewer towards the rim of the disk and beyond."""
    middle = runs.paths[:, runs.paths.shape[1] // 2]
    uneven = _smooth(lattices[0], middle / 4)
    away = np.sqrt((middle * middle).sum(axis=1)) / max(0.01, radius) + 0.16 * uneven[:, 0]
    # a field of another pitch stands for chance: it too knows nothing but places
    chance = np.abs(_smooth(lattices[1], middle * 7.3)[:, 0])
    kept = chance > np.maximum(GAPS, 4 * (away - 0.85))
    fading = np.clip(2.5 * (1.2 - away), 0.3, 1)
    widths = runs.widths * fading * np.clip(0.75 + 0.3 * uneven[:, 1], 0.25, 1.25)
    return Runs(runs.paths[kept], widths[kept])


def _smooth(lattice: Array, points: Array) -> Array:
    """A periodic field of vectors (complex, n·n) at points (…, 2), linear between its places."""
    whole = np.floor(points)
    part = (points - whole).astype(np.float32)
    x, y = part[..., 0], part[..., 1]
    left, top = np.moveaxis(whole.astype(np.int32) & (LATTICE - 1), -1, 0)
    right, top, low = (left + 1) & (LATTICE - 1), top * LATTICE, (top + 1) % LATTICE * LATTICE
    above, below = lattice[top + left], lattice[low + left]
    above += (lattice[top + right] - above) * x
    below += (lattice[low + right] - below) * x
    above += (below - above) * y
    vectors: Array = above.view(np.float32).reshape(points.shape)
    return vectors


def _chances(names: Array, seed: int) -> Array:
    """Five numbers in [0, 1) for each name (5, n), a function of it and the seed: 12 bits each of
    SplitMix64 (Steele, Lea & Flood 2014)."""
    mixed = names * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = np.arange(0, 60, 12, dtype=np.uint64)[:, None]
    shares: Array = ((mixed ^ (mixed >> np.uint64(31))) >> bits & np.uint64(4095)) / 4096
    return shares
