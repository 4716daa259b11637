"""Defects of a part's surface, as inspection looks for: not damage of the photo, but in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

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
from pipeline.corruptions.marks import MARKS, Mark
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
class Defects(Corruption):
    """`num_range` counts the marks on the whole photo; `size_range`: breadth of a mark as a share
    of the photo's short side (blotches are 1.6 times as broad, scratches and cracks three times as
    long); `contrast_range`: their strength.

    `kinds`: "scratch" a groove with a glint, "pit" dark holes with a lit wall, "dent" shade and
    light alone, "inclusion" a crumb of another color, "crack" a jagged branching line, "blotch" a
    soft stain with a tide line. One light falls on the whole photo.

    For parts in front of a camera. With ``on: both`` they are in the target too, and the mask tells
    what a restoration must keep.
    """

    extent = "local"
    num_range: tuple[Count, Count]
    size_range: tuple[Size, Size]
    contrast_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    _ordered = field_validator("num_range", "size_range", "contrast_range")(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More, larger and stronger marks."""
        num, contrast = math.ceil(12 * severity), 0.5 + 0.4 * severity
        size = math.sqrt(WORST / max(1, num) / contrast) * severity
        return cls(
            num_range=(num, num),
            size_range=(max(1e-6, 0.9 * size), max(1e-6, 1.1 * size)),
            contrast_range=(contrast, contrast),
            kinds=("scratch", "pit", "dent", "inclusion", "crack", "blotch"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """The marks that may touch the tile, in px of the tile, and the light."""
        window = Window.of(shape)
        place = window.place(rng)
        num = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        drawn = [self._draw_one(window, place, rng) for _ in range(num)]
        return {
            "light": int(rng.integers(outlines.DIRECTIONS)),
            "marks": [one for one in drawn if _box(one, window) is not None],
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Draw them one over another; the mask is where any coat is 2 % or stronger."""
        out, mask = tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        for one in drawn["marks"]:
            box = _box(one, tile.shape)
            if box is None:
                continue
            mark = _mark(one, drawn["light"])
            inner = tuple(
                slice(side.start - at + mark.reach, side.stop - at + mark.reach)
                for side, at in zip(box, (one["y"], one["x"]), strict=True)
            )
            for coat, color in MARKS[one["kind"]](mark):
                alpha = np.ascontiguousarray(coat[inner])
                out[box] = layers.mix(out[box], color, alpha)
                mask[box] |= layers.marked(alpha)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The root of contrast × size² of all marks, 1 where these make up a tenth."""
        amount = sum(float(one["contrast"]) * float(one["share"]) for one in drawn["marks"])
        return min(1.0, math.sqrt(amount / WORST))

    def _draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> dict[str, Any]:
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        low, high = np.log(self.size_range)
        size = math.exp(rng.uniform(low, high))
        y, x = rng.integers(0, [place.height, place.width]).tolist()
        choice = COLORS[kind]
        color, shade = choice[int(rng.integers(len(choice)))], int(rng.integers(-16, 17))
        return {
            "kind": kind,
            "y": y - place.top,
            "x": x - place.left,
            "radius": round(size * window.photo_side * HALF.get(kind, 0.5), 2),
            "along": int(rng.integers(outlines.DIRECTIONS)),
            "contrast": round(float(rng.uniform(*self.contrast_range)), 3),
            "color": [level + shade + int(rng.integers(-5, 6)) for level in color],
            "share": round(size**2, 6),
            "seed": seed_of(rng),
        }


def _mark(one: dict[str, Any], light: int) -> Mark:
    red, green, blue = one["color"]
    return Mark(
        one["radius"], one["contrast"], one["along"], light, (red, green, blue), field(one["seed"])
    )


def _box(one: dict[str, Any], extent: Sequence[int]) -> outlines.Box | None:
    return outlines.box_of(np.array([[one["x"], one["y"]]]), _mark(one, 0).reach, extent)
