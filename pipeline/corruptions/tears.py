"""Torn-off corners and edges: a ragged rim of bare paper, and the scanner's lid behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Count, Share, Size
from pipeline.corruptions import (
    CORRUPTIONS,
    Array,
    Corruption,
    Drawn,
    Place,
    Window,
    geometry,
    layers,
    no_mask,
    torn,
)
from pipeline.corruptions.base import about, count_in, one_of, rooted, share_in
from pipeline.seeds import field, seed_of

Kind = Literal["corner", "edge"]
Background = Literal["white", "black", "gray", "color"]
GRIT = 0.004  # size of the finest detail, as a share of the photo's short side
WORST = 0.25  # missing area against the photo's short side squared


@CORRUPTIONS.add
class Tears(Corruption):
    """`num_range` counts the tears of the whole photo; `size_range`: the mean leg of a torn-off
    corner as a share of the photo's short side (a tear at an edge is as large in area: about half
    of that squared); `rough_range`: how far the outline strays, against its length; `rim_range`:
    the widest bare paper, as a share of the photo's short side.

    `kinds`: "corner" takes a corner of the photo, "edge" a bite or strip of one of its borders.
    `backgrounds`: what the scan shows where the photo is missing; one for the whole photo, as the
    lid is. All touch the border of the photo: a tile inside of it sees none.
    """

    extent = "local"
    num_range: tuple[Count, Count]
    size_range: tuple[Size, Size]
    rough_range: tuple[Share, Share]
    rim_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)
    backgrounds: tuple[Background, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More tears, and larger ones."""
        num = math.ceil(4 * severity)
        size = math.sqrt(2 * WORST / max(1, num)) * severity
        return cls(
            num_range=(num, num),
            size_range=about(size, 0.05),
            rough_range=(0.15, 0.45),
            rim_range=(0.01, 0.04),
            kinds=("corner", "edge"),
            backgrounds=("white", "black", "gray", "color"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Where each begins, bends and ends (px of the tile), and the seed of its outline."""
        window = Window.of(shape)
        place = window.place(rng)
        num = count_in(self.num_range, rng)
        corners = rng.permutation(4).tolist()
        drawn = [self._draw_one(window, place, corners[n % 4], rng) for n in range(num)]
        bright = int(rng.integers(215, 251))
        return {
            "background": _lid(one_of(self.backgrounds, rng), rng),
            "paper": [bright, bright - int(rng.integers(2, 9)), bright - int(rng.integers(6, 28))],
            "light": int(rng.integers(geometry.DIRECTIONS)),
            "grit": round(GRIT * window.photo_side, 2),
            "seed": seed_of(rng),
            "tears": [one for one in drawn if geometry.meets(torn.outlines_of(one)[1], window)],
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Lay rim and background over the photo; the mask is where they hide 2 % of it or more."""
        out, mask = tile.copy(), no_mask(tile)
        missing, bare = np.zeros_like(mask), np.zeros_like(mask)
        boxes = [_tear(missing, bare, tear) for tear in drawn["tears"]]
        for box in boxes:
            if box is not None:
                over = _scan(missing[box], bare[box], drawn, tile.shape[2])
                alpha = layers.clear(layers.soft(bare[box], 1))
                out[box] = layers.mix(tile[box], over, alpha)
                mask[box] = layers.marked(alpha)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The root of the missing area, which is 1 at a quarter of the photo's short side
        squared."""
        return rooted(sum(one["share"] for one in drawn["tears"]), WORST)

    def _draw_one(
        self, window: Window, place: Place, corner: int, rng: np.random.Generator
    ) -> dict[str, Any]:
        side = window.photo_side
        share = float(rng.uniform(*self.size_range))
        kind = one_of(self.kinds, rng)
        make = torn.corner if kind == "corner" else torn.edge
        points = make(place, share * side, corner, rng)
        return {
            "kind": kind,
            "points": [[round(x - place.left, 1), round(y - place.top, 1)] for x, y in points],
            "rough": share_in(self.rough_range, rng),
            "rim": round(float(rng.uniform(*self.rim_range)) * side, 2),
            "step": round(GRIT * side / 2, 2),
            "sharp": share_in((0, 0.8), rng),
            "share": round(share**2 / 2, 5),
            "seed": seed_of(rng),
        }


def _tear(missing: Array, bare: Array, tear: dict[str, Any]) -> geometry.Box | None:
    """Add one tear to what is missing, and to what has lost its picture (uint8, 255 = lost);
    where."""
    paper, picture = torn.outlines_of(tear)
    box = geometry.box_of(np.concatenate([paper, picture]), 2, bare.shape)
    if box is not None:
        for outline, regions in ((paper, (missing, bare)), (picture, (bare,))):
            inside = layers.blank(box)
            layers.fill(inside, geometry.within(outline, box))
            for region in regions:
                region[box] |= inside
    return box


def _scan(missing: Array, bare: Array, drawn: Drawn, channels: int) -> Array:
    """Fibrous paper that darkens under the edge of the picture, and the lid in its shadow."""
    reach = max(1.0, 0.4 * max(tear["rim"] for tear in drawn["tears"]))
    x, y = geometry.step(drawn["light"], reach)
    cloud = layers.cloud(bare.shape, drawn["grit"], field(drawn["seed"]))
    under = layers.soft(255 - layers.shifted(bare, x, y), reach)
    dark = cv2.add(layers.scaled(cloud, 0.14), layers.scaled(under, 0.45)).reshape(bare.shape)
    paper = layers.tint(255 - dark, drawn["paper"], channels)
    shade = layers.soft(255 - layers.shifted(missing, x, y), reach)
    lid = layers.tint(255 - layers.scaled(shade, 0.5), drawn["background"], channels)
    return layers.mix(paper, lid, layers.soft(missing, 1))


def _lid(background: str, rng: np.random.Generator) -> list[int]:
    """The scanner's lid or the desk behind the photo."""
    if background == "color":
        gray = int(rng.integers(40, 216))
        return [gray + int(value) for value in rng.integers(-25, 25, 3)]  # cloth, wood, card
    low, high = {"white": (244, 256), "black": (0, 22), "gray": (40, 130)}[background]
    return [int(rng.integers(low, high))] * 3
