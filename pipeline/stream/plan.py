"""Who delivers what: shards dealt to streams, and the slots of a stream dealt to sources."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline import seeds
from pipeline.errors import ParamsError, ShardError
from pipeline.shards import ShardRow

PERIOD = 1800  # slots of a stream in which every source gets its share: halves, thirds, percents
MAX_SOURCES = 100
Array = np.ndarray


class Unit(NamedTuple):
    """Every `parts`-th sample of a shard, from `part` on: what a stream owns."""

    row: ShardRow
    part: int
    parts: int

    def num_samples(self) -> int:
        """How many they are."""
        return len(range(self.part, self.row.num_samples, self.parts))


def deal(rows: Sequence[ShardRow], num_streams: int, where: Path | str) -> list[list[Unit]]:
    """The units of each stream; few shards are shared out by samples.

    Raises ShardError, naming `where`, when there are fewer samples than streams.
    """
    total = sum(row.num_samples for row in rows)
    if total < num_streams:
        raise ShardError(
            where,
            f"{total} samples for {num_streams} streams",
            "add photos or tiles, or lower num_streams",
        )
    units: list[Unit] = []
    parts = _parts(len(rows), num_streams)
    while len(units) < num_streams:  # shards smaller than `parts` fill fewer
        units = [Unit(row, part, parts) for part in range(parts) for row in rows]
        units = [unit for unit in units if unit.num_samples()]
        parts += 1
    return [units[number::num_streams] for number in range(num_streams)]


def firsts(units: Sequence[Unit]) -> list[int]:
    """How many samples of a stream come before each unit."""
    return list(itertools.accumulate((unit.num_samples() for unit in units[:-1]), initial=0))


def _parts(num_shards: int, num_streams: int) -> int:
    """Into how many parts a shard is cut. Streams deliver equally often, so they should own
    equally much; with many shards they nearly do, and each shard is then read once an epoch.
    """
    return 1 if num_shards >= 4 * num_streams else num_streams // math.gcd(num_streams, num_shards)


def slots_of(weights: Sequence[float]) -> tuple[int, ...]:
    """The weights as counts of PERIOD slots, none of them 0. Raises ParamsError for what is no
    weight."""
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        told = ", ".join(f"{weight:g}" for weight in weights)
        raise ParamsError("weights", f"{told} are not all more than 0", "mend or leave out those")
    if not 1 <= len(weights) <= MAX_SOURCES:
        raise ParamsError("sources", f"{len(weights)} of them", f"name 1 to {MAX_SOURCES}")
    exact = [PERIOD * weight / sum(weights) for weight in weights]
    counts = [max(1, math.floor(share)) for share in exact]
    missing = sorted(range(len(weights)), key=lambda one: counts[one] - exact[one])
    for one in missing[: max(0, PERIOD - sum(counts))]:
        counts[one] += 1
    counts[counts.index(max(counts))] += PERIOD - sum(counts)  # what the least ones took too much
    return tuple(counts)


@dataclass(frozen=True)
class Mixture:
    """Which source fills which slot of stream `lane`: in every PERIOD slots each its own count of
    times, in an order of their own."""

    counts: tuple[int, ...]
    seed: int
    lane: int

    def before(self, slot: int) -> list[int]:
        """How many of the slots before `slot` fall to each source."""
        period, rest = divmod(slot, PERIOD)
        begun = np.bincount(self._order(period)[:rest], minlength=len(self.counts))
        return [period * count + int(more) for count, more in zip(self.counts, begun, strict=True)]

    def choices(self, slot: int) -> Iterator[int]:
        """The sources of `slot` and all that follow."""
        period, rest = divmod(slot, PERIOD)
        while True:
            yield from self._order(period)[rest:].tolist()
            period, rest = period + 1, 0

    def _order(self, period: int) -> Array:
        rng = seeds.rng(self.seed, "mixture", self.lane, period)
        order: Array = rng.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
        return order
