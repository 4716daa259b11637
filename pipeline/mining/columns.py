"""Samples as the tables that are fitted: by what was drawn on them, and by what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.mining.features import CONTEXT, WHOLE, Mined
from pipeline.mining.fit import Table
from pipeline.statistics import Floats

SEEN = 5  # samples with a family, and without it: of fewer nothing is told
MILDEST = 0.05  # quantile of the severities that a family always present is held against
FLAT = 1e-3  # a column of less deviation does not vary
LOGARITHMIC = ("pieces", "photo_side")  # doubling them is a step
UNITS = {
    "covered": (0.1, "per 10 % of the tile"),
    "size": (0.1, "per 10 % of the tile's side"),
    "pieces": (1.0, "per doubling"),
    "steps": (1.0, "per step more"),
    "photo_side": (1.0, "per doubling"),
}


class Column(NamedTuple):
    """A bound column: `kind` is present, severity, kept, or whole."""

    name: str
    kind: str


class Drawn(NamedTuple):
    """How a family occurs. `always`: in every sample, so that its own cost cannot be told, but only
    that of severities above its mildest."""

    num_samples: int
    severity: float
    always: bool


def context_table(samples: Sequence[Mined], bound: Floats | None = None) -> Table:
    """Intercept and tile content as free columns, `bound` ones beside."""
    photos = [one.photo for one in samples]
    _, places = np.unique(photos, return_inverse=True)
    content = np.array([[one.context[name] for name in CONTEXT] for one in samples])
    varied = content[:, content.std(axis=0) > FLAT]
    scaled = (varied - varied.mean(axis=0)) / (varied.std(axis=0) if varied.size else 1.0)
    free = np.hstack([np.ones((len(samples), 1)), scaled])
    return Table(places, free, np.empty((len(samples), 0)) if bound is None else bound)


def family_table(samples: Sequence[Mined]) -> tuple[Table, list[Column], dict[str, Drawn]]:
    """A column for each family's presence and one for its severity, where they vary; then those of
    damage that is in the target too, which is part of what a sample is. A sample without a family
    has 0 in both of its columns, so that a column times its coefficient is what the family cost.
    """
    names = sorted({name for one in samples for name in one.families})
    columns: list[Column] = []
    values: list[Floats] = []
    occurrence = {}
    for name in names:
        own, made = _family([one.families for one in samples], name)
        occurrence[name] = own
        columns += [Column(name, kind) for kind in made]
        values += list(made.values())
    for name in sorted({name for one in samples for name in one.kept}):
        _, made = _family([one.kept for one in samples], name)
        columns += [Column(name, "kept") for _ in made]
        values += list(made.values())
    bound = np.column_stack(values) if values else np.empty((len(samples), 0))
    return context_table(samples, bound), columns, occurrence


def whole_table(samples: Sequence[Mined]) -> tuple[Table, list[Column]]:
    """A column for each number that tells what damage looks like, in units of `UNITS`; those that
    do not vary, or are not known of all samples, are left out."""
    columns, values = [], []
    for name in WHOLE:
        told = [one.whole[name] for one in samples]
        known = np.array([value for value in told if value is not None], np.float64)
        if len(known) < len(told):
            continue
        if name in LOGARITHMIC:
            known = np.log2(1 + known) if name == "pieces" else np.log2(known)
        scaled = known / UNITS[name][0]
        if scaled.std() > FLAT:
            columns.append(Column(name, "whole"))
            values.append(scaled - scaled.mean())
    bound = np.column_stack(values) if values else np.empty((len(samples), 0))
    return context_table(samples, bound), columns


def _family(found: Sequence[Mapping[str, float]], name: str) -> tuple[Drawn, dict[str, Floats]]:
    """How often a family occurs and how bad it is, and its columns by kind."""
    severity = np.array([one.get(name, 0.0) for one in found])
    there = severity > 0
    count, always = int(there.sum()), bool(there.all())
    drawn = Drawn(count, float(severity[there].mean()), always)
    made = {}
    if min(count, len(found) - count) >= SEEN:
        made["present"] = there.astype(np.float64)
    if (made or always) and severity[there].std() > FLAT and count >= SEEN:
        start = np.quantile(severity, MILDEST) if always else severity[there].mean()
        made["severity"] = np.where(there, severity - start, 0.0)
    return drawn, made
