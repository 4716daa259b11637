"""Folds: a ridge with a bright and a dark flank, and cracked emulsion that shows white paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field

from pipeline.config import Count, Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, creases, flaking
from pipeline.corruptions.base import count_in, no_mask, one_of, share_in
from pipeline.corruptions.canvas import Ink, View, lay, warm_white
from pipeline.corruptions.creases import Band, Ridge
from pipeline.corruptions.layers import BLACK, FULL, WHITE, put, soften
from pipeline.seeds import field, seed_of

Kind = Literal["parallel", "quarters", "corner", "free"]
DARKEST, BRIGHTEST = 0.75, 0.6  # opacity beside the ridge of the most worn fold


@CORRUPTIONS.add
class Folds(Corruption):
    """`num_range`: folds on the whole photo; `flank_range`: how far the paper beside a fold stands
    up, as a share of the short side; `worn_range`: how much: from a soft shade (0.1) to a ridge
    whose emulsion has flaked off in chips (1).

    `kinds`, one of them for a photo: "parallel" (folded in half, or as a letter), "quarters"
    (crossing at about right angles), "corner" (dog-ears), "free" (creases anywhere). All run from
    border to border; of the free ones some start on another.
    """

    extent = "local"
    version = 2
    num_range: tuple[Count, Count]
    flank_range: tuple[Size, Size]
    worn_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More worn folds."""
        return cls(
            num_range=(2, 2),
            flank_range=(0.01, 0.05),
            worn_range=(severity, severity),
            kinds=("parallel", "quarters", "corner", "free"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """The folds' ends in photo pixels; only those near the tile are told."""
        told = View.draw(shape, rng)
        view = View.of(told)
        kind, num = one_of(self.kinds, rng), count_in(self.num_range, rng)
        worn, flank = share_in(self.worn_range, rng), rng.uniform(*self.flank_range)
        folds = []
        for line in creases.layout(kind, num, view, rng):
            fold = {
                "ends": [round(float(value), 1) for value in line.ends],
                "joined": line.joined,
                "flank": round(float(flank) * view.side, 1),
                "worn": worn,
                "lit": int(rng.integers(2)),
                "seed": seed_of(rng),
            }
            if creases.touches(fold, view, shape):
                folds.append(fold)
        return {**told, "kind": kind, "folds": folds, "paper": warm_white(rng)}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Shade the flanks, then lay flakes and cracks; the mask is where one covers 2 %."""
        out, mask = tile.copy(), no_mask(tile)
        view = View.of(drawn)
        folds = [fold for fold in drawn["folds"] if fold["worn"] > 0]
        if not folds:
            return out, mask
        canvas = view.canvas(tile)
        for fold in folds:
            generator = field(fold["seed"])
            ridge = creases.ridge_of(fold, view, generator)
            band = creases.band_of(fold, ridge, view, mask.shape)
            _shade(out, mask, fold, ridge, band, view.side)
            flaking.flake(out, mask, ridge, band, view, drawn["paper"], generator)
            flaking.scatter(canvas, view, fold["worn"], ridge, generator)
        ink = Ink(drawn["paper"], 0.2, max(1, round(view.side / 500)), 0)
        lay(out, mask, soften(canvas, view.side / 2500), view, ink)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """How worn the worst fold near the tile is."""
        return max((float(fold["worn"]) for fold in drawn["folds"]), default=0.0)


def _shade(out: Array, mask: Array, fold: Drawn, ridge: Ridge, band: Band, side: int) -> None:
    """One flank lit, one in the shade: most beside the ridge, nothing at the flank's end."""
    far = np.abs(band.aside)
    wide = np.maximum(0, 1 - far * np.float32(1 / max(2.0, fold["flank"])))
    narrow = np.maximum(0, 1 - far * np.float32(1 / max(1.5, 0.004 * side)))
    shade = (np.float32(1.3) * wide * wide + np.float32(0.7) * narrow * narrow) * creases.at(
        ridge.shade * FULL / 2, band.place
    )
    lit = (band.aside > 0) == bool(fold["lit"])
    for sort, color, most in ((~lit, BLACK, DARKEST), (lit, WHITE, BRIGHTEST)):
        put(out, mask, band.pixels[sort], (shade[sort] * np.float32(most)).astype(np.uint8), color)
