"""Lost focus and a shaken camera: the whole photo smeared by one kernel."""

import math
from collections.abc import Sequence
from typing import Literal, Self

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import Amount, Share, ordered
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.kernels import REACH, convolve, disc, ellipse, line
from pipeline.images import resize

Kind = Literal["gaussian", "anisotropic", "motion", "defocus"]
WORST = 0.012  # of the photo's short side


@CORRUPTIONS.add
class Blur(Corruption):
    """`size_range`: spread of the kernel, its standard deviation as a share of the photo's short
    side; 0.0005 to 0.0075 are Real-ESRGAN's 0.2 to 3 px (Wang et al. 2021) on its 400 px pictures.

    `kinds`: gaussian, the same in all directions; anisotropic, Gaussian across a random direction
    with `ratio_range` times the spread along it (as in BSRGAN, Zhang et al. 2021); motion, an even
    line; defocus, an even disc. Lines and discs have the spread that `size_range` says, which makes
    a disc's radius twice and a line's length √12 times as long.
    """

    extent = "global"
    kinds: tuple[Kind, ...] = Field(min_length=1)
    size_range: tuple[Amount, Amount]
    ratio_range: tuple[Share, Share]

    _ordered = field_validator("size_range", "ratio_range")(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """All kinds, of one spread."""
        size = WORST * severity
        kinds: tuple[Kind, ...] = ("gaussian", "anisotropic", "motion", "defocus")
        return cls(kinds=kinds, size_range=(size, size), ratio_range=(0.3, 0.8))

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A kind, its spread (share, and px), its direction (degrees), and how narrow it is."""
        size = float(rng.uniform(*self.size_range))
        return {
            "kind": self.kinds[int(rng.integers(len(self.kinds)))],
            "size": round(size, 5),
            "spread": round(size * Window.of(shape).photo_side, 3),
            "angle": round(float(rng.uniform(0, 180)), 1),
            "ratio": round(float(rng.uniform(*self.ratio_range)), 3),
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
    return convolve(tile, ellipse(long, short, drawn["angle"]))


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
    total = np.full((height, width, channels), times // 2, np.uint16)
    for number in range(times):
        along = (number - (times - 1) / 2) * step
        top = pad + round(along * math.sin(turn))
        left = pad + round(along * math.cos(turn))
        total += wide[top : top + height, left : left + width]
    return (total // times).astype(np.uint8)
