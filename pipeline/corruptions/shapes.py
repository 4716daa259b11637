"""Squares and circles painted over the photo, each with its own fill and opacity."""

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Count, Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window
from pipeline.corruptions.base import count_in, no_mask
from pipeline.seeds import field, seed_of

Fill = Literal["color", "black", "white", "noise"]
TRIES = 40
WORST = 0.35  # of the tile
FLAT = {"black": [0, 0, 0], "white": [255, 255, 255]}


@CORRUPTIONS.add
class Shapes(Corruption):
    """`size_range`: side or radius as a share of the photo's short side; `covered_range`: share of
    the tile.

    `num_range` counts the shapes on the whole photo; a tile shows those that fall into it.
    """

    extent = "local"
    version = 2
    num_range: tuple[Count, Count]
    size_range: tuple[Size, Size]
    covered_range: tuple[Share, Share]
    opacity_range: tuple[Share, Share]
    fills: tuple[Fill, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """As many as cover the share, of all fills, nearly opaque."""
        covered = WORST * severity
        num = -math.log(1 - covered) / 0.01  # the mean shape covers 1 % of a square photo
        return cls(
            num_range=(int(0.8 * num), math.ceil(1.8 * num)),
            size_range=(0.04, 0.11),
            covered_range=(max(0.0, covered - 0.02), covered + 0.02 if covered else 0.0),
            opacity_range=(0.6, 1.0),
            fills=("color", "black", "white", "noise"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Shapes in tile coordinates, drawn anew until the covered area lies in `covered_range`;
        after 40 tries the nearest miss is taken.
        """
        window = Window.of(shape)
        best: list[dict[str, Any]] = []
        best_miss, best_covered = np.inf, 0.0
        for _ in range(TRIES):
            shapes = self._draw_photo(window, rng)
            covered = float(np.count_nonzero(_paint_mask(window[:2], shapes))) / (
                window.height * window.width
            )
            low, high = self.covered_range
            miss = max(low - covered, covered - high, 0.0)
            if miss < best_miss:
                best, best_miss, best_covered = shapes, miss, covered
            if miss == 0.0:
                break
        return {"shapes": best, "covered": round(best_covered, 5)}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Paint the shapes in order; the mask is exactly the painted pixels."""
        out, mask = tile.copy(), no_mask(tile)
        for shape in drawn["shapes"]:
            box = _bounds(shape, mask.shape)
            under, over = out[box], mask[box]
            if under.size == 0:
                continue
            painted = _painted(under, shape)
            if shape["kind"] == "circle":
                region = np.zeros(over.shape, np.uint8)
                _fill_circle(region, shape, box[0].start, box[1].start)
                cv2.copyTo(painted, region, under)
                np.bitwise_or(over, region, over)
            else:
                under[...] = painted
                over[...] = 255
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The covered share of the tile, against the largest that a recipe may ask for (35 %)."""
        return min(1.0, float(drawn["covered"]) / WORST)

    def _draw_photo(self, window: Window, rng: np.random.Generator) -> list[dict[str, Any]]:
        """Shapes all over the photo, kept where they touch the tile."""
        place, count = window.place(rng), count_in(self.num_range, rng)
        kinds = rng.integers(2, size=count).tolist()
        fills = rng.integers(len(self.fills), size=count).tolist()
        sizes = [self._size(part) for part in rng.random(count).tolist()]
        rows = (rng.integers(0, place.height, count) - place.top).tolist()
        columns = (rng.integers(0, place.width, count) - place.left).tolist()
        colors = rng.integers(0, 256, (count, 3)).tolist()
        opacities, seed = rng.uniform(*self.opacity_range, count).tolist(), seed_of(rng)
        shapes = []
        for number in range(count):
            shape = {
                "kind": ("square", "circle")[kinds[number]],
                "y": rows[number],
                "x": columns[number],
                "size": max(1, round(sizes[number] * window.photo_side)),
                "fill": self.fills[fills[number]],
                "color": colors[number],
                "opacity": round(opacities[number], 3),
                "seed": (seed + number) % 2**63,
            }
            (y0, y1), (x0, x1) = _reach(shape)
            if y1 > 0 and x1 > 0 and y0 < window.height and x0 < window.width:
                shapes.append(shape)
        return shapes

    def _size(self, part: float) -> float:
        """Small ones and large ones are equally frequent on a scale of ratios."""
        low, high = self.size_range
        return float(low * (high / low) ** part)


def _reach(shape: dict[str, Any]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Half-open rows and columns that a shape may touch."""
    y, x, size = shape["y"], shape["x"], shape["size"]
    if shape["kind"] == "circle":
        return (y - size, y + size + 1), (x - size, x + size + 1)
    return (y - size // 2, y - size // 2 + size), (x - size // 2, x - size // 2 + size)


def _bounds(shape: dict[str, Any], extent: tuple[int, ...]) -> tuple[slice, slice]:
    (top, bottom), (left, right) = _reach(shape)
    height, width = extent
    return (
        slice(max(0, top), max(0, min(height, bottom))),
        slice(max(0, left), max(0, min(width, right))),
    )


def _fill_circle(mask: Array, shape: dict[str, Any], top: int = 0, left: int = 0) -> None:
    """On a part of the tile whose top left corner is given."""
    cv2.circle(mask, (shape["x"] - left, shape["y"] - top), shape["size"], 255, cv2.FILLED)


def _paint_mask(extent: tuple[int, int], shapes: list[dict[str, Any]]) -> Array:
    mask = np.zeros(extent, np.uint8)
    for shape in shapes:
        if shape["kind"] == "circle":
            _fill_circle(mask, shape)
        else:
            mask[_bounds(shape, extent)] = 255
    return mask


def _painted(under: Array, shape: dict[str, Any]) -> Array:
    """What lies in the shape's bounding box, h×w×channels, with the fill over all of it."""
    if shape["fill"] == "noise":
        fill = field(shape["seed"]).integers(0, 256, under.shape, np.uint8)
    else:
        flat = FLAT.get(shape["fill"], shape["color"])
        fill = np.empty(under.shape, np.uint8)
        cv2.rectangle(fill, (0, 0), under.shape[1::-1], flat[: under.shape[2]], cv2.FILLED)
    opacity = shape["opacity"]
    return cv2.addWeighted(under, 1 - opacity, fill, opacity, 0).reshape(under.shape)
