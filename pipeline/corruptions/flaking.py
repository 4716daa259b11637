"""Emulsion that breaks off along a fold: a jagged crack, chips missing on either side of it, loose
ones near by, and cracks that run off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.corruptions import Array
from pipeline.corruptions.canvas import View, draw_strokes, heavier, heavy, noise_at
from pipeline.corruptions.creases import LOOSE, Band, Ridge, at
from pipeline.corruptions.geometry import SHIFT, TURN, compass, right_of
from pipeline.corruptions.layers import FULL, put
from pipeline.corruptions.outlines import smooth

CUT_EDGE = (20, 16, 10)
CHIP = 0.006  # of the short side: the smallest chips' length along the ridge
CORNERS = 6  # of a loose chip
SPUR_PIECES = 8


def flake(
    out: Array, mask: Array, ridge: Ridge, band: Band, view: View, paper: Sequence[int],
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """Bare paper in a crack along the ridge and where chips beside it are gone, with the layer's
    dark edge around."""
    sides = [_chips(ridge, view.side, generator) for _ in range(2)]
    core = 0.0018 * view.side * ridge.cracked * _jagged(ridge, view.side, generator)
    loose = np.flatnonzero(np.abs(band.aside) < LOOSE * view.side + 2)
    place, aside = band.place[loose], band.aside[loose]
    crack = at(core, place)
    depth = np.maximum(crack, np.where(aside > 0, at(sides[0], place), at(sides[1], place)))
    bare = depth - np.abs(aside) + np.float32(0.5)
    near = np.flatnonzero(bare > -1.5)
    bare, pixels = bare[near], band.pixels[loose][near]
    thin = np.minimum(1, depth[near]) * FULL
    edge = np.clip(bare + 1, 0, 1) * np.float32(0.35) * thin
    put(out, mask, pixels, edge.astype(np.uint8), CUT_EDGE)
    cell = max(1, round(view.side / 400))
    fibers = noise_at(cell, band.rows[loose][near], band.columns[loose][near]).astype(np.float32)
    white = np.clip(bare, 0, 1) * thin * (1 - np.float32(0.14 / FULL) * fibers)
    put(out, mask, pixels, white.astype(np.uint8), paper)


def _chips(ridge: Ridge, side: int, generator: np.random.Generator) -> Array:
    """How far the layer is gone on one side of the ridge, px at each place: angular bites one
    beside another, with steep ends, where and as deep as the ridge is eaten."""
    count, shortest = len(ridge.eaten), CHIP * side
    num = math.ceil(count / shortest) + 1
    lengths = shortest * heavier(num, generator, 9)
    starts = np.cumsum(lengths) - lengths
    eaten = ridge.eaten[np.minimum(starts, count - 1).astype(np.int64)]
    gone = generator.random(num) < 0.85 * eaten
    depths = gone * lengths * generator.uniform(0.2, 0.75, num) * (0.25 + 0.9 * eaten)
    depths = np.minimum(depths, (LOOSE - 0.004) * side)
    steps = np.array([0.0, 0.08, 0.38, 0.66, 0.9, 1.0]) + generator.uniform(-0.06, 0.06, (num, 6))
    steps[:, 0], steps[:, -1] = 0.0, 0.995
    heights = generator.uniform(0.35, 1.0, (num, 6)) * [0, 1, 1, 1, 1, 0]
    knots = starts[:, None] + lengths[:, None] * np.maximum.accumulate(steps, axis=1)
    profile = np.interp(np.arange(count), knots.ravel(), (heights * depths[:, None]).ravel())
    return np.asarray(profile)


def _jagged(ridge: Ridge, side: int, generator: np.random.Generator) -> Array:
    """The crack's uneven width, from 0.1 to 2 of the usual."""
    count = len(ridge.cracked)
    knots = max(2, math.ceil(count / max(1.0, 0.004 * side))) + 1
    values = generator.uniform(0.1, 2.0, knots)
    return np.asarray(np.interp(np.arange(count) * (knots - 1) / count, np.arange(knots), values))


def scatter(
    canvas: Array, view: View, worn: float, ridge: Ridge, generator: np.random.Generator
) -> None:
    """Loose chips beside the ridge, and thin jagged cracks that leave it and soon end."""
    _drop_chips(canvas, view, worn, ridge, generator)
    count = int(60 * worn * worn * len(ridge.wave) / view.side)
    root = generator.integers(0, len(ridge.wave), count)
    toward = compass(TURN)[generator.integers(0, TURN, count)][:, None]
    lengths = (0.01 * view.side * heavy(count, generator, 10))[:, None, None]
    place = (np.arange(SPUR_PIECES + 1) / SPUR_PIECES)[:, None]
    jagged = 0.06 * smooth(count, SPUR_PIECES + 1, 1, generator)[:, :, None] * (place > 0)
    points = _on(ridge, root)[:, None] + (toward * place + right_of(toward) * jagged) * lengths
    widths = (0.0012 * view.side * ridge.cracked[root])[:, None] * (1.2 - place[1:, 0])
    draw_strokes(canvas, view.fixed(points), widths, np.full(widths.shape, 240.0))


def _drop_chips(
    canvas: Array, view: View, worn: float, ridge: Ridge, generator: np.random.Generator
) -> None:
    """Angular flecks, the fewer and smaller the farther from the ridge."""
    count = int(90 * worn * worn * len(ridge.wave) / view.side)
    root = generator.integers(0, len(ridge.wave), count)
    away = generator.normal(size=count) * 0.011 * view.side * ridge.eaten[root]
    size = 0.0018 * view.side * heavy(count, generator, 5)
    turns = generator.integers(0, TURN, (count, 1)) + np.arange(CORNERS) * (TURN // CORNERS)
    turns += generator.integers(-TURN // 16, TURN // 16, (count, CORNERS))
    radii = size[:, None] * generator.uniform(0.35, 1.1, (count, CORNERS))
    middles = _on(ridge, root) + ridge.across * away[:, None]
    outlines = middles[:, None] + compass(TURN)[turns % TURN] * radii[:, :, None]
    there = generator.random(count) < 1.2 * ridge.eaten[root]
    for outline in view.fixed(outlines[there]):
        cv2.fillPoly(canvas, [outline], 245, cv2.LINE_AA, SHIFT)


def _on(ridge: Ridge, root: Array) -> Array:
    """The points of a ridge at some of its places."""
    points: Array = (
        ridge.start + ridge.along * root[:, None] + ridge.across * ridge.wave[root][:, None]
    )
    return points
