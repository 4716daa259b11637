"""Lost focus, a shaken camera, a scaler's filter: the whole photo smeared by one kernel."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self, get_args

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import Amount, Share
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.base import count_in, share_in
from pipeline.corruptions.kernels import REACH, bell, convolve, disc, line, plateau, sinc
from pipeline.images import resize

Kind = Literal[
    "gaussian", "anisotropic", "motion", "defocus", "generalized", "generalized_anisotropic",
    "plateau", "plateau_anisotropic", "sinc",
]  # fmt: skip
Beta = Annotated[float, Field(ge=0.25, le=16)]
KINDS: tuple[Kind, ...] = get_args(Kind)
WORST = 0.012  # of the photo's short side
FAR = 10  # px: the published 21×21; a kernel that reaches farther is cut or shrunk
SMALL = 0.015  # of the short side: a kernel that reaches less far has no longer waves
SHORTEST = 2.0  # px: the pixels of a shorter wave would tell another, and amplify it


@CORRUPTIONS.add
class Blur(Corruption):
    """`size_range`: spread of the kernel, its standard deviation as a share of the photo's short
    side; 0.0005 to 0.0075 are Real-ESRGAN's 0.2 to 3 px (Wang et al. 2021) on its 400 px pictures.

    `kinds`, each with its weight in the draw: gaussian, the same in all directions; anisotropic,
    Gaussian across a random direction with `ratio_range` times the spread along it (as in BSRGAN,
    Zhang et al. 2021); motion, an even line; defocus, an even disc. Lines and discs have the spread
    that `size_range` says, which makes a disc's radius twice and a line's length √12 times as long.

    The other kinds are Real-ESRGAN's: generalized (Gaussian) and plateau, both with an anisotropic
    twin, whose spread is the scale of their formula (`kernels`), with a shape from `beta_range` and
    `plateau_range`: half of the time below 1, half above, where the range allows; and sinc, a sharp
    low-pass that rings, for waves longer than `wave_range` (shares of the short side; its spread is
    a wave / 2π, and waves' frequencies are drawn evenly, from 2 px on). These are cut at a whole
    number of pixels from their middle, all in `reach_range` equally likely (shares too: the
    published 7×7 to 21×21 px are 0.0075 to 0.025). A wave is at most twice that, and at most 0.015
    where a kernel reaches less far: frequencies of kernels below 13×13 start at π / 3 as published.
    """

    extent = "global"
    version = 2
    kinds: dict[Kind, Amount] = Field(min_length=1)
    size_range: tuple[Share, Share]
    ratio_range: tuple[Share, Share]
    beta_range: tuple[Beta, Beta]
    plateau_range: tuple[Beta, Beta]
    wave_range: tuple[Share, Share]
    reach_range: tuple[Share, Share]

    @field_validator("kinds")
    @classmethod
    def _any_weight(cls, kinds: dict[Kind, float]) -> dict[Kind, float]:
        if not any(kinds.values()):
            raise ValueError("must give a kind a weight above 0")
        return kinds

    @classmethod
    def at(cls, severity: float) -> Self:
        """All kinds, of one spread."""
        size = WORST * severity
        return cls(
            kinds=dict.fromkeys(KINDS, 1.0),
            size_range=(size, size),
            ratio_range=(0.3, 0.8),
            beta_range=(0.5, 4.0),
            plateau_range=(1.0, 2.0),
            wave_range=(math.tau * size, math.tau * size),
            reach_range=(max(SMALL, 4 * size), max(SMALL, 4 * size)),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A kind, its spread (share, and px), its direction (degrees), how narrow it is, its shape,
        and how far it reaches (px)."""
        kinds, side = list(self.kinds), Window.of(shape).photo_side
        weights = np.cumsum(list(self.kinds.values()))
        kind = kinds[int((rng.random() * weights[-1] >= weights[:-1]).sum())]
        size = float(rng.uniform(*self.size_range))
        near, far = self.reach_range
        reach = count_in((round(near * side), round(far * side)), rng)
        if kind == "sinc":
            size = _wave(self.wave_range, reach, side, rng) / math.tau
        return {
            "kind": kind,
            "size": round(size, 5),
            "spread": round(size * side, 3),
            "angle": round(float(rng.uniform(0, 180)), 1),
            "ratio": share_in(self.ratio_range, rng) if kind.endswith("anisotropic") else 1.0,
            "beta": _beta(self.plateau_range if "plateau" in kind else self.beta_range, rng),
            "reach": reach,
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Large kernels on a tile that is shrunk before and enlarged after; tiles are mirrored at
        their border."""
        if drawn["spread"] == 0:
            return tile.copy(), no_mask(tile)
        shrink = max(1, _shrink(drawn["kind"], drawn["spread"]))
        if shrink == 1:
            return _blur(tile, drawn, 1.0, 0.0), no_mask(tile)
        height, width = (-(-side // shrink) for side in tile.shape[:2])
        small = _blur(resize(tile, height, width), drawn, shrink, shrink / 2)
        return resize(small, *tile.shape[:2]), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The spread, against 1.2 % of the photo's short side."""
        return min(1.0, float(drawn["size"]) / WORST)


def _wave(waves: tuple[float, float], reach: int, side: int, rng: np.random.Generator) -> float:
    """A share of the side, evenly in frequency, that suits a kernel's reach (px); 0 is none."""
    most = min(2 * reach / side, SMALL if reach < round(SMALL * side) else math.inf)
    if waves[1] == 0:
        return 0.0
    short, long = (max(SHORTEST / side, min(wave, most)) for wave in waves)
    return 1 / float(rng.uniform(1 / long, 1 / short))


def _beta(betas: tuple[float, float], rng: np.random.Generator) -> float:
    """As published: peaked and flat kernels are equally frequent."""
    low, high = betas
    middle = min(max(low, 1.0), high)
    ends = (low, middle) if rng.random() < 0.5 else (middle, high)
    return share_in(ends, rng)


def _blur(tile: Array, drawn: Drawn, shrink: float, own: float) -> Array:
    """On a tile that is so many times smaller, which by itself has spread it by `own` px."""
    kind, spread = drawn["kind"], drawn["spread"]
    long = math.sqrt(max(0.01, spread**2 - own**2)) / shrink
    if kind == "gaussian":
        return cv2.GaussianBlur(tile, (0, 0), long).reshape(tile.shape)
    if kind == "motion":
        return _smear(tile, long * math.sqrt(12), drawn["angle"])
    if kind == "defocus":
        return convolve(tile, disc(2 * long))
    short = math.sqrt(max(0.01, (spread * drawn["ratio"]) ** 2 - own**2)) / shrink
    if kind == "anisotropic":
        return convolve(tile, bell(long, short, drawn["angle"], 1.0))
    reach = max(1, min(FAR, round(drawn["reach"] / shrink)))
    if kind == "sinc":
        return convolve(tile, sinc(max(SHORTEST, math.tau * spread / shrink), reach))
    shape = plateau if "plateau" in kind else bell
    return convolve(tile, shape(long, short, drawn["angle"], drawn["beta"], reach))


def _shrink(kind: Kind, spread: float) -> int:
    """How many times smaller a kernel must become to be fast."""
    if kind == "gaussian":
        return int(spread / 2)
    if kind == "motion":  # would blur across the line; `_smear` is fast at any length
        return 1
    return math.ceil((2 * spread if kind == "defocus" else 2.5 * spread) / REACH)


def _smear(tile: Array, length: float, angle: float) -> Array:
    """An even line; a long one is a short one laid end to end several times."""
    height, width, channels = tile.shape
    times = math.ceil(length / (2 * REACH))
    short = convolve(tile, line(length / times, angle))
    if times == 1:
        return short
    step, turn = length / times, math.radians(angle)
    pad = math.ceil(length / 2) + 1
    bordered = cv2.copyMakeBorder(short, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    wide: Array = bordered.reshape(height + 2 * pad, width + 2 * pad, channels)
    wide_enough = np.uint16 if times <= 256 else np.uint32  # 256 × 255 and a half
    total = np.full((height, width, channels), times // 2, wide_enough)
    for number in range(times):
        along = (number - (times - 1) / 2) * step
        top = pad + round(along * math.sin(turn))
        left = pad + round(along * math.cos(turn))
        total += wide[top : top + height, left : left + width]
    return (total // times).astype(np.uint8)
