"""A number with its interval, and whether it is other than 0 beyond chance."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from pipeline.statistics import FEW, LEVEL, Floats


class Estimate(NamedTuple):
    """A value with its interval at `LEVEL` and its standard error; None where there is one photo
    alone."""

    value: float
    low: float | None
    high: float | None
    error: float | None

    def scaled(self, scale: float) -> Estimate:
        """The same in another unit; `scale` is above 0."""
        rest = (None if one is None else one * scale for one in self[1:])
        return Estimate(self.value * scale, *rest)


def estimate(value: float, replicates: Floats, photos: int) -> Estimate:
    """With the replicates' percentiles, and their deviation, less narrow where photos are few."""
    if not len(replicates):
        return Estimate(value, None, None, None)
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    error = float(replicates.std()) * math.sqrt(photos / (photos - 1))
    return Estimate(value, float(low), float(high), error)


def is_clear(found: Estimate, photos: int, rivals: int) -> bool:
    """Is a value other than 0, beyond what chance does to the largest of `rivals`? Its interval
    leaves out 0, and so does Student's at a level divided by their number (Bonferroni)."""
    if found.low is None or found.high is None or found.error is None or photos < FEW:
        return False
    limit = student(1 - (1 - LEVEL) / 2 / max(1, rivals), photos - 1)
    apart = found.low > 0 or found.high < 0
    return apart and abs(found.value) > limit * found.error


def student(level: float, freedom: int) -> float:
    """Quantile of Student's t, by the expansion in the normal's (Abramowitz, Stegun 1964,
    26.7.5): within 2 % from 5 degrees of freedom on at levels up to 0.999."""
    z = NormalDist().inv_cdf(level)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
