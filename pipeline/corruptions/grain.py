"""Gaussian grain over the whole photo."""

import functools
import statistics
from collections.abc import Sequence
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import ordered
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, no_mask
from pipeline.seeds import field, seed_of

LEVELS = 1 << 16
Deviation = Annotated[float, Field(ge=0, le=255)]


@CORRUPTIONS.add
class Grain(Corruption):
    """`sigma_range`: standard deviation in gray levels of 255; each channel has grain of its
    own."""

    extent = "global"
    sigma_range: tuple[Deviation, Deviation]

    _ordered = field_validator("sigma_range")(ordered)

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A standard deviation, and the seed of the field."""
        return {"sigma": round(float(rng.uniform(*self.sigma_range)), 2), "seed": seed_of(rng)}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Add rounded, saturated Gaussian noise."""
        scaled = np.rint(_quantiles() * np.float32(drawn["sigma"])).astype(np.int16)
        uniform = field(drawn["seed"]).integers(0, LEVELS, tile.shape, np.uint16)
        noisy = cv2.add(tile, scaled[uniform], dtype=cv2.CV_8U)
        return noisy.reshape(tile.shape), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """Against σ = 50."""
        return min(1.0, float(drawn["sigma"]) / 50)


@functools.cache
def _quantiles() -> Array:
    """Quantiles of the normal law at 65,536 even steps (float32).

    A uniform 16-bit number picks one: Gaussian out to 4.3σ, several times faster than drawing
    floats, and the same on every CPU.
    """
    law = statistics.NormalDist()
    half = [law.inv_cdf((number + 0.5) / LEVELS) for number in range(LEVELS // 2)]
    lower = np.array(half, np.float32)
    return np.concatenate([lower, -lower[::-1]])
