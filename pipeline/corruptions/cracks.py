"""Cracked emulsion: the branching network of old prints, glass plates and paintings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

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
    growth,
    layers,
    outlines,
)
from pipeline.seeds import field, seed_of

Tone = Literal["dark", "bright"]
FINER = 0.75  # a branch's width against its parent's
WORST = 0.07  # width / spacing × opacity × cracked area, in photos


@CORRUPTIONS.add
class Cracks(Corruption):
    """`num_range` counts the cracked patches of the whole photo, `size_range` is their diameter,
    `spacing_range` the distance between neighboring cracks, `width_range` the widest crack, all as
    shares of the photo's short side; `lift_range`: how pale the lifted edges are (0: flat);
    `opacity_range`: strength of the cracks. `tones`: "dark" cracks let the dark ground through,
    "bright" ones bare paper.

    Cracks start at random, wander, branch at about right angles, and end where they meet another:
    the islands with T-shaped junctions of craquelure. Branches are finer than their parents and
    thin out where they end free.
    """

    extent = "local"
    num_range: tuple[Count, Count]
    size_range: tuple[Size, Size]
    spacing_range: tuple[Size, Size]
    width_range: tuple[Size, Size]
    lift_range: tuple[Share, Share]
    opacity_range: tuple[Share, Share]
    tones: tuple[Tone, ...] = Field(min_length=1)

    _ordered = field_validator(
        "num_range", "size_range", "spacing_range", "width_range", "lift_range", "opacity_range"
    )(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """One patch grows over the photo, its cracks become denser and deeper."""
        size = max(1e-6, 1.13 * math.sqrt(severity) * (1 + 0.8 * severity))
        spacing, opacity = 0.09 - 0.045 * severity, 0.6 + 0.4 * severity
        width = max(1e-6, WORST * severity**2 / max(1e-6, _area(size)) * spacing / opacity)
        num = 1 if severity > 0 else 0
        return cls(
            num_range=(num, num),
            size_range=(size, size),
            spacing_range=(0.95 * spacing, 1.05 * spacing),
            width_range=(0.95 * width, 1.05 * width),
            lift_range=(0.2 * severity, 0.5 * severity),
            opacity_range=(opacity, opacity),
            tones=("dark", "bright"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """The patches that may touch the tile, in px of the tile; the cracks come from a seed."""
        window = Window.of(shape)
        place = window.place(rng)
        num = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        drawn = [self._draw_one(window, place, rng) for _ in range(num)]
        return {"patches": [one for one in drawn if _box(one, window) is not None]}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Lifted edges first, then the cracks; the mask is where either is 2 % or stronger."""
        out, mask = tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        for patch in drawn["patches"]:
            box = _box(patch, tile.shape)
            if box is None:
                continue
            line = _lines(patch, box)
            reach = max(1.0, 0.7 * patch["width"])
            x, y = np.rint(outlines.compass()[patch["light"]] * reach).astype(int).tolist()
            halo = cv2.subtract(layers.soft(line, 1.5 * reach), line).reshape(line.shape)
            bright, dark = (255, 255, 255), (0, 0, 0)
            coats = [
                (layers.shifted(halo, x, y), bright, 2 * patch["lift"]),
                (layers.shifted(halo, -x, -y), dark, patch["lift"]),
                (line, patch["color"], patch["opacity"]),
            ]
            for shade, color, strength in coats:
                alpha = layers.clear(layers.scaled(shade, strength))
                if alpha.any():
                    out[box] = layers.mix(out[box], color, alpha)
                    mask[box] |= layers.marked(alpha)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The root of cracked area × width / spacing × opacity, 1 where these make up 7 %."""
        return min(1.0, math.sqrt(sum(float(one["amount"]) for one in drawn["patches"]) / WORST))

    def _draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> dict[str, Any]:
        size, spacing, width, lift, opacity = (
            float(rng.uniform(*one))
            for one in (self.size_range, self.spacing_range, self.width_range, self.lift_range,
                        self.opacity_range)
        )  # fmt: skip
        y, x = rng.integers(0, [place.height, place.width]).tolist()
        level = int(rng.integers(0, 45))
        color = [level + int(rng.integers(0, 16)), level + 4, level]
        if self.tones[int(rng.integers(len(self.tones)))] == "bright":
            color = [255 - value for value in reversed(color)]
        side = window.photo_side
        return {
            "y": y - place.top,
            "x": x - place.left,
            "radius": round(size * side / 2, 1),
            "spacing": round(max(4.0, spacing * side), 2),
            "width": round(width * side, 3),
            "lift": round(lift, 3),
            "opacity": round(opacity, 3),
            "color": color,
            "light": int(rng.integers(outlines.DIRECTIONS)),
            "along": int(rng.integers(outlines.DIRECTIONS)),
            "amount": round(_area(size) * width / spacing * opacity, 6),
            "seed": seed_of(rng),
        }


def _area(size: float) -> float:
    """Of a patch, in photos."""
    return min(1.0, math.pi / 4 * size**2)


def _box(patch: dict[str, Any], extent: Sequence[int]) -> outlines.Box | None:
    """A patch is ragged by a fifth, and cracks run out of it."""
    reach = 1.2 * patch["radius"] + 2 * patch["spacing"]
    return outlines.box_of(np.array([[patch["x"], patch["y"]]]), reach, extent)


def _lines(patch: dict[str, Any], box: outlines.Box) -> Array:
    """uint8 lines of all cracks over the box, 255 in the middle of wide ones."""
    rng = field(patch["seed"])
    unit = patch["spacing"] / growth.STEPS
    twice = layers.blank(box, 2)
    extent = [length / 2 / unit for length in twice.shape]
    center = np.array([patch["x"] - box[1].start, patch["y"] - box[0].start]) / unit
    points, pieces = growth.network(extent, center, patch["radius"] / unit, patch["along"], rng)
    corners = np.rint(points * (2 * unit)).astype(np.int32)
    for depth, ranges in sorted(pieces.items(), reverse=True):
        paths = [corners[start:end] for start, end in ranges]
        layers.lines(twice, paths, FINER**depth * patch["width"])
    line = layers.half(twice)
    wear = layers.scaled(layers.cloud(line.shape, patch["spacing"], rng), 0.5)
    return cv2.multiply(line, 255 - wear, scale=1 / 255).reshape(line.shape)
