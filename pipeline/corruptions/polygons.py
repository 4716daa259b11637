"""Polygons with straight edges filled with one level: the damage of inpainting competitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn, Place, Window, geometry, layers
from pipeline.corruptions.base import about, count_in, one_of, rooted, share_in
from pipeline.corruptions.scattered import Scattered

Kind = Literal["random", "star", "convex"]
Fill = Literal["gray", "color"]
Corners = Annotated[int, Field(ge=3, le=64)]
WORST = 1.2  # bounding boxes against the photo's short side squared: 40 to 50 % covered


@CORRUPTIONS.add
class Polygons(Scattered):
    """`num_range` counts the polygons on the whole photo, `points_range` the points of each;
    `size_range`: each side of the bounding box as a share of the photo's short side;
    `opacity_range`: 1 hides the photo.

    `kinds`: "random" joins random points in random order (edges may cross, then filled by the
    even-odd rule, as cv2.fillPoly does), "star" goes round a center with jittered radius, "convex"
    is the hull of random points. `fills`: one random gray level, or one random color.
    """

    things = "polygons"
    points_range: tuple[Corners, Corners]
    size_range: tuple[Size, Size]
    opacity_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)
    fills: tuple[Fill, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """One polygon grows, then there are more of them."""
        num = math.ceil(severity * 4)
        size = math.sqrt(WORST * severity**2 / max(1, num))
        return cls(
            num_range=(num, num),
            points_range=(3, 20),
            size_range=about(size, 0.05),
            opacity_range=(1.0, 1.0),
            kinds=("random", "star", "convex"),
            fills=("gray", "color"),
        )

    def severity(self, drawn: Drawn) -> float:
        """The root of opacity × bounding boxes, which is 1 where these make up 1.2 photos."""
        return rooted(sum(one["opacity"] * one["share"] for one in drawn["polygons"]), WORST)

    def draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> Drawn:
        """A polygon that lies wholly in the photo, its points in px of the tile."""
        sides = rng.uniform(*self.size_range, 2)
        limits = np.array([place.width, place.height])
        extent = np.clip(np.rint(sides * window.photo_side).astype(int), 1, limits)
        corner = rng.integers(0, limits - extent + 1) - [place.left, place.top]
        num = count_in(self.points_range, rng)
        kind = one_of(self.kinds, rng)
        points = np.rint(_unit(kind, num, rng) * (extent - 1)).astype(np.int32)
        if kind == "convex":
            points = cv2.convexHull(points).reshape(-1, 2)
        gray = one_of(self.fills, rng) == "gray"
        color = rng.integers(0, 256, 3).tolist()
        return {
            "kind": kind,
            "points": (points + corner).tolist(),
            "color": color[:1] * 3 if gray else color,
            "opacity": share_in(self.opacity_range, rng),
            "share": round(float(extent[0] * extent[1]) / window.photo_side**2, 5),
        }

    def box(self, one: Drawn, extent: Sequence[int]) -> geometry.Box | None:
        """The bounding box."""
        return geometry.box_of(np.array(one["points"]), 0, extent)

    def paint(self, out: Array, mask: Array, box: geometry.Box, one: Drawn, drawn: Drawn) -> None:
        """Its inside, in one color."""
        alpha, level = layers.blank(box), round(255 * one["opacity"])
        points = geometry.within(np.array(one["points"], np.int32), box)
        cv2.fillPoly(alpha, [points.astype(np.int32)], level)
        layers.cover(out, mask, box, one["color"], alpha)


def _unit(kind: str, num: int, rng: np.random.Generator) -> Array:
    """Points that fill the unit square from side to side."""
    if kind == "star":
        turns = (np.arange(num) + rng.random(num)) * (geometry.DIRECTIONS / num)
        points = geometry.compass()[turns.astype(int)] * rng.uniform(0.3, 1.0, (num, 1))
    else:
        points = rng.random((num, 2))
    low = points.min(axis=0)
    filling: Array = (points - low) / np.maximum(points.max(axis=0) - low, 1e-9)
    return filling
