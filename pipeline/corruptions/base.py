"""What a damage family is: two pure functions, draw and apply, over tiles that are windows into a
photo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Self, TypeVar

import numpy as np
from pydantic import ValidationInfo, field_validator

from pipeline.config import Registry, Section, ordered
from pipeline.errors import ImageError

Choice = TypeVar("Choice")
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
    """A damage family. Its fields are the ranges in params.yaml, each `*_range` low first;
    subclasses live one in a file.

    `extent`: "local" damage is told by its mask, "global" damage (grain, blur) has an empty mask.
    `version` goes into every story; raise it whenever the same drawn numbers give other pixels.
    """

    extent: ClassVar[Literal["local", "global"]]
    version: ClassVar[int] = 1

    @field_validator("*")
    @classmethod
    def _low_first(cls, value: Any, info: ValidationInfo) -> Any:
        return ordered(value) if str(info.field_name).endswith("_range") else value

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
    """An empty mask: that of a global family, and of a local one before it damages anything."""
    return np.zeros(tile.shape[:2], np.uint8)


def check_tile(tile: Array) -> None:
    """Raises ImageError, unless this is what families damage: uint8, H×W×3 or H×W×1, not empty."""
    if not isinstance(tile, np.ndarray):
        found, remedy = f"a {type(tile).__name__}", "convert it to a numpy array"
    elif remedy := _remedy(tile):
        found = f"{tile.dtype} of shape {tile.shape}"
    else:
        return
    raise ImageError("tile", f"{found} is no uint8 picture, H×W×3 or H×W×1", remedy)


def count_in(between: tuple[int, int], rng: np.random.Generator) -> int:
    """A whole number, both bounds included."""
    return int(rng.integers(between[0], between[1] + 1))


def share_in(between: tuple[float, float], rng: np.random.Generator) -> float:
    """A number as a story tells it, with three decimals."""
    return round(float(rng.uniform(*between)), 3)


def size_in(between: tuple[float, float], rng: np.random.Generator) -> float:
    """Log-uniform: small ones and large ones are equally frequent on a scale of ratios."""
    return math.exp(rng.uniform(math.log(between[0]), math.log(between[1])))


def one_of(choices: Sequence[Choice], rng: np.random.Generator) -> Choice:
    """Any of them, all equally likely."""
    return choices[int(rng.integers(len(choices)))]


def about(size: float, share: float) -> tuple[float, float]:
    """The range of a size more or less a share of it, for `Corruption.at`; never quite 0."""
    return max(1e-6, (1 - share) * size), max(1e-6, (1 + share) * size)


def rooted(amount: float, worst: float) -> float:
    """The severity of an amount of local damage, 1 from the `worst` on: the root, because what is
    added overlaps more and more."""
    return min(1.0, math.sqrt(amount / worst))


def _remedy(tile: Array) -> str:
    """What makes a tile of an array; nothing, if it is one."""
    if tile.ndim != 3:
        return "add a channel axis, tile[..., None]" if tile.ndim == 2 else "hand over one picture"
    if tile.shape[2] not in (1, 3):
        return "drop the alpha, tile[..., :3]" if tile.shape[2] == 4 else "make it RGB or gray"
    if tile.dtype != np.uint8:
        return "scale it to 0..255 and round it to uint8"
    return "" if tile.size else "hand over one that is at least 1 px high and wide"
