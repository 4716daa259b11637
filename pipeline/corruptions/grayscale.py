"""Color taken away, wholly or in part: luma after ITU-R BT.601."""

from collections.abc import Sequence
from typing import Self

import cv2
import numpy as np

from pipeline.config import Share
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, no_mask
from pipeline.corruptions.base import share_in
from pipeline.images import to_gray, to_rgb


@CORRUPTIONS.add
class Grayscale(Corruption):
    """`strength_range`: share of the color that goes; at 1 the tile has one channel from here on.

    With ``on: both`` the target is gray too; on a gray tile it changes nothing.
    """

    extent = "global"
    version = 2
    strength_range: tuple[Share, Share]

    @classmethod
    def at(cls, severity: float) -> Self:
        """The share itself."""
        return cls(strength_range=(severity, severity))

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A share."""
        return {"strength": share_in(self.strength_range, rng)}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """uint8 H×W×1 when nothing of the color stays, else as many channels as before."""
        if tile.shape[2] == 1:
            return tile.copy(), no_mask(tile)
        gray = to_gray(tile)
        if drawn["strength"] == 1:
            return gray, no_mask(tile)
        share = round(drawn["strength"] * 256) / 256  # exact in 8 bits, so that every CPU agrees
        return cv2.addWeighted(tile, 1 - share, to_rgb(gray), share, 0), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The share."""
        return float(drawn["strength"])
