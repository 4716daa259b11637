"""What a damage family is: two pure functions, draw and apply, over tiles that are windows into a
photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np

from pipeline.config import Registry, Section

Array = np.ndarray
Drawn = dict[str, Any]


class Window(NamedTuple):
    """The tile that damage is drawn for: its size, and the short side of the photo it belongs to
    (px)."""

    height: int
    width: int
    photo_side: int

    @classmethod
    def of(cls, shape: Sequence[int]) -> Window:
        """From ``(height, width)``, then the tile is the photo, or ``(height, width,
        photo_side)``."""
        height, width = int(shape[0]), int(shape[1])
        return cls(height, width, int(shape[2]) if len(shape) > 2 else min(height, width))

    def place(self, rng: np.random.Generator) -> Place:
        """The tile somewhere on a photo of ``photo_side²``; where the tile is longer, so is the
        photo."""
        height, width = max(self.photo_side, self.height), max(self.photo_side, self.width)
        top = int(rng.integers(0, height - self.height + 1))
        return Place(height, width, top, int(rng.integers(0, width - self.width + 1)))


class Place(NamedTuple):
    """Where a tile lies on its photo (px): the photo's size, and the tile's top left corner."""

    height: int
    width: int
    top: int
    left: int


class Corruption(Section):
    """A damage family. Its fields are the ranges in params.yaml; subclasses live one in a file.

    `extent`: "local" damage is told by its mask, "global" damage (grain, blur) has an empty mask.
    `version` goes into every story; raise it whenever the same drawn numbers give other pixels.
    """

    extent: ClassVar[Literal["local", "global"]]
    version: ClassVar[int] = 1

    @classmethod
    def at(cls, severity: float) -> Self:
        """The family with every draw of about this severity: 0 changes nothing, 1 is its worst."""
        raise NotImplementedError

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Random JSON numbers for a tile of `shape`: ``(height, width)`` or with ``photo_side``
        third."""
        raise NotImplementedError

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Damage a uint8 H×W×3 or H×W×1 tile: (new tile, uint8 H×W mask, 255 = damaged). Pure."""
        raise NotImplementedError

    def severity(self, drawn: Drawn) -> float:
        """How bad, from 0 (untouched) to 1 (the worst that the family knows)."""
        raise NotImplementedError

    def bind(self, textures: Path | None) -> Corruption:
        """The family with what it needs from disk at hand; most need nothing."""
        return self


CORRUPTIONS: Registry[type[Corruption]] = Registry("corruption", "pipeline.corruptions")


def no_mask(tile: Array) -> Array:
    """The empty mask of a global family."""
    return np.zeros(tile.shape[:2], np.uint8)
