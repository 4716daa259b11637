"""Families that strew things over a photo, of which a tile shows those that touch it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from pipeline.config import Count
from pipeline.corruptions.base import Array, Corruption, Drawn, Place, Window, count_in, no_mask
from pipeline.corruptions.geometry import Box


class Scattered(Corruption):
    """`num_range` counts the things on the whole photo. A subclass draws one, tells its box, and
    paints it; `things` is what stories call them."""

    extent = "local"
    things: ClassVar[str]
    num_range: tuple[Count, Count]

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """The things that may touch the tile, in px of the tile."""
        window = Window.of(shape)
        return {self.things: self.strew(window, window.place(rng), rng)}

    def strew(self, window: Window, place: Place, rng: np.random.Generator) -> list[Drawn]:
        """`num_range` things, without those that cannot touch the tile."""
        drawn = [self.draw_one(window, place, rng) for _ in range(count_in(self.num_range, rng))]
        return [one for one in drawn if self.box(one, window) is not None]

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Paint them in order, one over another; the mask is where any covers 2 %."""
        out, mask = tile.copy(), no_mask(tile)
        for one in drawn[self.things]:
            box = self.box(one, tile.shape)
            if box is not None:
                self.paint(out, mask, box, one, drawn)
        return out, mask

    def draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> Drawn:
        """Random JSON numbers for one thing anywhere on the photo."""
        raise NotImplementedError

    def box(self, one: Drawn, extent: Sequence[int]) -> Box | None:
        """Where in a tile of `extent` (height, width) it may change anything; None: nowhere."""
        raise NotImplementedError

    def paint(self, out: Array, mask: Array, box: Box, one: Drawn, drawn: Drawn) -> None:
        """Damage the box of the picture, and add to the mask where; `drawn` is the whole story."""
        raise NotImplementedError
