"""Lost resolution: made small once, and enlarged again."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import ordered
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask

Method = Literal["area", "linear", "nearest"]
Factor = Annotated[float, Field(ge=1)]
WORST = 8.0
METHODS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


@CORRUPTIONS.add
class Downscale(Corruption):
    """`factor_range`: how many times smaller, along each side; 1 changes nothing.

    `down_methods` and `up_methods` are chosen apart: area averages, linear interpolates (which
    aliases on the way down), nearest takes or repeats single pixels. Enlarging by area or nearest
    leaves squares, of a grid that lies on the photo and not on the tile.
    """

    extent = "global"
    factor_range: tuple[Factor, Factor]
    down_methods: tuple[Method, ...] = Field(min_length=1)
    up_methods: tuple[Method, ...] = Field(min_length=1)

    _ordered = field_validator("factor_range")(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """Any methods, at one factor."""
        factor = 1 + (WORST - 1) * severity
        methods: tuple[Method, ...] = ("area", "linear", "nearest")
        return cls(factor_range=(factor, factor), down_methods=methods, up_methods=methods)

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A factor, two methods, and how far the tile starts inside a cell of the grid (px)."""
        place = Window.of(shape).place(rng)
        factor = round(float(rng.uniform(*self.factor_range)), 3)
        return {
            "factor": factor,
            "down": self.down_methods[int(rng.integers(len(self.down_methods)))],
            "up": self.up_methods[int(rng.integers(len(self.up_methods)))],
            "phase": [int(place.top % factor), int(place.left % factor)],
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Fill up to whole cells by mirroring, shrink, enlarge, cut."""
        factor, (top, left) = drawn["factor"], drawn["phase"]
        height, width = tile.shape[:2]
        rows, columns = math.ceil((top + height) / factor), math.ceil((left + width) / factor)
        tall, wide = round(rows * factor), round(columns * factor)
        if (rows, columns) == (tall, wide):
            return tile.copy(), no_mask(tile)
        below, right = max(0, tall - top - height), max(0, wide - left - width)
        whole = cv2.copyMakeBorder(tile, top, below, left, right, cv2.BORDER_REFLECT_101)
        small = cv2.resize(whole, (columns, rows), interpolation=METHODS[drawn["down"]])
        tall, wide = whole.shape[:2]
        large = cv2.resize(small, (wide, tall), interpolation=METHODS[drawn["up"]])
        cut = large[top : top + height, left : left + width]
        return np.ascontiguousarray(cut).reshape(tile.shape), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The factor, from 1 to 8."""
        return min(1.0, (float(drawn["factor"]) - 1) / (WORST - 1))
