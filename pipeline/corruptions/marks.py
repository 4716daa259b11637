"""The marks that make up defects of a part's surface, each in a square box of its own.

A mark answers with coats, first to last: a uint8 alpha as large as the box, and the color it lays
on the photo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.corruptions import geometry, layers, outlines
from pipeline.corruptions.geometry import DIRECTIONS, compass, right_of
from pipeline.corruptions.layers import BLACK, WHITE, less

Array = np.ndarray
Color = tuple[int, int, int]
Coat = tuple[Array, Color]


class Mark(NamedTuple):
    """Half the length or breadth (px), the strength (0 to 1), which way the mark runs and its shade
    falls (directions of the compass), a color of its own, and its randomness."""

    radius: float
    contrast: float
    along: int
    light: int
    color: Color
    rng: np.random.Generator

    @property
    def reach(self) -> int:
        """Half the side of the box, px."""
        return reach_of(self.radius)

    def filled(self, *closed: Array) -> Array:
        """An alpha with outlines filled, (0, 0) being the middle of the box."""
        twice = np.zeros((4 * self.reach + 2, 4 * self.reach + 2), np.uint8)
        for outline in closed:
            layers.fill(twice, 2 * (outline + self.reach) + 0.5)
        return layers.half(twice)

    def coat(self, alpha: Array, color: Color, strength: float) -> Coat:
        """A coat as strong as the mark's contrast and more or less."""
        return layers.scaled(alpha, strength * self.contrast), color

    def lit(self, alpha: Array, distance: float) -> tuple[Array, Array]:
        """The sides of a bump, the one in the light and the one away from it."""
        x, y = geometry.step(self.light, max(1.0, distance))
        near, far = layers.shifted(alpha, x, y), layers.shifted(alpha, -x, -y)
        return cv2.subtract(near, far), cv2.subtract(far, near)


def reach_of(radius: float) -> int:
    """Half the side of the box of a mark, px."""
    return int(1.5 * radius) + 4


def scratch(mark: Mark) -> list[Coat]:
    """One long groove, hairlines beside it, and the glint of its burr."""
    width = max(0.7, mark.radius * mark.rng.uniform(0.012, 0.035))
    groove = _groove(mark, 0.0, width)
    hairs = [
        _groove(mark, mark.rng.uniform(-5, 5) * width, 0.4 * width)
        for _ in range(int(mark.rng.integers(0, 3)))
    ]
    deep, fine = mark.filled(groove), mark.filled(groove, *hairs)
    bright, _ = mark.lit(deep, 0.7 * width)
    return [
        mark.coat(bright, BLACK if sum(mark.color) > 380 else WHITE, 0.5),
        mark.coat(fine, mark.color, 0.9),
    ]


def pit(mark: Mark) -> list[Coat]:
    """One to four ragged holes: dark inside, a lit far wall, a pale rim."""
    holes = [outlines.blob(0.6 * mark.radius, 0.7, 24, mark.rng)]
    for _ in range(int(mark.rng.integers(0, 4))):
        away = _anywhere(mark)
        small = outlines.blob(mark.rng.uniform(0.1, 0.25) * mark.radius, 0.7, 16, mark.rng)
        holes.append(small + away * (mark.rng.uniform(0.6, 0.85) * mark.radius))
    hole = layers.soft(mark.filled(*holes), 0.08 * mark.radius)
    wall, _ = mark.lit(hole, 0.16 * mark.radius)
    inner = cv2.min(wall, hole).reshape(hole.shape)
    return [
        mark.coat(cv2.subtract(wall, hole).reshape(hole.shape), WHITE, 0.4),
        mark.coat(hole, mark.color, 0.85),
        mark.coat(inner, WHITE, 0.25),
    ]


def dent(mark: Mark) -> list[Coat]:
    """A shallow hollow: nothing but shade on one side and light on the other."""
    bump = mark.filled(outlines.blob(0.6 * mark.radius, 0.25, 32, mark.rng))
    bright, dark = mark.lit(layers.soft(bump, 0.5 * mark.radius), 0.2 * mark.radius)
    return [mark.coat(dark, BLACK, 0.8), mark.coat(bright, WHITE, 0.6)]


