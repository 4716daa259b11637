"""Small convolution kernels in whole numbers, so that every CPU gets the same bytes."""

import math
from collections.abc import Callable

import cv2
import numpy as np

from pipeline.corruptions.base import Array

REACH = 5  # px from the middle of a kernel: OpenCV goes through slow Fourier space above 11×11


def convolve(tile: Array, weights: Array) -> Array:
    """A uint8 tile mirrored at its border, filtered by odd-sized weights in whole numbers.

    Their sum is made odd: no result lies halfway between two levels, so that neither OpenCV's order
    of summing nor its Fourier space can change a byte.
    """
    weights = odd(weights)
    parts = weights.astype(np.float32) / np.float32(weights.sum())
    return cv2.filter2D(tile, -1, parts).reshape(tile.shape)


def odd(weights: Array) -> Array:
    """With one more in the middle if their sum is even."""
    weights = weights.copy()
    weights[len(weights) // 2, len(weights) // 2] += 1 - weights.sum() % 2
    return weights


def line(length: float, angle: float) -> Array:
    """How many of the points along it, sixteen a pixel, fall into each pixel."""
    side = 2 * REACH + 1
    weights = np.zeros((side, side), np.int32)
    count, turn = math.ceil(16 * length), math.radians(angle)
    for number in range(count):
        along = length * ((number + 0.5) / count - 0.5)
        row, column = round(along * math.sin(turn)), round(along * math.cos(turn))
        weights[row + side // 2, column + side // 2] += 1
    return _trim(weights)


def disc(radius: float) -> Array:
    """Sixteenths of each pixel that a disc covers."""
    fine = 4
    steps = 2 * np.arange(-fine * REACH - fine // 2, fine * REACH + fine // 2) + 1
    inside = steps[:, None] ** 2 + steps**2 <= (2 * fine * radius) ** 2
    side = 2 * REACH + 1
    return _trim(inside.reshape(side, fine, side, fine).sum(axis=(1, 3)))


def bell(long: float, short: float, angle: float, beta: float, reach: int = REACH) -> Array:
    """A turned generalized Gaussian, exp(-½ qᵝ) with q the squared distance in deviations (Liu et
    al. 2020, "Estimating generalized Gaussian blur kernels for out-of-focus image deblurring").

    `beta` 1 is Gaussian; below 1 it is peaked with long tails, above 1 flat with a steep rim.
    """
    return _turned(lambda q: math.exp(-(q**beta) / 2), long, short, angle, reach)


def plateau(long: float, short: float, angle: float, beta: float, reach: int = REACH) -> Array:
    """A turned plateau, 1 / (1 + qᵝ) with q as for `bell`: flat inside of the deviations, with a
    rim that is the steeper the larger `beta` (Real-ESRGAN, Wang et al. 2021)."""
    return _turned(lambda q: 1 / (1 + q**beta), long, short, angle, reach)


def sinc(wave: float, reach: int = REACH) -> Array:
    """A round ideal low-pass, ω J₁(ω r) / (2π r), which lets waves longer than `wave` px through
    (ω = 2π / wave) and rings; its rim has negative weights (Real-ESRGAN, Wang et al. 2021)."""
    omega = math.tau / wave

    def height(square: int) -> float:
        far = math.sqrt(square)
        return omega * bessel(omega * far) / (math.tau * far) if far else omega**2 / (2 * math.tau)

    offsets = range(-reach, reach + 1)
    heights = {
        square: height(square) for square in {x * x + y * y for x in offsets for y in offsets}
    }
    return _parts([[heights[x * x + y * y] for x in offsets] for y in offsets])


def bessel(x: float, steps: int = 64) -> float:
    """J₁(x) for 0 ≤ x ≤ 60, to 12 digits: Bessel's integral ∫ cos(τ - x sin τ) dτ / π from 0 to π,
    whose midpoint sum converges faster than any power, as its integrand is periodic."""
    turns = ((number + 0.5) * math.pi / steps for number in range(steps))
    return sum(math.cos(turn - x * math.sin(turn)) for turn in turns) / steps


def _turned(
    profile: Callable[[float], float], long: float, short: float, angle: float, reach: int
) -> Array:
    """A profile over q = (along / long)² + (across / short)²."""
    turn, offsets = math.radians(angle), range(-reach, reach + 1)
    cos, sin = math.cos(turn), math.sin(turn)

    def height(x: int, y: int) -> float:
        return profile(((x * cos + y * sin) / long) ** 2 + ((y * cos - x * sin) / short) ** 2)

    return _parts([[height(x, y) for x in offsets] for y in offsets])


def _parts(heights: list[list[float]]) -> Array:
    """Whole parts, of about a thousand in all."""
    scale = 1000 / sum(map(sum, heights))
    return _trim(np.array([[round(value * scale) for value in row] for row in heights]))


def _trim(weights: Array) -> Array:
    """Without the empty rim, the same on all four sides."""
    middle = len(weights) // 2
    reach = int(np.abs(np.argwhere(weights) - middle).max(initial=0))
    kept = slice(middle - reach, middle + reach + 1)
    return weights[kept, kept].copy()
