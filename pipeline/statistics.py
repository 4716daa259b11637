"""How sure a mean over photos is, and whether one system does better than another on the same
samples.

Tiles of one photo are alike: counted singly, they make every interval too narrow. So whole photos
are resampled (the cluster bootstrap: Davison, Hinkley 1997, "Bootstrap methods and their
application", 3.8), and the sign test counts photos. Nothing here depends on the order of samples.

Percentile intervals of few photos are too narrow. With 8 tiles a photo, half of their variance
between photos, those of 95 % held the true mean in 76 % of 4,000 simulations with 3 photos, 87 %
with 6, 90 % with 10, and 94 % with 30 and with 100.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.seeds import rng

REPLICATES = 2000
LEVEL = 0.95  # of all intervals
WORST = 0.1  # nine samples in ten are better than the worst decile
FEW = 6  # photos; of fewer even a unanimous sign test has p above 0.05, so nothing is claimed
TIE = 9  # digits; photos whose mean differences round to 0 by rounding errors alone are ties
LOWER_IS_BETTER = ("mse", "mae", "lpips", "ciede2000", "altered", "marked")
NO_DIRECTION = ("colorfulness", "contrast")  # neither more nor less of it is better

BLOCK = 2**22  # numbers of the table that are multiplied at once

Floats: TypeAlias = NDArray[np.float64]


class Interval(NamedTuple):
    """Where a mean lies, at `LEVEL`."""

    low: float
    high: float


class Bootstrap:
    """Photos drawn with replacement, `REPLICATES` times, once for all groups and metrics.

    How often each replicate drew each photo is a table, so that the replicates of any mean are a
    product: weighted sums over weighted counts. Memory: 2 kB a photo, and 32 MB at work.
    `draws`: that table, uint8, `REPLICATES` × photos in the order of their names.
    """

    def __init__(self, photos: Iterable[str], seed: int) -> None:
        names = sorted(set(photos))
        generator, count = rng(seed, "bootstrap"), len(names)
        self._places = {name: place for place, name in enumerate(names)}
        self.draws = np.empty((REPLICATES, count), np.uint8)
        for number in range(REPLICATES if count else 0):
            drawn = np.bincount(generator.integers(0, count, count), minlength=count)
            # 255 draws of one photo are out of reach: the odds are 1 in 255!, or there are fewer
            self.draws[number] = np.minimum(drawn, 255)

    def interval(self, photos: Sequence[str], values: Sequence[float | None]) -> Interval | None:
        """`intervals` of one column; None is missing."""
        return self.intervals(photos, to_column(values)[:, None])[0]

    def intervals(self, photos: Sequence[str], values: Floats) -> list[Interval | None]:
        """The percentile interval of each column's mean over samples.

        `values`: float64 samples × columns, nan where missing; `photos`: the photo of each sample.
        None where fewer than two photos have values. A group is part of all photos: replicates that
        drew none of its photos tell nothing of it and are left out.
        """
        own, places = np.unique([self._places[name] for name in photos], return_inverse=True)
        if len(own) < 2:
            return [None] * values.shape[1]
        gathered = [_by_photo(places, column, len(own)) for column in values.T]
        totals, counts = (np.stack(column, axis=1) for column in zip(*gathered, strict=True))
        sums, drawn = self._replicates(own, totals), self._replicates(own, counts)
        return [
            _percentiles(sums[there, place] / drawn[there, place])
            if (counts[:, place] > 0).sum() > 1
            else None
            for place, there in enumerate(drawn.T > 0)
        ]

    def _replicates(self, own: NDArray[Any], values: Floats) -> Floats:
        """Sums of photos × columns by each replicate's draws of these photos: `REPLICATES` ×
        columns. In blocks, for the draws as float64 would be eight times the table."""
        step = max(1, BLOCK // len(own))
        parts = [
            self.draws[start : start + step, own].astype(np.float64) @ values
            for start in range(0, REPLICATES, step)
        ]
        return np.concatenate(parts)


@dataclass(frozen=True)
class Paired:
    """B against A on the same samples. `difference` is B − A of the means, `better` and `worse` say
    of B's samples what they are, whichever way the metric goes; `p`: two-sided sign test over the
    photos' mean differences. `interval` is None with one photo, the rest with no sample."""

    lower_is_better: bool
    num_samples: int
    num_photos: int
    a: float | None
    b: float | None
    difference: float | None
    interval: Interval | None
    better: int
    worse: int
    equal: int
    better_photos: int
    worse_photos: int
    p: float

    @property
    def improvement(self) -> float | None:
        """By how much B is better; below 0 it is worse."""
        if self.difference is None or not self.lower_is_better:
            return self.difference
        return -self.difference

    @property
    def improvement_interval(self) -> Interval | None:
        """The interval of `improvement`."""
        if self.interval is None or not self.lower_is_better:
            return self.interval
        return Interval(-self.interval.high, -self.interval.low)

    @property
    def verdict(self) -> str:
        """``better`` or ``worse`` where the interval leaves out 0, ``equal`` where no sample
        differs, ``few`` where there are fewer than `FEW` photos, else ``open``."""
        found = self.improvement_interval
        if self.better == self.worse == 0:
            return "equal"
        if found is None or self.num_photos < FEW:
            return "few"
        if found.low <= 0 <= found.high:
            return "open"
        return "better" if found.low > 0 else "worse"