def inclusion(mark: Mark) -> list[Coat]:
    """A crumb of something else: a sharp ragged outline, another color, a hint of a shadow."""
    crumb = mark.filled(outlines.blob(0.9 * mark.radius, 1.0, 32, mark.rng))
    _, shadow = mark.lit(crumb, 0.12 * mark.radius)
    speckle = layers.scaled(layers.cloud(crumb.shape, 0.2 * mark.radius, mark.rng), 0.5)
    return [mark.coat(shadow, BLACK, 0.5), mark.coat(less(crumb, speckle), mark.color, 1.0)]


def crack(mark: Mark) -> list[Coat]:
    """A jagged dark line with a few branches, all thinning out, one side of it lifted."""
    width = max(0.6, 0.025 * mark.radius)
    ahead = compass()[mark.along]
    main = _wander(mark, -mark.radius * ahead, mark.radius * ahead, 0.35)
    lines = [main]
    for _ in range(int(mark.rng.integers(1, 5))):
        start = main[int(mark.rng.uniform(0.2, 0.8) * len(main))]
        side = int(mark.rng.integers(70, 180)) * (2 * int(mark.rng.integers(2)) - 1)
        way = compass()[(mark.along + side) % DIRECTIONS]
        end = start + way * (mark.rng.uniform(0.2, 0.6) * mark.radius)
        lines.append(_wander(mark, start, end, 0.35))
    closed = [_ribbon(line, width, 0.1 if line is main else 0.0) for line in lines]
    gap = mark.filled(*closed)
    lifted, _ = mark.lit(layers.soft(gap, width), width)
    return [mark.coat(lifted, WHITE, 0.5), mark.coat(gap, mark.color, 1.0)]


def blotch(mark: Mark) -> list[Coat]:
    """A stain of oil, heat or rust: uneven, soft, darker along its tide line."""
    parts = [outlines.blob(0.75 * mark.radius, 0.9, 64, mark.rng)]
    for _ in range(int(mark.rng.integers(1, 5))):
        away = _anywhere(mark)
        part = outlines.blob(mark.rng.uniform(0.15, 0.5) * mark.radius, 0.8, 32, mark.rng)
        parts.append(part + away * (0.55 * mark.radius))
    stain = layers.soft(mark.filled(*parts), 0.06 * mark.radius)
    cloud = layers.scaled(layers.cloud(stain.shape, 0.3 * mark.radius, mark.rng), 0.7)
    tide = cv2.subtract(stain, layers.soft(stain, 0.35 * mark.radius)).reshape(stain.shape)
    darker = (mark.color[0] // 2, mark.color[1] // 2, mark.color[2] // 2)
    return [
        mark.coat(less(stain, cloud), mark.color, 0.55),
        mark.coat(less(tide, cloud), darker, 1.0),
    ]


MARKS: dict[str, Callable[[Mark], list[Coat]]] = {
    "scratch": scratch,
    "pit": pit,
    "dent": dent,
    "inclusion": inclusion,
    "crack": crack,
    "blotch": blotch,
}


def _anywhere(mark: Mark) -> Array:
    """A unit vector."""
    away: Array = compass()[int(mark.rng.integers(DIRECTIONS))]
    return away


def _wander(mark: Mark, start: Array, end: Array, stray: float) -> Array:
    """A jagged line."""
    ahead = end - start
    levels = outlines.levels_for(2 * mark.radius, 2.0, 8)
    heights = outlines.roughness(levels, 0.57, mark.rng)[:, None] * stray
    line: Array = np.linspace(start, end, 2**levels + 1) - heights * right_of(ahead)
    return line


def _groove(mark: Mark, aside: float, width: float) -> Array:
    """The outline of a slightly bent scratch over the whole length of the mark."""
    ahead = compass()[mark.along]
    across = -right_of(ahead)
    start, end = mark.rng.uniform(0.6, 1.0, 2) * mark.radius
    bend = across * (aside + mark.rng.uniform(-0.12, 0.12) * mark.radius)
    line = outlines.bent(aside * across - start * ahead, bend, aside * across + end * ahead, 33)
    return _ribbon(line, width, 0.0)


def _ribbon(line: Array, width: float, blunt: float) -> Array:
    """The closed outline of a line that thins out towards its ends."""
    t = np.linspace(0, 1, len(line))
    swell = np.minimum(1, blunt + 4 * np.minimum(t, 1 - t))
    side = outlines.normals(line) * (0.5 * width * swell)[:, None]
    return np.concatenate([line + side, (line - side)[::-1]])
