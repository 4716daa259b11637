"""Color taken away: luma after ITU-R BT.601, one channel from here on."""

from collections.abc import Sequence

import numpy as np

from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, no_mask
from pipeline.images import to_gray


@CORRUPTIONS.add
class Grayscale(Corruption):
    """Nothing to choose. With ``on: both`` the target is gray too; on a gray tile it changes
    nothing."""

    extent = "global"

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Nothing is random."""
        return {}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """uint8 H×W×1."""
        return to_gray(tile), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """Always whole."""
        return 1.0
