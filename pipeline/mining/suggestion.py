"""A recipe that draws more of the damage that a system fails on, and the params that try it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pipeline.corruptions import Recipe
from pipeline.corruptions.base import Corruption
from pipeline.mining.ranking import Ranking
from pipeline.mining.weights import Block, factors, reweighted, walk
from pipeline.seeds import rng

SUFFIX = "_mined"
QUARTER = 0.25  # of a range that is left out at its mild end
DRAWS = 48  # that tell which range makes damage worse
TELLING = 0.01  # of severity: a range that changes it less is left alone
TILE = 256  # px, of these draws
APART = 1e-3  # probabilities that differ by less are the same


class Change(NamedTuple):
    """One value of the recipe: its place, its family, and what it was and should be."""

    place: str
    family: str
    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Suggestion:
    """`block`: the new recipe; `changes`: all that is other than in the old one."""

    name: str
    block: Block
    changes: tuple[Change, ...]


def suggest(ranking: Ranking, recipe: Recipe, block: Mapping[str, Any], seed: int) -> Suggestion:
    """The recipe with other probabilities, and without the mild end of what clearly costs more the
    worse it is. Without a ranking that can be trusted nothing changes. `block`: the recipe in
    params.yaml, of which held-out splits shrink to a tile a photo, for nothing is measured there.
    """
    made = copy.deepcopy(dict(block))
    wanted = factors(ranking)
    if wanted:
        made["steps"] = reweighted(made["steps"], wanted)
    harder = {
        one.name
        for one in ranking.causes
        if ranking.trusted and one.steep and wanted.get(one.name, 1.0) >= 1.0
    }
    kinds = [step.corruption for step in recipe.flat_steps()]
    side = int(np.mean(recipe.section.photo_side_range))
    for number, (_, step) in enumerate(walk(made["steps"])):
        if step["on"] == "input" and step["family"] in harder:
            step |= _narrowed(kinds[number], side, seed)
    for split in ("val", "test"):
        made[split] = {**made[split], "per_photo": 1, "variants": 1}
    return Suggestion(f"{recipe.name}{SUFFIX}", made, tuple(_changes(block, made)))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """What differs, groups included."""
    yield from _group_changes(before["steps"], after["steps"], "steps")


def _group_changes(before: list[Block], after: list[Block], above: str) -> Iterator[Change]:
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        place, name = f"{above}.{number}", str(old.get("family", f"group ({old.get('order')})"))
        for key in old:
            if key == "steps":
                yield from _group_changes(old[key], new[key], f"{place}.steps")
            elif key == "probability" and abs(old[key] - new[key]) < APART:
                new[key] = old[key]
            elif old[key] != new[key]:
                yield Change(place, name, key, old[key], new[key])


def _narrowed(corruption: Corruption, side: int, seed: int) -> dict[str, list[float]]:
    """The range that says most about severity, without its mild quarter; empty if none does.

    Which range and which end is found by drawing: every candidate gets the same random numbers.
    """
    fields = type(corruption).model_fields
    ranges = {
        name: value
        for name in fields
        if name.endswith("_range") and (value := getattr(corruption, name))[0] < value[1]
    }
    plain = _severity(corruption, side, seed)
    most, best = TELLING, dict[str, list[float]]()
    for name, (low, high) in ranges.items():
        for narrow in ((low + QUARTER * (high - low), high), (low, high - QUARTER * (high - low))):
            kept = tuple(_as(low, value) for value in narrow)
            gain = _severity(corruption.model_copy(update={name: kept}), side, seed) - plain
            if gain > most:
                most, best = gain, {name: list(kept)}
    return best


def _severity(corruption: Corruption, side: int, seed: int) -> float:
    """The mean severity of what it draws."""
    shape = (min(TILE, side), min(TILE, side), side)
    drawn = (corruption.draw(shape, rng(seed, "mining", "severity", n)) for n in range(DRAWS))
    return float(np.mean([corruption.severity(one) for one in drawn]))


def _as(sample: float, value: float) -> float:
    """A number as params have it: whole where the range counts, else with four digits."""
    return round(value) if isinstance(sample, int) else float(f"{value:.4g}")


def patch(
    found: Suggestion, system: str, reads: list[str], mix: list[dict[str, Any]], weight: float
) -> dict[str, Any] | None:
    """What is put into params.yaml to try it: the recipe, its shards, and a place in the training's
    `mix` that is free or holds this recipe already; None if there is none. What is validated and
    tested on stays."""
    places = [n for n, one in enumerate(mix) if one["recipe"] == found.name or not one["weight"]]
    if not places:
        return None
    place = min(places, key=lambda n: (mix[n]["recipe"] != found.name, n))
    learned = [dict(one) for one in mix]
    learned[place] = {"recipe": found.name, "weight": weight}
    return {
        "recipes": {found.name: found.block},
        "synth": {found.name: {"reads": list(reads)}},
        "train": {system: {"mix": learned}},
    }
