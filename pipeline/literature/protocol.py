"""What is done to a clean picture before it is restored, and the sentence that says so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline import seeds
from pipeline.corruptions import Recipe
from pipeline.images import Array, to_gray, to_rgb

PEAK = 255  # of 8 bits
MEASURED = (
    "What comes out is clipped to [0, 1] and rounded to 8 bits; PSNR over all pixels, no border "
    "cropped, SSIM over every whole 11×11 Gaussian window (σ 1.5); means over pictures."
)


class Pair(NamedTuple):
    """`clean`: uint8 H×W×C; `given`: what goes in, H×W×C levels of 0 to 255, uint8 or float64, then
    perhaps beyond. `mask`, `keep`: uint8 H×W, or None where nothing is known."""

    name: str
    clean: Array
    given: Array
    mask: Array | None = None
    keep: Array | None = None

    @property
    def quantized(self) -> Array:
        """`given` as a file could store it: uint8."""
        levels: Array = np.clip(np.rint(self.given), 0, PEAK).astype(np.uint8)
        return levels


@dataclass(frozen=True)
class Noise:
    """Additive white Gaussian noise of σ = `sigma` levels. Neither clipped nor rounded unless asked
    for, as the test codes of DnCNN, FFDNet, DRUNet and SCUNet have it."""

    sigma: float
    seed: int
    color: bool
    clip: bool = False
    quantize: bool = False

    @property
    def title(self) -> str:
        """Few words."""
        return f"σ {self.sigma:g}"

    @property
    def plain(self) -> bool:
        """Is this the protocol that published figures were measured in?"""
        return not (self.clip or self.quantize)

    @property
    def statement(self) -> str:
        """The protocol, for people."""
        done = [word for word, on in (("clipped", self.clip), ("rounded", self.quantize)) if on]
        before = " and ".join(done) if done else "neither clipped nor rounded"
        return (
            f"{'RGB' if self.color else 'Gray'}, additive white Gaussian noise of σ {self.sigma:g} "
            f"on the 0–255 scale, seed {self.seed} and the picture's name, {before} before it goes "
            f"in. {MEASURED} Non-local means, and the SSIM of the input, are of the noisy picture "
            "clipped and rounded."
        )

    def pair(self, name: str, pixels: Array) -> Pair:
        """Of uint8 H×W×3: gray or RGB, and the same with noise, as float64."""
        clean = to_rgb(pixels) if self.color else to_gray(pixels)
        noise = seeds.rng(self.seed, "benchmark", name).normal(0.0, self.sigma, clean.shape)
        given = clean + noise
        if self.quantize:
            given = np.rint(given)
        return Pair(name, clean, np.clip(given, 0, PEAK) if self.clip else given)


@dataclass(frozen=True)
class Damage:
    """A recipe's damage, drawn on each whole picture."""

    recipe: Recipe
    seed: int
    color: bool

    @property
    def title(self) -> str:
        """Few words."""
        return self.recipe.name

    @property
    def statement(self) -> str:
        """The protocol, for people."""
        return (
            f"{'RGB' if self.color else 'Gray'}, damage of the recipe {self.recipe.name} drawn on "
            f"each whole picture by seed {self.seed} and the picture's name. {MEASURED}"
        )

    def pair(self, name: str, pixels: Array) -> Pair:
        """Of uint8 H×W×3: what the recipe makes its target and its input, both gray or RGB; a
        gray input of an RGB target is repeated."""
        made = self.recipe.damage(
            pixels,
            lambda *step: seeds.rng(self.seed, "benchmark", name, *step),
            min(pixels.shape[:2]),
        )
        fit = to_rgb if self.color else to_gray
        return Pair(name, fit(made.clean), fit(made.corrupted), made.mask, made.keep)


def input_psnr(pair: Pair) -> float:
    """PSNR in dB of what goes in, unclipped and unrounded as it is; inf where it is the original.

    Of noise of deviation σ it is ``10 · log10(255² / σ²)``, e.g. 20.17 dB at σ 25.
    """
    error = float(np.mean((pair.given.astype(np.float64) - pair.clean) ** 2))
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)
