"""Raw random fields, fast and the same on every CPU."""

import functools
import math
import statistics
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.corruptions.base import Array
from pipeline.corruptions.kernels import convolve, disc, odd
from pipeline.images import resize
from pipeline.seeds import field

CHUNK = 1 << 18  # values at a time, so that all of it stays in the cache
BANK, UNIT, BANK_SEED = 1 << 21, 128, 0  # values, their deviation, and where they come from
TWO = UNIT * math.sqrt(2)  # deviation of the sum of two
FINE = 1 << 14  # whole parts of a weight


def words(values: float, rng: np.random.Generator) -> Array:
    """Random 64-bit words that hold at least so many 16-bit values; `view` shows those."""
    return rng.integers(0, 2**64 - 1, math.ceil(values / 4), np.uint64, endpoint=True)


def gaussian(values: int, deviation: float, rng: np.random.Generator) -> Array:
    """At most `CHUNK` values, int16 1×n: the sum of two stretches of a bank of noise at random,
    which never overlap: cheaper than noise drawn anew, and some 10¹² sums in all.

    Weights are whole parts of 2¹⁴: no product is rounded, so that every CPU gets the same sum.
    """
    bank = _bank()
    first = int(rng.integers(BANK))
    second = (first + int(rng.integers(CHUNK, BANK - CHUNK))) % BANK
    one, other = bank[:, first : first + values], bank[:, second : second + values]
    weight = round(deviation / TWO * FINE) / FINE
    return cv2.addWeighted(one, weight, other, weight, 0)


@functools.cache
def _bank() -> Array:
    """Gaussian noise of deviation `UNIT`, int16 1×n, its start repeated at the end.

    A uniform 16-bit number picks a quantile of the normal law: out to 4.3σ, the same on every CPU.
    """
    levels = 1 << 16
    law = statistics.NormalDist(0, UNIT)
    half = [round(law.inv_cdf((number + 0.5) / levels)) for number in range(levels // 2)]
    lower = np.array(half, np.int16)
    quantiles = np.concatenate([lower, -lower[::-1]])
    bank = quantiles[words(BANK, field(BANK_SEED)).view(np.uint16)]
    return np.concatenate([bank, bank[:CHUNK]])[None]


def clumped(
    extent: Sequence[int], channels: int, diameter: float, rng: np.random.Generator
) -> Array:
    """Random bytes, summed over discs; n × channels. Large discs are drawn small and enlarged."""
    shrink, weights = _clump(diameter)
    height, width = -(-extent[0] // shrink), -(-extent[1] // shrink)
    values = height * width * channels
    raw = words(values / 2, rng).view(np.uint8)[:values].reshape(height, width, channels)
    return resize(convolve(raw, weights), extent[0], extent[1]).reshape(-1, channels)


def _clump(diameter: float) -> tuple[int, Array]:
    """How many times smaller a disc is drawn, and the disc."""
    shrink = max(1, int(diameter / 3))
    return shrink, odd(disc(diameter / 2 / shrink))


def clumped_deviation(diameter: float) -> float:
    """Of `clumped` noise."""
    shrink, weights = _clump(diameter)
    squares = float((weights**2).sum())
    deviation = math.sqrt((256**2 - 1) / 12 * squares) / float(weights.sum())
    if shrink > 1:  # between two values of correlation r, linear enlarging keeps (2 + r) / 3
        near = float((weights[1:] * weights[:-1]).sum()) / squares
        deviation *= (2 + near) / 3
    return deviation
