"""Craquelure: the net of fine cracks of old paintings and of dried emulsion."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn, Place, Window, geometry, islands, layers
from pipeline.corruptions.base import one_of, rooted
from pipeline.corruptions.scattered import Scattered
from pipeline.seeds import field, seed_of

Tone = Literal["dark", "bright"]
WORST = 0.1  # width / spacing × opacity × cracked area, in photos


@CORRUPTIONS.add
class Cracks(Scattered):
    """`num_range` counts the cracked patches of the whole photo, `size_range` is their diameter,
    `spacing_range` the distance between neighboring cracks, `width_range` the widest crack, all as
    shares of the photo's short side; `lift_range`: how pale the lifted edges are (0: flat);
    `opacity_range`: strength of the cracks. `tones`: "dark" cracks let the dark ground through,
    "bright" ones bare paper.

    The layer is divided again and again (`islands`): closed, roughly square islands with T-shaped
    junctions, longer along a grain; young cracks are finer than old ones, and all wear unevenly.
    The islands' edges stand up: pale where they face the light, in the shade behind.
    """

    things = "patches"
    version = 2
    size_range: tuple[Size, Size]
    spacing_range: tuple[Size, Size]
    width_range: tuple[Size, Size]
    lift_range: tuple[Share, Share]
    opacity_range: tuple[Share, Share]
    tones: tuple[Tone, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """One patch grows over the photo, its cracks become denser and deeper."""
        size = max(1e-6, 1.13 * math.sqrt(severity) * (1 + 0.8 * severity))
        spacing, opacity = 0.055 - 0.02 * severity, 0.6 + 0.4 * severity
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

    def severity(self, drawn: Drawn) -> float:
        """The root of cracked area × width / spacing × opacity, 1 where these make up 10 %."""
        return rooted(sum(float(one["amount"]) for one in drawn["patches"]), WORST)

    def draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> Drawn:
        """A patch around a point of the photo, in px of the tile; its cracks come from a seed."""
        size, spacing, width, lift, opacity = (
            float(rng.uniform(*one))
            for one in (self.size_range, self.spacing_range, self.width_range, self.lift_range,
                        self.opacity_range)
        )  # fmt: skip
        y, x = rng.integers(0, [place.height, place.width]).tolist()
        level = int(rng.integers(0, 45))
        color = [level + int(rng.integers(0, 16)), level + 4, level]
        if one_of(self.tones, rng) == "bright":
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
            "light": int(rng.integers(geometry.DIRECTIONS)),
            "along": int(rng.integers(geometry.DIRECTIONS)),
            "amount": round(_area(size) * width / spacing * opacity, 6),
            "seed": seed_of(rng),
        }

    def box(self, one: Drawn, extent: Sequence[int]) -> geometry.Box | None:
        """A patch is ragged, and cracks run out of it."""
        reach = 1.3 * one["radius"] + 2 * one["spacing"]
        return geometry.box_of(np.array([[one["x"], one["y"]]]), reach, extent)

    def paint(self, out: Array, mask: Array, box: geometry.Box, one: Drawn, drawn: Drawn) -> None:
        """Lifted edges first, then the cracks."""
        line = _lines(one, box)
        _lift(out, mask, box, line, one)
        layers.cover(out, mask, box, one["color"], layers.scaled(line, one["opacity"]))


def _area(size: float) -> float:
    """Of a patch, in photos."""
    return min(1.0, math.pi / 4 * size**2)


def _lift(out: Array, mask: Array, box: geometry.Box, line: Array, patch: Drawn) -> None:
    """More light on the edges that face it, less on those behind."""
    if not patch["lift"]:
        return
    reach = max(1.0, 0.7 * patch["width"])
    x, y = geometry.step(patch["light"], reach)
    halo = cv2.subtract(layers.soft(line, 1.5 * reach), line).reshape(line.shape)
    for sign, strength, change in ((1, 1.5, cv2.add), (-1, 1.0, cv2.subtract)):
        shade = layers.shifted(halo, sign * x, sign * y)
        shade = layers.clear(layers.scaled(shade, strength * patch["lift"]))
        under = out[box]
        out[box] = change(under, cv2.merge([shade] * under.shape[2])).reshape(under.shape)
        mask[box] |= layers.marked(shade)


def _lines(patch: Drawn, box: geometry.Box) -> Array:
    """uint8 lines of all cracks over the box, 255 in the middle of wide ones."""
    unit, twice = patch["spacing"], layers.blank(box, 2)
    middle = geometry.within(np.array([[patch["x"], patch["y"]]]), box)[0]
    limits = -middle / unit, (np.array(twice.shape[::-1]) / 2 - middle) / unit
    along = geometry.compass()[patch["along"]]
    runs = islands.net(patch["radius"] / unit, limits, along, patch["seed"])
    by_width: dict[float, list[Array]] = {}
    for paths, widths in runs:
        corners = np.rint((paths * unit + middle) * 2).astype(np.int32)
        thick = 2 * patch["width"] * widths
        steps = np.where(thick < 1, np.ceil(thick * 4) / 4, np.rint(thick))
        for path, width in zip(corners, steps.tolist(), strict=True):
            by_width.setdefault(width / 2, []).append(path)
    for width in sorted(by_width):
        layers.lines(twice, by_width[width], width)
    line = layers.half(twice)
    wear = layers.scaled(layers.cloud(line.shape, 2 * unit, field(patch["seed"])), 0.6)
    return layers.less(line, wear)
