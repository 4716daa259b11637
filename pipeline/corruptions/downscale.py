"""Lost resolution: made smaller or larger once, and brought back to its size."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from pipeline.config import Share
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.base import one_of

Method = Literal["area", "linear", "cubic", "nearest"]
Scale = Annotated[float, Field(ge=0.01, le=4)]
WORST = 8.0  # times smaller
MOST_CELLS = 12  # after which the grid meets whole pixels again
METHODS = {
    "area": cv2.INTER_AREA,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "nearest": cv2.INTER_NEAREST,
}


@CORRUPTIONS.add
class Downscale(Corruption):
    """`scale_range`: the sides' length against before. With `down_probability` the photo is shrunk
    by an even draw from the part of the range below 1, with `up_probability` enlarged by one from
    the part above; otherwise kept (Real-ESRGAN, Wang et al. 2021).

    `down_methods` and `up_methods` are chosen apart: area averages, linear and cubic interpolate
    (which aliases on the way down; cubic also overshoots), nearest takes or repeats single pixels.
    Enlarging a shrunk photo by area or nearest leaves squares, of a grid that lies on the photo and
    not on the tile. For that, factors are fractions with a denominator of at most 12: after so many
    cells the grid meets whole pixels again. What is drawn near 1 is 13/12 or 11/12.
    """

    extent = "global"
    version = 2
    scale_range: tuple[Scale, Scale]
    down_probability: Share
    up_probability: Share
    down_methods: tuple[Method, ...] = Field(min_length=1)
    up_methods: tuple[Method, ...] = Field(min_length=1)

    @field_validator("up_probability")
    @classmethod
    def _room_for_both(cls, up: float, known: ValidationInfo) -> float:
        room = 1 - known.data.get("down_probability", 0.0)
        if up > room + 1e-9:
            raise ValueError(f"must be at most {room:g}, as down_probability takes the rest")
        return up

    @classmethod
    def at(cls, severity: float) -> Self:
        """Any methods, shrunk by one factor."""
        scale = 1 / (1 + (WORST - 1) * severity)
        methods: tuple[Method, ...] = ("area", "linear", "cubic", "nearest")
        return cls(
            scale_range=(scale, scale),
            down_probability=1.0,
            up_probability=0.0,
            down_methods=methods,
            up_methods=methods,
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """How many times smaller (below 1: larger), two methods, and how far the tile starts behind
        a place where the grid meets whole pixels (px)."""
        place = Window.of(shape).place(rng)
        scale = self._scale(rng)
        factor = _fraction(1 / scale)
        if factor == 1 != scale:
            factor += Fraction(1 if scale < 1 else -1, MOST_CELLS)
        return {
            "factor": round(float(factor), 3),
            "down": one_of(self.down_methods, rng),
            "up": one_of(self.up_methods, rng),
            "phase": [place.top % factor.numerator, place.left % factor.numerator],
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Fill up to whole cells by mirroring, shrink, enlarge, cut; or enlarge and shrink."""
        factor, (top, left) = _fraction(drawn["factor"]), drawn["phase"]
        if factor == 1:
            return tile.copy(), no_mask(tile)
        height, width = tile.shape[:2]
        first, second = drawn["down"], drawn["up"]
        if factor < 1:
            first, second = second, first
        below, right = _missing(top + height, factor), _missing(left + width, factor)
        whole = cv2.copyMakeBorder(tile, top, below, left, right, cv2.BORDER_REFLECT_101)
        cells = _scaled(whole, 1 / factor, first)
        cut = _scaled(cells, factor, second)[top : top + height, left : left + width]
        return np.ascontiguousarray(cut).reshape(tile.shape), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The factor, from 1 to 8; enlarging costs hardly anything and counts as little."""
        factor = float(drawn["factor"])
        lost = factor - 1 if factor >= 1 else (1 / factor - 1) / 10
        return min(1.0, lost / (WORST - 1))

    def _scale(self, rng: np.random.Generator) -> float:
        low, high = self.scale_range
        way = float(rng.random())
        if way < self.down_probability:
            return float(rng.uniform(min(low, 1.0), min(high, 1.0)))
        if way < self.down_probability + self.up_probability:
            return float(rng.uniform(max(low, 1.0), max(high, 1.0)))
        return 1.0


def _fraction(factor: float) -> Fraction:
    """Three decimals tell which it is, up to any factor."""
    return Fraction(factor).limit_denominator(MOST_CELLS)


def _missing(length: int, factor: Fraction) -> int:
    """How many pixels complete the last cell."""
    return math.ceil(math.ceil(length / factor) * factor) - length


def _scaled(picture: Array, scale: Fraction, method: Method) -> Array:
    """Resized by just this; a picture's own size would give another grid to each."""
    exact = float(scale)
    if method == "nearest" or scale > 1:  # a place rounded to below a whole pixel is floored wrong
        exact *= 1 - 1e-12
    return cv2.resize(picture, None, fx=exact, fy=exact, interpolation=METHODS[method])
