"""Free-form strokes from thin to thick, as networks for inpainting are trained with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import Count, Positive, Share, Size, ordered
from pipeline.corruptions import (
    CORRUPTIONS,
    Array,
    Corruption,
    Drawn,
    Place,
    Window,
    layers,
    outlines,
)
from pipeline.seeds import field, seed_of

Fill = Literal["color", "black", "white", "noise"]
FLAT = {"black": [0, 0, 0], "white": [255, 255, 255]}
WORST = 0.75  # length × width of all strokes against the photo's short side squared
Degrees = Annotated[float, Field(ge=0, le=180)]


@CORRUPTIONS.add
class Strokes(Corruption):
    """`num_range` counts the strokes on the whole photo, `pieces_range` the straight pieces of
    each; `length_range`: a piece's length, `width_range`: a stroke's width (log-uniform, so that
    thin ones are as frequent as thick ones), both as shares of the photo's short side;
    `turn_range`: degrees turned, left or right, from piece to piece; `opacity_range`: 1 hides the
    photo; `fills`: one random color, black, white, or noise in each pixel.

    The poly-lines with round joints of free-form masks (Yu et al., "Free-Form Image Inpainting with
    Gated Convolution", 2019) and of LaMa (Suvorov et al. 2022), whose wide masks at 256 px have up
    to 5 strokes of 1 to 5 pieces, 10 to 200 px long and 5 to 100 px wide. Pieces that would leave
    the photo are turned back into it, where those clip them.
    """

    extent = "local"
    num_range: tuple[Count, Count]
    pieces_range: tuple[Positive, Positive]
    length_range: tuple[Size, Size]
    width_range: tuple[Size, Size]
    turn_range: tuple[Degrees, Degrees]
    opacity_range: tuple[Share, Share]
    fills: tuple[Fill, ...] = Field(min_length=1)

    _ordered = field_validator(
        "num_range", "pieces_range", "length_range", "width_range", "turn_range", "opacity_range"
    )(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More strokes, and wider ones."""
        num = math.ceil(6 * severity)
        width = WORST * severity**2 / (max(1, num) * 5 * 0.18)
        return cls(
            num_range=(num, num),
            pieces_range=(5, 5),
            length_range=(0.14, 0.22),
            width_range=(max(1e-6, 0.9 * width), max(1e-6, 1.1 * width)),
            turn_range=(20.0, 110.0),
            opacity_range=(1.0, 1.0),
            fills=("color", "black", "white", "noise"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Strokes that may touch the tile, their points in px of the tile."""
        window = Window.of(shape)
        place = window.place(rng)
        num = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        drawn = [self._draw_one(window, place, rng) for _ in range(num)]
        return {"strokes": [one for one in drawn if _box(one, window) is not None]}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Paint them in order; the mask is what was painted with an opacity of 2 % or more."""
        out, mask = tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        for stroke in drawn["strokes"]:
            box, alpha = _box(stroke, tile.shape), round(255 * stroke["opacity"])
            if box is None or alpha <= layers.VISIBLE:
                continue
            region = layers.blank(box)
            points = outlines.within(np.array(stroke["points"], np.int32), box)
            cv2.polylines(region, [points.astype(np.int32)], False, alpha, stroke["width"])
            fill = FLAT.get(stroke["fill"], stroke["color"])
            if stroke["fill"] == "noise":
                extent = (*region.shape, tile.shape[2])
                fill = field(stroke["seed"]).integers(0, 256, extent, np.uint8)
            out[box] = layers.mix(out[box], fill, region)
            mask[box] |= layers.marked(region)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The root of opacity × length × width, which is 1 where these make up 0.75 photos."""
        amount = sum(float(one["opacity"]) * float(one["share"]) for one in drawn["strokes"])
        return min(1.0, math.sqrt(amount / WORST))

    def _draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> dict[str, Any]:
        side = window.photo_side
        num = int(rng.integers(self.pieces_range[0], self.pieces_range[1] + 1))
        lengths = rng.uniform(*self.length_range, num) * side
        low, high = np.log(self.width_range)
        width = math.exp(rng.uniform(low, high)) * side
        points = _walk(place, lengths.tolist(), rng.uniform(*self.turn_range, num).tolist(), rng)
        fill = self.fills[int(rng.integers(len(self.fills)))]
        return {
            "points": points,
            "width": max(1, round(width)),
            "fill": fill,
            "color": [int(value) for value in rng.integers(0, 256, 3)],
            "opacity": round(float(rng.uniform(*self.opacity_range)), 3),
            "seed": seed_of(rng),
            "share": round(float(lengths.sum()) * width / side**2, 5),
        }


def _walk(
    place: Place, lengths: list[float], turns: list[float], rng: np.random.Generator
) -> list[list[int]]:
    """Points of one stroke; a step over the photo's border is mirrored back into the photo."""
    limits = (place.width - 1, place.height - 1)
    at = [float(rng.uniform(0, limit)) for limit in limits]
    heading = float(rng.uniform(0, 360))
    lefts = (rng.random(len(turns)) < 0.5).tolist()
    points = [list(at)]
    for length, turn, left in zip(lengths, turns, lefts, strict=True):
        step = (length * math.cos(math.radians(heading)), length * math.sin(math.radians(heading)))
        for axis, limit in enumerate(limits):
            there = at[axis] + step[axis]
            if not 0 <= there <= limit:
                there = at[axis] - step[axis]
                heading = -heading if axis else 180 - heading
            at[axis] = min(max(there, 0.0), float(limit))
        points.append(list(at))
        heading += -turn if left else turn
    return [[round(x) - place.left, round(y) - place.top] for x, y in points]


def _box(stroke: dict[str, Any], extent: Sequence[int]) -> outlines.Box | None:
    return outlines.box_of(np.array(stroke["points"]), stroke["width"] / 2 + 1, extent)
