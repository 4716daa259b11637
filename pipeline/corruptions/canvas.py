"""Thin marks on a photo: strokes drawn on a canvas, and the sparse blend that lays it onto a tile.

A tile is a window: marks are drawn for the whole photo and shifted, and even the fine noise that
breaks them up is looked up by the photo's pixels, so that two tiles agree where they overlap.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.config import Count
from pipeline.corruptions import Array, Corruption, Drawn, Window, geometry, layers, no_mask
from pipeline.corruptions.geometry import SHIFT
from pipeline.corruptions.layers import FULL
from pipeline.seeds import field

PAD = layers.SOFTEST  # px drawn around the tile, so that softening sees beyond its border
STEPS = 16  # gray levels between two strengths of a stroke
PERIOD = 1024  # px, at least about, after which the noise comes again


class View(NamedTuple):
    """The photo that a tile looks into: its size and short side, the tile's top left corner
    (px)."""

    height: int
    width: int
    side: int
    top: int
    left: int

    @classmethod
    def draw(cls, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A random place on the photo, as JSON numbers."""
        window = Window.of(shape)
        place = window.place(rng)
        photo = [place.height, place.width, window.photo_side]
        return {"photo": photo, "at": [place.top, place.left]}

    @classmethod
    def of(cls, drawn: Drawn) -> View:
        """From what `draw` told."""
        return cls(*drawn["photo"], *drawn["at"])

    def canvas(self, tile: Array) -> Array:
        """An empty uint8 canvas, `PAD` larger than the tile on every side."""
        return np.zeros((tile.shape[0] + 2 * PAD, tile.shape[1] + 2 * PAD), np.uint8)

    def anywhere(self, count: int, generator: np.random.Generator) -> Array:
        """`count` places on the photo, float64 (count, 2) as (x, y)."""
        places: Array = generator.random((count, 2)) * np.array([self.width, self.height])
        return places

    def fixed(self, points: Array) -> Array:
        """Photo pixels as cv2 wants them on the canvas."""
        return geometry.fixed(points - np.array([self.left - PAD, self.top - PAD]))


class Ink(NamedTuple):
    """What is laid on: a color, and how deep (0..1) noise with specks of `cell` px bites into it.

    At 0.5 the weakest spots vanish, at 1 about half of the mark does.
    """

    color: Sequence[int]
    rough: float
    cell: int
    phase: int


class Marks(NamedTuple):
    """Strokes as arrays, one row each: places (px), widths (px), strengths 0..255, and whether it
    is bright."""

    points: Array
    widths: Array
    strengths: Array
    bright: Array


class Sown(Corruption):
    """A family of more marks than a story could tell one by one: they come from its `seed`, so
    many of them for the whole photo as `num` tells. A subclass draws both, and lays them."""

    extent = "local"
    num_range: tuple[Count, Count]

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Lay all that falls on the tile; the mask is where it covers 2 %."""
        out, mask = tile.copy(), no_mask(tile)
        if drawn["num"]:
            self.lay_all(out, mask, View.of(drawn), field(drawn["seed"]), drawn)
        return out, mask

    def lay_all(
        self, out: Array, mask: Array, view: View, generator: np.random.Generator, drawn: Drawn
    ) -> None:
        """Make the marks of the photo and lay them on its tile."""
        raise NotImplementedError


def heavy(count: int, generator: np.random.Generator, most: float) -> Array:
    """Sizes from 1 to `most` with a Pareto tail of exponent 2: many small, a few large."""
    return np.asarray(1.0 / np.sqrt(generator.uniform(1.0 / (most * most), 1.0, count)))


def heavier(count: int, generator: np.random.Generator, most: float) -> Array:
    """The same with exponent 1: half are below 2, but the large ones weigh as much together."""
    return np.asarray(1.0 / generator.uniform(1.0 / most, 1.0, count))


def draw_strokes(canvas: Array, fixed: Array, widths: Array, strengths: Array) -> None:
    """Draw paths piece by piece, strongest last.

    `fixed` int32 (count, points, 2) from `View.fixed`; `widths` in px and `strengths` 0..255 for
    each piece. What is thinner than a pixel is drawn fainter instead.
    """
    thick = np.clip(np.rint(widths), 1, 1023).astype(np.int64)
    levels = np.clip(strengths * np.minimum(1, widths), 0, FULL).astype(np.int64)
    levels = np.minimum((levels + STEPS // 2) // STEPS * STEPS, FULL)
    seen = levels > 0
    for axis, size in enumerate(canvas.shape[::-1]):
        places = fixed[:, :, axis] >> SHIFT
        first, last = places[:, :-1], places[:, 1:]
        seen &= (np.maximum(first, last) + thick >= 0) & (np.minimum(first, last) - thick < size)
    pairs = np.stack([fixed[:, :-1][seen], fixed[:, 1:][seen]], axis=1)
    keys = levels[seen] * 1024 + thick[seen]
    order = np.argsort(keys, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if group.size:
            level, width = divmod(int(keys[group[0]]), 1024)
            cv2.polylines(canvas, list(pairs[group]), False, level, width, cv2.LINE_AA, SHIFT)


@functools.lru_cache(maxsize=16)
def noise(cell: int) -> Array:
    """Periodic smooth noise with specks of `cell` px, uint8, all levels equally frequent."""
    cells = max(8, PERIOD // cell)
    lattice = np.pad(field(cell).integers(0, 256, (cells, cells), np.uint8), 2, "wrap")
    side = lattice.shape[0] * cell
    large = cv2.resize(lattice, (side, side), interpolation=cv2.INTER_LINEAR)
    large = cv2.blur(large, (cell | 1, cell | 1))[2 * cell : -2 * cell, 2 * cell : -2 * cell]
    below = np.cumsum(np.bincount(large.ravel(), minlength=256))
    return np.asarray((below * FULL // below[-1]).astype(np.uint8)[large])


def noise_at(cell: int, rows: Array, columns: Array) -> Array:
    """The noise under photo pixels, uint8."""
    table = noise(max(1, cell))
    return np.asarray(table[rows % table.shape[0], columns % table.shape[1]])


def lay(out: Array, mask: Array, canvas: Array, view: View, ink: Ink) -> None:
    """Blend the canvas into `out` where it covers at least 2 %, and add that to the mask."""
    inner = canvas[PAD:-PAD, PAD:-PAD]
    touched = inner >= layers.FAINT
    index = np.flatnonzero(touched)
    if not index.size:
        return
    alpha = inner[touched]
    if ink.rough > 0:
        rows, columns = np.divmod(index, out.shape[1])
        level = noise_at(ink.cell, rows + view.top + ink.phase, columns + view.left)
        bitten = (FULL - np.arange(256)) * round(200 * ink.rough) // 100
        left = np.maximum(0, FULL - bitten).astype(np.uint16)
        alpha = ((alpha * left[level] + FULL // 2) // FULL).astype(np.uint8)
    layers.put(out, mask, index, alpha, ink.color)


def warm_white(rng: np.random.Generator) -> list[int]:
    """What shows where the picture is gone: white, cream or yellowed paper."""
    red = int(rng.integers(212, 256))
    green = red - int(rng.integers(0, 10))
    return [red, green, green - int(rng.integers(0, 22))]
