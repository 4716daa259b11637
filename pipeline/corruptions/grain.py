"""Grain and sensor noise over the whole photo: white or clumped, even or following the light."""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.base import one_of
from pipeline.corruptions.noise import CHUNK, TWO, clumped, clumped_deviation, gaussian, words
from pipeline.images import to_gray
from pipeline.seeds import field, seed_of

Deviation = Annotated[float, Field(ge=0, le=255)]
Kind = Literal["gaussian", "film", "poisson", "speckle", "salt_pepper"]
WORST, MIDDLE = 50.0, 127.5  # levels
CLUMP = 1.5  # px: a smaller one is white noise
LAW: dict[str, Callable[[float], float]] = {
    "poisson": lambda light: math.sqrt(2 * light),
    "speckle": lambda light: 2 * light,
    "film": lambda light: 2 * math.sqrt(light * (1 - light)),
}


@CORRUPTIONS.add
class Grain(Corruption):
    """`sigma_range`: standard deviation at mid-gray in levels of 255, whatever the kind.

    `kinds`: gaussian, the same in all tones; poisson, with a variance, and speckle, with a
    deviation that grows with the light; salt_pepper, pixels gone white or black, (σ / 127.5)² of
    them; film, clumps of `size_range` (diameter as a share of the photo's short side), strongest in
    the mid-tones: round grains that cover a point of light u or not, with variance u(1 - u), as in
    the Boolean model of Newson et al. 2017. `gray_probability`: share of photos whose channels have
    one grain in common, as a color scan of a gray print has; on others each has its own.
    """

    extent = "global"
    version = 2
    kinds: tuple[Kind, ...] = Field(min_length=1)
    sigma_range: tuple[Deviation, Deviation]
    size_range: tuple[Size, Size]
    gray_probability: Share

    @classmethod
    def at(cls, severity: float) -> Self:
        """All kinds, at one deviation."""
        sigma = WORST * severity
        kinds: tuple[Kind, ...] = ("gaussian", "film", "poisson", "speckle", "salt_pepper")
        return cls(
            kinds=kinds, sigma_range=(sigma, sigma), size_range=(0.002, 0.006), gray_probability=0.5
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A kind, a deviation, the clumps' diameter (px), and the seed of the field."""
        diameter = float(rng.uniform(*self.size_range)) * Window.of(shape).photo_side
        return {
            "kind": one_of(self.kinds, rng),
            "gray": bool(rng.random() < self.gray_probability),
            "sigma": round(float(rng.uniform(*self.sigma_range)), 2),
            "size": round(diameter, 2),
            "seed": seed_of(rng),
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Add rounded, saturated noise, or set pixels to black and white."""
        pixels = np.ascontiguousarray(tile).reshape(-1, tile.shape[2])
        out = np.empty_like(pixels)
        channels = 1 if drawn["gray"] else tile.shape[2]
        for part, noise in _noise(tile.shape, channels, drawn):
            if drawn["kind"] == "salt_pepper":
                out[part] = _sprinkle(pixels[part], noise, drawn["sigma"])
            else:
                out[part] = _add(pixels[part], noise, drawn)
        return out.reshape(tile.shape), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The deviation, against σ = 50."""
        return min(1.0, float(drawn["sigma"]) / WORST)


def _noise(extent: Sequence[int], channels: int, drawn: Drawn) -> Iterator[tuple[slice, Array]]:
    """Chunk after chunk, which pixels and their noise, n × channels: int16 gray levels for the
    gaussian kind, raw for those that follow the light, and 16 random bits for salt and pepper."""
    kind, rng = drawn["kind"], field(drawn["seed"])
    clumps = clumped(extent, channels, drawn["size"], rng) if _is_clumped(drawn) else None
    count, step = extent[0] * extent[1], CHUNK // channels
    for start in range(0, count, step):
        part = slice(start, min(count, start + step))
        values = (part.stop - start) * channels
        noise: Array
        if clumps is not None:
            noise = clumps[part].astype(np.int16) * 2 - 255
        elif kind == "salt_pepper":
            noise = words(values, rng).view(np.uint16)[:values]
        else:
            noise = gaussian(values, drawn["sigma"] if kind == "gaussian" else TWO, rng)
        yield part, noise.reshape(-1, channels)


def _is_clumped(drawn: Drawn) -> bool:
    """Is its noise more than white?"""
    return drawn["kind"] == "film" and float(drawn["size"]) >= CLUMP


def _add(pixels: Array, noise: Array, drawn: Drawn) -> Array:
    """Noise on top, weighed by each pixel's light where the kind asks for that; int16, 0 to 255."""
    if drawn["sigma"] == 0:
        return pixels
    if drawn["kind"] in LAW:
        alone = noise.shape[1] == pixels.shape[1]
        light = pixels if alone else to_gray(pixels[None])[0]
        raw = 2 * clumped_deviation(drawn["size"]) if _is_clumped(drawn) else TWO
        weights = _law(drawn["kind"]) * (drawn["sigma"] / raw)
        fine = 2.0 ** (12 - math.frexp(float(weights.max()))[1])  # no product passes 24 bits
        table = np.rint(weights * fine).astype(np.int16)
        noise = cv2.multiply(noise, cv2.LUT(light, table), scale=1 / fine)
    total: Array = pixels.astype(np.int16)
    total += _spread(noise, pixels.shape[1])
    np.clip(total, 0, 255, out=total)
    return total


def _sprinkle(pixels: Array, bits: Array, sigma: float) -> Array:
    """Both ends of the 16-bit range become black and white pixels, half of the share each."""
    share = min(1.0, (sigma / MIDDLE) ** 2)
    ends = round(share * (1 << 15))
    kept = (bits >= ends).view(np.uint8) * np.uint8(255)
    white = (bits > (1 << 16) - 1 - ends).view(np.uint8) * np.uint8(255)
    out: Array = pixels & _spread(kept, pixels.shape[1]) | _spread(white, pixels.shape[1])
    return out


def _spread(noise: Array, channels: int) -> Array:
    """One channel of noise for all, n × channels."""
    alike = noise.shape[-1] == 1 and channels > 1
    return (cv2.merge([noise] * channels) if alike else noise).reshape(-1, channels)


@functools.cache
def _law(kind: str) -> Array:
    """Deviation over the 256 levels, 1 at mid-gray (float64)."""
    return np.array([LAW[kind](level / 255) for level in range(256)])
