"""Where a system does well and where it does not: figures by damage family, severity, coverage,
source, photo size and photo, those of its input and of the baselines beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline import fidelity, statistics
from pipeline.rows import Row, photo_of, picture_names
from pipeline.statistics import Bootstrap, Floats, Interval, Paired

METRICS = ("psnr", "ssim", "psnr_masked", "lpips")  # of those that the rows have
GAIN = "gain"  # dB of PSNR over the input
DIGITS = 5
UNDAMAGED, GIVEN = "undamaged", "given"  # instead of families
UNKNOWN = "unknown"  # the group of samples that do not tell, where others do

# Upper ends of bins and their labels; a bin holds its upper end.
SEVERITIES = ((0, "0"), (0.2, "0–0.2"), (0.4, "0.2–0.4"), (0.6, "0.4–0.6"), (0.8, "0.6–0.8"),
              (1, "0.8–1"))  # fmt: skip
COVERED = ((0, "none"), (0.01, "≤ 1 %"), (0.05, "1–5 %"), (0.15, "5–15 %"), (0.3, "15–30 %"),
           (1, "> 30 %"))  # fmt: skip
SIZES = ((512, "≤ 512 px"), (1024, "513–1024 px"), (2048, "1025–2048 px"),
         (np.inf, "> 2048 px"))  # fmt: skip


class Group(NamedTuple):
    """Samples that have something in common: places of their rows."""

    by: str
    name: str
    places: list[int]


class Loss(NamedTuple):
    """A family on which a rival's picture is the better one. Not `certain` where chance explains
    it; few photos are no excuse."""

    family: str
    rival: str
    paired: Paired

    @property
    def certain(self) -> bool:
        interval = self.paired.interval
        return interval is None or interval.high < 0


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


def groups(rows: Sequence[Row]) -> Iterator[Group]:
    """Every group that has samples, in the order that a reader expects. A sample is in a group of
    each of its families. What no row knows makes no groups."""
    yield Group("all", "all", list(range(len(rows))))
    damaged = [place for place, row in enumerate(rows) if is_damaged(row)]
    if 0 < len(damaged) < len(rows):  # the clip of undamaged ones would hide the rest
        yield Group("all", "damaged", damaged)
    yield from families(rows)
    yield from _binned(rows, "severity", [row.get("severity") for row in rows], SEVERITIES)
    yield from _binned(rows, "covered", [row.get("covered") for row in rows], COVERED)
    yield from _named(rows, "source", [[str(row["source"])] for row in rows])
    yield from _binned(rows, "size", [_short_side(row) for row in rows], SIZES)
    yield from _named(rows, "photo", [[photo_of(row)] for row in rows])


def families(rows: Sequence[Row]) -> Iterator[Group]:
    """The groups by damage family: by name, then what has none, then what photos brought."""
    found = [str(row.get("families") or "").split() for row in rows]
    yield from _named(rows, "family", found, last=(UNDAMAGED, GIVEN))


def is_damaged(row: Row) -> bool:
    """Does the input differ from the original?"""
    return bool(row["input.psnr"] < fidelity.PSNR_CLIP)


def losses(rows: Sequence[Row], seed: int, picture: str = "composite") -> list[Loss]:
    """Families on which the input or a baseline has the higher PSNR, worst first; where rows know
    no families, over all. Undamaged samples are apart: there nothing is to be gained."""
    bootstrap = Bootstrap(map(photo_of, rows), seed)
    rivals = [name for name in picture_names(rows) if name not in ("prediction", picture)]
    found = []
    for group in _damages(rows):
        own = [rows[place] for place in group.places]
        photos = [photo_of(row) for row in own]
        for rival in rivals:
            before, after = ([row[f"{name}.psnr"] for row in own] for name in (rival, picture))
            result = statistics.paired(bootstrap, photos, before, after)
            if result.difference is not None and result.difference < 0:
                found.append(Loss(group.name, rival, result))
    return sorted(found, key=lambda one: (one.paired.difference or 0, one.family, one.rival))


def worst_family(rows: Sequence[Row], picture: str = "composite") -> tuple[str, float] | None:
    """The damage that the least is gained on, and that gain: mean dB over the input. None where
    all is undamaged."""
    means = {
        group.name: statistics.mean(
            rows[place][f"{picture}.psnr"] - rows[place]["input.psnr"] for place in group.places
        )
        for group in _damages(rows)
    }
    known = [(gain, name) for name, gain in means.items() if gain is not None]
    return (min(known)[1], min(known)[0]) if known else None


def in_words(rows: Sequence[Row], seed: int, picture: str = "composite") -> str:
    """``Worst on folds: +0.3 dB over the input; loses to telea on shapes (−1.2 dB).`` A rival that
    is ahead by no more than chance explains is told as ``not told apart from``."""
    worst = worst_family(rows, picture)
    if worst is None:
        return "Nothing here is damaged."
    family, gain = worst
    where = f"Worst on {_words(family)}: " if family != "all" else ""
    parts = [f"{where}{_decibels(gain)} over the input"]
    found = losses(rows, seed, picture)
    for certain, verb in ((True, "loses to"), (False, "not told apart from")):
        for rival in dict.fromkeys(one.rival for one in found if one.certain is certain):
            own = [one for one in found if one.rival == rival and one.certain is certain]
            name = "its input" if rival == "input" else _words(rival)
            parts.append(f"{verb} {name}{_and([_told(one) for one in own])}")
    if not found:
        parts.append("ahead of its input and of every baseline on all damage")
    return "; ".join(parts) + "."


def _told(loss: Loss) -> str:
    where = " " if loss.family == "all" else f" on {_words(loss.family)} "
    return f"{where}({_decibels(loss.paired.difference or 0)})"


def _damages(rows: Sequence[Row]) -> list[Group]:
    known = [group for group in families(rows) if group.name != UNDAMAGED]
    if known:
        return known
    damaged = [place for place, row in enumerate(rows) if is_damaged(row)]
    return [Group("all", "all", damaged)] if damaged else []


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


def _binned(
    rows: Sequence[Row], by: str, values: Sequence[float | None], bins: Sequence[tuple[float, str]]
) -> Iterator[Group]:
    labels = [
        [] if value is None else [next(label for end, label in bins if value <= end)]
        for value in values
    ]
    yield from _named(rows, by, labels, order=[label for _, label in bins])


def _named(
    rows: Sequence[Row],
    by: str,
    names: Sequence[Sequence[str]],
    order: Sequence[str] = (),
    last: Sequence[str] = (),
) -> Iterator[Group]:
    """Groups of the rows that bear each name: in `order`, or by name with `last` behind."""
    found: dict[str, list[int]] = {}
    for place, own in enumerate(names):
        for name in own or [UNKNOWN]:
            found.setdefault(name, []).append(place)
    if set(found) == {UNKNOWN}:
        return
    ranks = [*(order or sorted(set(found) - {*last, UNKNOWN})), *last, UNKNOWN]
    for name in sorted(found, key=ranks.index):
        yield Group(by, name, found[name])


def _short_side(row: Row) -> float | None:
    width, height = row.get("width"), row.get("height")
    return None if width is None or height is None else min(width, height)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _decibels(value: float) -> str:
    return f"{value:+.1f} dB".replace("-", "−")


def _and(parts: Sequence[str]) -> str:
    return " and".join(filter(None, [",".join(parts[:-1]), *parts[-1:]]))
