"""Free-form strokes from thin to thick, as networks for inpainting are trained with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Positive, Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn, Place, Window, geometry, layers
from pipeline.corruptions.base import about, count_in, one_of, rooted, share_in, size_in
from pipeline.corruptions.scattered import Scattered
from pipeline.seeds import seed_of

Fill = Literal["color", "black", "white", "noise"]
WORST = 0.75  # length × width of all strokes against the photo's short side squared
HalfTurn = Annotated[float, Field(ge=0, le=180)]


@CORRUPTIONS.add
class Strokes(Scattered):
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

    things = "strokes"
    pieces_range: tuple[Positive, Positive]
    length_range: tuple[Size, Size]
    width_range: tuple[Size, Size]
    turn_range: tuple[HalfTurn, HalfTurn]
    opacity_range: tuple[Share, Share]
    fills: tuple[Fill, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More strokes, and wider ones."""
        num = math.ceil(6 * severity)
        width = WORST * severity**2 / (max(1, num) * 5 * 0.18)
        return cls(
            num_range=(num, num),
            pieces_range=(5, 5),
            length_range=(0.14, 0.22),
            width_range=about(width, 0.1),
            turn_range=(20.0, 110.0),
            opacity_range=(1.0, 1.0),
            fills=("color", "black", "white", "noise"),
        )

    def severity(self, drawn: Drawn) -> float:
        """The root of opacity × length × width, which is 1 where these make up 0.75 photos."""
        return rooted(sum(one["opacity"] * one["share"] for one in drawn["strokes"]), WORST)

    def draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> Drawn:
        """A walk over the photo, its points in px of the tile."""
        side = window.photo_side
        num = count_in(self.pieces_range, rng)
        lengths = rng.uniform(*self.length_range, num) * side
        width = size_in(self.width_range, rng) * side
        points = _walk(place, lengths.tolist(), rng.uniform(*self.turn_range, num).tolist(), rng)
        fill = one_of(self.fills, rng)
        return {
            "points": points,
            "width": max(1, round(width)),
            "fill": fill,
            "color": rng.integers(0, 256, 3).tolist(),
            "opacity": share_in(self.opacity_range, rng),
            "seed": seed_of(rng),
            "share": round(float(lengths.sum()) * width / side**2, 5),
        }

    def box(self, one: Drawn, extent: Sequence[int]) -> geometry.Box | None:
        """All pieces, with half the width on every side."""
        return geometry.box_of(np.array(one["points"]), one["width"] / 2 + 1, extent)

    def paint(self, out: Array, mask: Array, box: geometry.Box, one: Drawn, drawn: Drawn) -> None:
        """One line with round joints in one fill."""
        alpha, level = layers.blank(box), round(255 * one["opacity"])
        points = geometry.within(np.array(one["points"], np.int32), box)
        cv2.polylines(alpha, [points.astype(np.int32)], False, level, one["width"])
        fill = layers.filling(one, (*alpha.shape, out.shape[2]))
        layers.cover(out, mask, box, fill, alpha)


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
