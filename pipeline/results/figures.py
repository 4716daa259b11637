"""A number over held-out samples and how sure it is: means, differences of two pictures on the same
samples, and ratios of sums, each with its interval over photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

from pipeline import statistics
from pipeline.rows import Row, counted, photo_of
from pipeline.statistics import LEVEL, Bootstrap, Floats


class Figure(NamedTuple):
    """A value, and its interval at `statistics.LEVEL`: None where photos tell none."""

    value: float
    low: float | None = None
    high: float | None = None


class Measured:
    """Rows of one evaluation, the photos that they are of, and these drawn again and again.

    `counted`: the rows that means are over (see `pipeline.rows`); the photos of all are drawn, as
    for the breakdown of a report, so that both tell the same intervals.
    """

    def __init__(self, rows: Sequence[Row], seed: int) -> None:
        self.rows, self.counted = list(rows), counted(rows)
        self.bootstrap = Bootstrap([photo_of(row) for row in rows], seed)
        self.names = sorted({photo_of(row) for row in rows})

    def has(self, *columns: str) -> bool:
        """Have some counted rows all of these?"""
        return any(all(row.get(one) is not None for one in columns) for row in self.counted)

    def figure(self, values: Callable[[Row], float | None]) -> Figure | None:
        """The mean over the counted rows that have a value."""
        column = [values(row) for row in self.counted]
        mean = statistics.mean(value for value in column if value is not None)
        if mean is None:
            return None
        photos = [photo_of(row) for row in self.counted]
        return Figure(mean, *(self.bootstrap.interval(photos, column) or (None, None)))

    def ratio(
        self, above: Callable[[Row], float], below: Callable[[Row], float], rows: Sequence[Row]
    ) -> Figure | None:
        """Sum by sum over these rows, as micro-averages are: not the mean of their ratios."""
        totals = np.array([[above(row), below(row)] for row in rows], np.float64).reshape(-1, 2)
        over, under = totals.sum(axis=0)
        if not under:
            return None
        own, places = np.unique([photo_of(row) for row in rows], return_inverse=True)
        if len(own) < 2:
            return Figure(float(over / under))
        sums = np.stack([np.bincount(places, weights=one) for one in totals.T], axis=1)
        drawn = self.bootstrap.draws[:, np.searchsorted(self.names, own)].astype(np.float64) @ sums
        there: Floats = drawn[drawn[:, 1] != 0]
        ends = np.quantile(there[:, 0] / there[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Figure(float(over / under), float(ends[0]), float(ends[1]))


Measure: TypeAlias = Callable[[Measured], Figure | None]


def mean(column: str) -> Measure:
    """Of a column, over the samples that have it."""
    return lambda measured: measured.figure(lambda row: row.get(column))


def difference(column: str, other: str) -> Measure:
    """Of `column` less `other`, sample by sample."""

    def between(row: Row) -> float | None:
        one, two = row.get(column), row.get(other)
        return None if one is None or two is None else float(one - two)

    return lambda measured: measured.figure(between)


def share_below(column: str, most: float) -> Measure:
    """The share of samples whose value is `most` or less."""

    def good(row: Row) -> float | None:
        return None if row.get(column) is None else float(row[column] <= most)

    return lambda measured: measured.figure(good)


def mask_f1(measured: Measured) -> Figure | None:
    """Micro-averaged over all pixels whose truth is known, undamaged samples too."""
    return _of_marks(measured, weight=2)


def mask_iou(measured: Measured) -> Figure | None:
    """As `mask_f1`."""
    return _of_marks(measured, weight=1)


def colorfulness(measured: Measured) -> Figure | None:
    """The results' mean colorfulness by that of their originals. Ratios of single photos would say
    little: some originals have next to no color."""
    ratio, own = "composite.colorfulness_ratio", "composite.colorfulness"
    rows = [row for row in measured.counted if row.get(ratio)]
    return measured.ratio(lambda row: row[own], lambda row: row[own] / row[ratio], rows)


def _of_marks(measured: Measured, weight: int) -> Figure | None:
    """``w·tp / (w·tp + fp + fn)``"""
    known = [row for row in measured.rows if row.get("mask.tp") is not None]

    def right(row: Row) -> float:
        return float(weight * row["mask.tp"])

    def marked(row: Row) -> float:
        return right(row) + float(row["mask.fp"] + row["mask.fn"])

    return measured.ratio(right, marked, known)
