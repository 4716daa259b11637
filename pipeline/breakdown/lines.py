"""Figures by group: those of a system, of its input and of what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipeline import statistics
from pipeline.breakdown.parts import Group, groups
from pipeline.rows import Row, photo_of, picture_names
from pipeline.statistics import Bootstrap, Floats, Interval

METRICS = ("psnr", "ssim", "psnr_masked", "lpips")  # of those that the rows have
GAIN = "gain"  # dB of PSNR over the input
DIGITS = 5


def breakdown(rows: Sequence[Row], seed: int) -> list[dict[str, Any]]:
    """A line for each group, picture and metric that has values: ``by, group, num_samples,
    num_photos, picture, metric, mean, median, worst_decile, low, high``; the interval is None where
    there is one photo. The same in any order of rows."""
    columns, values = _columns(rows)
    photos = [photo_of(row) for row in rows]
    bootstrap = Bootstrap(photos, seed)
    return [
        line for group in groups(rows) for line in _lines(group, columns, values, photos, bootstrap)
    ]


def _columns(rows: Sequence[Row]) -> tuple[list[tuple[str, str]], Floats]:
    """(picture, metric) of each column, and the values: samples × columns, nan where missing."""
    found: dict[tuple[str, str], Floats] = {}
    for picture in picture_names(rows):
        for metric in METRICS:
            if any(f"{picture}.{metric}" in row for row in rows):
                column = [row.get(f"{picture}.{metric}") for row in rows]
                found[picture, metric] = statistics.to_column(column)
        if picture != "input":
            found[picture, GAIN] = found[picture, "psnr"] - found["input", "psnr"]
    return list(found), np.stack(list(found.values()), axis=1) if found else np.zeros((0, 0))


def _lines(
    group: Group,
    columns: Sequence[tuple[str, str]],
    values: Floats,
    photos: Sequence[str],
    bootstrap: Bootstrap,
) -> Iterator[dict[str, Any]]:
    own, names = values[group.places], [photos[place] for place in group.places]
    intervals = bootstrap.intervals(names, own)
    for (picture, metric), column, interval in zip(columns, own.T, intervals, strict=True):
        known = ~np.isnan(column)
        if known.any():
            held = {name for name, there in zip(names, known, strict=True) if there}
            head = {"by": group.by, "group": group.name, "num_samples": int(known.sum()),
                    "num_photos": len(held), "picture": picture, "metric": metric}  # fmt: skip
            yield head | _figures(column[known], metric, interval)


def _figures(values: Floats, metric: str, interval: Interval | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    figures = {
        "mean": statistics.mean(values),
        "median": float(np.median(values)),
        "worst_decile": statistics.worst_decile(values, metric),
        "low": low,
        "high": high,
    }
    return {name: None if one is None else round(one, DIGITS) for name, one in figures.items()}
