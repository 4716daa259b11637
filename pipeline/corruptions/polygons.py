"""Polygons with straight edges filled with one level: the damage of inpainting competitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import Count, Share, Size, ordered
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

Kind = Literal["random", "star", "convex"]
Fill = Literal["gray", "color"]
Corners = Annotated[int, Field(ge=3, le=64)]
WORST = 1.2  # bounding boxes against the photo's short side squared: 40 to 50 % covered


@CORRUPTIONS.add
class Polygons(Corruption):
    """`num_range` counts the polygons on the whole photo, `points_range` the points of each;
    `size_range`: each side of the bounding box as a share of the photo's short side;
    `opacity_range`: 1 hides the photo.

    `kinds`: "random" joins random points in random order (edges may cross, then filled by the
    even-odd rule, as cv2.fillPoly does), "star" goes round a center with jittered radius, "convex"
    is the hull of random points. `fills`: one random gray level, or one random color.
    """

    extent = "local"
    num_range: tuple[Count, Count]
    points_range: tuple[Corners, Corners]
    size_range: tuple[Size, Size]
    opacity_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)
    fills: tuple[Fill, ...] = Field(min_length=1)

    _ordered = field_validator("num_range", "points_range", "size_range", "opacity_range")(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """One polygon grows, then there are more of them."""
        num = math.ceil(severity * 4)
        size = math.sqrt(WORST * severity**2 / max(1, num))
        return cls(
            num_range=(num, num),
            points_range=(3, 20),
            size_range=(max(1e-6, 0.95 * size), max(1e-6, 1.05 * size)),
            opacity_range=(1.0, 1.0),
            kinds=("random", "star", "convex"),
            fills=("gray", "color"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Polygons whose bounding box touches the tile, their points in px of the tile."""
        window = Window.of(shape)
        place = window.place(rng)
        num = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        drawn = [self._draw_one(window, place, rng) for _ in range(num)]
        return {"polygons": [one for one in drawn if _box(one, window) is not None]}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Fill them in order; the mask is what was filled with an opacity of 2 % or more."""
        out, mask = tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        for polygon in drawn["polygons"]:
            box, alpha = _box(polygon, tile.shape), round(255 * polygon["opacity"])
            if box is None or alpha <= layers.VISIBLE:
                continue
            region = layers.blank(box)
            points = outlines.within(np.array(polygon["points"], np.int32), box)
            cv2.fillPoly(region, [points.astype(np.int32)], alpha)
            out[box] = layers.mix(out[box], polygon["color"], region)
            mask[box] |= layers.marked(region)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The root of opacity × bounding boxes, which is 1 where these make up 1.2 photos."""
        amount = sum(float(one["opacity"]) * float(one["share"]) for one in drawn["polygons"])
        return min(1.0, math.sqrt(amount / WORST))

    def _draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> dict[str, Any]:
        sides = rng.uniform(*self.size_range, 2)
        limits = np.array([place.width, place.height])
        extent = np.clip(np.rint(sides * window.photo_side).astype(int), 1, limits)
        corner = rng.integers(0, limits - extent + 1) - [place.left, place.top]
        num = int(rng.integers(self.points_range[0], self.points_range[1] + 1))
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        points = np.rint(_unit(kind, num, rng) * (extent - 1)).astype(np.int32)
        if kind == "convex":
            points = cv2.convexHull(points).reshape(-1, 2)
        gray = self.fills[int(rng.integers(len(self.fills)))] == "gray"
        color = [int(value) for value in rng.integers(0, 256, 3)]
        return {
            "kind": kind,
            "points": (points + corner).tolist(),
            "color": color[:1] * 3 if gray else color,
            "opacity": round(float(rng.uniform(*self.opacity_range)), 3),
            "share": round(float(extent[0] * extent[1]) / window.photo_side**2, 5),
        }


def _unit(kind: str, num: int, rng: np.random.Generator) -> Array:
    """Points that fill the unit square from side to side."""
    if kind == "star":
        turns = (np.arange(num) + rng.random(num)) * (outlines.DIRECTIONS / num)
        points = outlines.compass()[turns.astype(int)] * rng.uniform(0.3, 1.0, (num, 1))
    else:
        points = rng.random((num, 2))
    low = points.min(axis=0)
    filling: Array = (points - low) / np.maximum(points.max(axis=0) - low, 1e-9)
    return filling


def _box(polygon: dict[str, Any], extent: Sequence[int]) -> outlines.Box | None:
    return outlines.box_of(np.array(polygon["points"]), 0, extent)
