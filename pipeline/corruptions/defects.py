"""Defects of a part's surface, as inspection looks for: not damage of the photo, but in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn, Place, Window, layers
from pipeline.corruptions.base import about, one_of, rooted, share_in, size_in
from pipeline.corruptions.geometry import DIRECTIONS, Box, box_of, inside
from pipeline.corruptions.marks import MARKS, Mark, reach_of
from pipeline.corruptions.scattered import Scattered
from pipeline.seeds import field, seed_of

Kind = Literal["scratch", "pit", "dent", "inclusion", "crack", "blotch"]
HALF = {"scratch": 1.5, "crack": 1.5, "blotch": 0.8}  # of its length, in sizes; others: 0.5
DARK, RUST, PALE, OIL = (26, 24, 22), (112, 62, 30), (232, 230, 224), (72, 58, 34)
COLORS = {
    "scratch": (DARK, PALE, PALE), "pit": (DARK,), "dent": (DARK,), "crack": (DARK,),
    "inclusion": (DARK, DARK, RUST, PALE), "blotch": (RUST, OIL, OIL, PALE),
}  # fmt: skip
WORST = 0.1  # contrast × size² of all marks, against the photo's short side squared


@CORRUPTIONS.add
class Defects(Scattered):
    """`num_range` counts the marks on the whole photo; `size_range`: breadth of a mark as a share
    of the photo's short side (blotches are 1.6 times as broad, scratches and cracks three times as
    long); `contrast_range`: their strength.

    `kinds`: "scratch" a groove with a glint, "pit" dark holes with a lit wall, "dent" shade and
    light alone, "inclusion" a crumb of another color, "crack" a jagged branching line, "blotch" a
    soft stain with a tide line. One light falls on the whole photo.

    For parts in front of a camera. With ``on: both`` they are in the target too, and the mask tells
    what a restoration must keep.
    """

    things = "marks"
    size_range: tuple[Size, Size]
    contrast_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More, larger and stronger marks."""
        num, contrast = math.ceil(12 * severity), 0.5 + 0.4 * severity
        size = math.sqrt(WORST / max(1, num) / contrast) * severity
        return cls(
            num_range=(num, num),
            size_range=about(size, 0.1),
            contrast_range=(contrast, contrast),
            kinds=("scratch", "pit", "dent", "inclusion", "crack", "blotch"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """The marks that may touch the tile, in px of the tile, and the light."""
        told = super().draw(shape, rng)
        return {"light": int(rng.integers(DIRECTIONS)), **told}

    def severity(self, drawn: Drawn) -> float:
        """The root of contrast × size² of all marks, 1 where these make up a tenth."""
        return rooted(sum(one["contrast"] * one["share"] for one in drawn["marks"]), WORST)

    def draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> Drawn:
        """A mark with its middle on the photo."""
        kind, size = one_of(self.kinds, rng), size_in(self.size_range, rng)
        y, x = rng.integers(0, [place.height, place.width]).tolist()
        color, shade = one_of(COLORS[kind], rng), int(rng.integers(-16, 17))
        return {
            "kind": kind,
            "y": y - place.top,
            "x": x - place.left,
            "radius": round(size * window.photo_side * HALF.get(kind, 0.5), 2),
            "along": int(rng.integers(DIRECTIONS)),
            "contrast": share_in(self.contrast_range, rng),
            "color": [level + shade + int(rng.integers(-5, 6)) for level in color],
            "share": round(size**2, 6),
            "seed": seed_of(rng),
        }

    def box(self, one: Drawn, extent: Sequence[int]) -> Box | None:
        """The square that its mark is drawn on."""
        return box_of(np.array([[one["x"], one["y"]]]), reach_of(one["radius"]), extent)

    def paint(self, out: Array, mask: Array, box: Box, one: Drawn, drawn: Drawn) -> None:
        """Its coats, one over another."""
        red, green, blue = one["color"]
        mark = Mark(
            one["radius"], one["contrast"], one["along"], drawn["light"], (red, green, blue),
            field(one["seed"]),
        )  # fmt: skip
        part = inside(box, one["y"] - mark.reach, one["x"] - mark.reach)
        for coat, color in MARKS[one["kind"]](mark):
            layers.cover(out, mask, box, color, np.ascontiguousarray(coat[part]))