def paired(
    bootstrap: Bootstrap,
    photos: Sequence[str],
    a: Sequence[float | None],
    b: Sequence[float | None],
    lower_is_better: bool = False,
) -> Paired:
    """Compare two columns of the same samples; samples that either lacks are left out."""
    before, after = to_column(a), to_column(b)
    known = ~np.isnan(after - before)
    names = [name for name, there in zip(photos, known, strict=True) if there]
    change = (after - before)[known]
    gain = -change if lower_is_better else change
    better, worse = int((gain > 0).sum()), int((gain < 0).sum())
    better_photos, worse_photos = _photo_signs(names, gain)
    return Paired(
        lower_is_better=lower_is_better,
        num_samples=len(names),
        num_photos=len(set(names)),
        a=mean(before[known]),
        b=mean(after[known]),
        difference=mean(change),
        interval=bootstrap.intervals(names, change[:, None])[0],
        better=better,
        worse=worse,
        equal=len(names) - better - worse,
        better_photos=better_photos,
        worse_photos=worse_photos,
        p=sign_test(better_photos, worse_photos),
    )


def sign_test(better: int, worse: int) -> float:
    """Exact two-sided p of the sign test: how often a fair coin falls at least as unevenly. Ties
    are left out by the caller; without any signs p is 1."""
    tosses, fewer = better + worse, min(better, worse)
    ways: int = 1
    term = 1
    for heads in range(fewer):
        term = term * (tosses - heads) // (heads + 1)
        ways += term
    return min(1.0, 2 * ways / (1 << tosses))


def is_lower_better(metric: str) -> bool:
    """Is less of this metric better? Told by ``mse`` of ``mse``, ``mse_masked``,
    ``composite.mse_luma`` …"""
    return base_of(metric) in LOWER_IS_BETTER


def has_direction(metric: str) -> bool:
    """Is more or less of this metric better at all?"""
    return base_of(metric) not in NO_DIRECTION


def base_of(metric: str) -> str:
    """``psnr`` of ``psnr_masked`` and ``harm.psnr``: what a metric is, wherever it looks."""
    return metric.split(".")[-1].split("_")[0]


def worst_decile(values: Sequence[float] | Floats, metric: str) -> float | None:
    """The value that nine in ten samples are better than; None without any."""
    if not len(values):
        return None
    share = 1 - WORST if is_lower_better(metric) else WORST
    return float(np.quantile(np.asarray(values, np.float64), share))


def mean(values: Iterable[float]) -> float | None:
    """The mean, the same in any order; None without any."""
    found = [float(value) for value in values]
    return math.fsum(found) / len(found) if found else None


def to_column(values: Sequence[Any]) -> Floats:
    """Values as float64, None as nan."""
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _by_photo(places: NDArray[Any], column: Floats, count: int) -> tuple[Floats, Floats]:
    """Sum and number of the known values of each photo, added up in an order of their own."""
    known = ~np.isnan(column)
    at, values = places[known], column[known]
    order = np.lexsort((values, at))
    totals = np.bincount(at[order], weights=values[order], minlength=count)
    return np.asarray(totals), np.bincount(at, minlength=count).astype(np.float64)


def _percentiles(means: Floats) -> Interval:
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _photo_signs(photos: Sequence[str], change: Floats) -> tuple[int, int]:
    """Photos whose mean change is above 0, and below."""
    if not photos:
        return 0, 0
    names, places = np.unique(photos, return_inverse=True)
    totals, counts = _by_photo(places, change, len(names))
    means = np.round(totals / counts, TIE)
    return int((means > 0).sum()), int((means < 0).sum())
