"""Which damage the remaining error goes with: shares, costs and slopes, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipeline.errors import ParamsError
from pipeline.mining.columns import UNITS, Column, Drawn, context_table, family_table, whole_table
from pipeline.mining.estimate import Estimate, estimate, is_clear
from pipeline.mining.features import Mined
from pipeline.mining.fit import Fit, Table, draws_of, fit
from pipeline.statistics import FEW, Floats

FEWEST = 20  # samples; of fewer nothing is fitted
SEVERITY_STEP = 0.1  # that slopes are told for


class Cause(NamedTuple):
    """A family. `share`: of all remaining squared error, what goes with it; `each`: the same of one
    sample that has it, in means of the samples' errors; `cost`: dB that its presence costs at its
    mean severity; `slope`: dB for each `SEVERITY_STEP`. `clear`: the share is above 0 beyond
    chance, `steep`: the slope is, each counted against all that are ranked."""

    name: str
    drawn: Drawn
    share: Estimate
    each: Estimate
    cost: Estimate | None
    slope: Estimate | None
    clear: bool
    steep: bool


class Look(NamedTuple):
    """A number that tells what damage looks like: dB for each of its `UNITS`."""

    name: str
    unit: str
    slope: Estimate
    clear: bool


@dataclass(frozen=True)
class Ranking:
    """Causes by their share, largest first; `constant`: families that never vary, of which nothing
    can be told. `r2`: what is foretold of the error of unseen photos by the tiles' content alone
    (``content``), and with it by families, looks, or all; `photo_share`: what a photo's samples
    have in common of the rest."""

    causes: tuple[Cause, ...]
    looks: tuple[Look, ...]
    constant: tuple[str, ...]
    r2: Mapping[str, float | None]
    photo_share: float
    num_samples: int
    num_photos: int

    @property
    def trusted(self) -> bool:
        """Are there photos enough for an interval to mean what it says?"""
        return self.num_photos >= FEW


def rank(samples: Sequence[Mined], seed: int, where: object = "mine") -> Ranking:
    """Fit and rank. Raises ParamsError where samples are too few, or nothing varies."""
    if len(samples) < FEWEST:
        what = f"{len(samples)} damaged samples; {FEWEST} is the least to learn anything from"
        raise ParamsError(where, what, "give val more photos or tiles, or name another --split")
    table, columns, occurrence = family_table(samples)
    looks, look_columns = whole_table(samples)
    if not any(one.kind in ("present", "severity") for one in columns) and not look_columns:
        raise ParamsError(where, "every sample has the same damage", "name another --recipe")
    decibels = np.array([one.decibels for one in samples])
    squares = np.array([one.mse for one in samples])
    squares = squares / max(float(squares.mean()), 1e-12)
    draws = draws_of([one.photo for one in samples], seed)
    shares, costs = (fit(table, errors, seed, draws) for errors in (squares, decibels))
    seen = fit(looks, decibels, seed, draws)
    plain = fit(context_table(samples), decibels, seed)
    merged = looks._replace(bound=np.hstack([table.bound, looks.bound]))
    r2 = {
        "content": plain.r2,
        "families": costs.r2,
        "looks": seen.r2,
        "all": fit(merged, decibels, seed).r2,
    }
    named = {one.name for one in columns if one.kind in ("present", "severity")}
    parts = _Parts(table, columns, squares, draws, shares, costs, table.num_photos)
    causes = [_cause(parts, name, occurrence[name], len(named)) for name in sorted(named)]
    return Ranking(
        tuple(sorted(causes, key=lambda one: -one.share.value)),
        tuple(_looks(seen, look_columns, table.num_photos)),
        tuple(name for name in occurrence if name not in named),
        r2,
        plain.photo_share,
        len(samples),
        table.num_photos,
    )


class _Parts(NamedTuple):
    """What every cause is told from."""

    table: Table
    columns: list[Column]
    squares: Floats
    draws: Floats | None
    shares: Fit
    costs: Fit
    num_photos: int


def _cause(parts: _Parts, name: str, drawn: Drawn, rivals: int) -> Cause:
    """One family of `rivals` that are ranked."""
    kinds = {
        one.kind: place
        for place, one in enumerate(parts.columns)
        if one.name == name and one.kind != "kept"
    }
    share = _share(parts, list(kinds.values()))
    cost = None
    if "present" in kinds:
        cost = _coefficient(parts.costs, kinds["present"], 1.0, parts.num_photos)
    slope = None
    if "severity" in kinds:
        slope = _coefficient(parts.costs, kinds["severity"], SEVERITY_STEP, parts.num_photos)
    return Cause(
        name,
        drawn,
        share,
        share.scaled(len(parts.squares) / drawn.num_samples),
        cost,
        slope,
        share.value > 0 and is_clear(share, parts.num_photos, rivals),
        slope is not None and slope.value > 0 and is_clear(slope, parts.num_photos, rivals),
    )


def _share(parts: _Parts, places: list[int]) -> Estimate:
    """What some columns add to the squared error, as a share of all of it."""
    added = parts.table.bound[:, places]
    value = float((added @ parts.shares.beta[places]).sum() / parts.squares.sum())
    if parts.draws is None:
        return Estimate(value, None, None, None)
    own = np.zeros((parts.num_photos, len(places)))
    np.add.at(own, parts.table.places, added)
    totals = np.bincount(parts.table.places, weights=parts.squares)
    sums = (parts.draws @ own) * parts.shares.replicates[:, places]
    return estimate(value, sums.sum(axis=1) / (parts.draws @ totals), parts.num_photos)


def _looks(seen: Fit, columns: Sequence[Column], photos: int) -> list[Look]:
    found = []
    for place, column in enumerate(columns):
        slope = _coefficient(seen, place, 1.0, photos)
        clear = is_clear(slope, photos, len(columns))
        found.append(Look(column.name, UNITS[column.name][1], slope, clear))
    return sorted(found, key=lambda one: -abs(one.slope.value))


def _coefficient(found: Fit, place: int, scale: float, photos: int) -> Estimate:
    replicates = found.replicates[:, place] * scale
    return estimate(float(found.beta[place]) * scale, replicates, photos)
