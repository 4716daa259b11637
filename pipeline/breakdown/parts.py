"""Samples by damage family, severity, coverage, source, photo size and photo."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.rows import Row, counted, is_damaged, photo_of

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


def groups(rows: Sequence[Row]) -> Iterator[Group]:
    """Every group that has samples, in the order that a reader expects. A sample is in a group of
    each of its families. What no row knows makes no groups.

    All are of `rows.counted`, but for the undamaged ones, which stand apart as a family.
    """
    places = counted_places(rows)
    yield Group("all", "all", places)
    yield from families(rows)
    yield from _binned(_values(rows, places, "severity"), "severity", SEVERITIES)
    yield from _binned(_values(rows, places, "covered"), "covered", COVERED)
    yield from _named({place: [str(rows[place]["source"])] for place in places}, "source")
    yield from _binned({place: _short_side(rows[place]) for place in places}, "size", SIZES)
    yield from _named({place: [photo_of(rows[place])] for place in places}, "photo")


def families(rows: Sequence[Row]) -> Iterator[Group]:
    """The groups by damage family: by name, then what photos brought, then undamaged samples where
    others are damaged."""
    found = {place: _families(rows[place]) for place in counted_places(rows)}
    yield from _named(found, "family", last=(GIVEN,))
    whole = [place for place in range(len(rows)) if place not in found]
    if whole:
        yield Group("family", UNDAMAGED, whole)


def counted_places(rows: Sequence[Row]) -> list[int]:
    """Where `rows.counted` are."""
    keys = {str(row["key"]) for row in counted(rows)}
    return [place for place, row in enumerate(rows) if str(row["key"]) in keys]


def _binned(
    values: Mapping[int, float | None], by: str, bins: Sequence[tuple[float, str]]
) -> Iterator[Group]:
    """Groups of the places whose values fall into each bin, in the order of bins."""
    labels = {
        place: [] if value is None else [next(label for end, label in bins if value <= end)]
        for place, value in values.items()
    }
    yield from _named(labels, by, order=[label for _, label in bins])


def _named(
    names: Mapping[int, Sequence[str]], by: str, order: Sequence[str] = (), last: Sequence[str] = ()
) -> Iterator[Group]:
    """Groups of the places that bear each name: in `order`, or by name with `last` behind."""
    found: dict[str, list[int]] = {}
    for place, own in names.items():
        for name in own or [UNKNOWN]:
            found.setdefault(name, []).append(place)
    if set(found) == {UNKNOWN}:
        return
    known = [*(order or sorted(set(found) - {*last, UNKNOWN})), *last, UNKNOWN]
    for name in known:
        if name in found:
            yield Group(by, name, found[name])


def _values(rows: Sequence[Row], places: Sequence[int], name: str) -> dict[int, float | None]:
    return {place: rows[place].get(name) for place in places}


def _families(row: Row) -> list[str]:
    """None of what is not damaged, whatever was tried on it."""
    names = str(row.get("families") or "").split() if is_damaged(row) else []
    return [name for name in names if name != UNDAMAGED]


def _short_side(row: Row) -> float | None:
    width, height = row.get("width"), row.get("height")
    return None if width is None or height is None else min(width, height)
