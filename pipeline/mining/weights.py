"""How much more or less often each family should be drawn, by the error that it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from pipeline.mining.ranking import Ranking
from pipeline.statistics import Floats

BOUNDS = (0.5, 2.0)  # of every factor
SAME = 0.05  # factors this near to 1 are 1
CLOSE = 40  # halvings that find the common factor
Block = dict[str, Any]


def factors(ranking: Ranking) -> dict[str, float]:
    """A factor for each family whose presence varies; empty where they do not differ beyond chance.

    What an occurrence costs is shrunk to the mean of all by how unsure it is (random effects:
    DerSimonian, Laird 1986). A family is drawn in proportion to the squared error of the samples
    that have it, within `BOUNDS`. Half of such samples and half of the usual ones come near to the
    root of that, to which gradients of squared errors are proportional, and so the best importance
    sampling (Katharopoulos, Fleuret 2018).
    """
    causes = [one for one in ranking.causes if not one.drawn.always and one.each.error]
    if len(causes) < 2 or not ranking.trusted:
        return {}
    costs = np.array([one.each.value for one in causes])
    noise = np.array([one.each.error for one in causes]) ** 2
    spread = _spread(costs, noise)
    if spread == 0:
        return {}
    mean = float(np.average(costs, weights=1 / (noise + spread)))
    shrunk = mean + spread / (spread + noise) * (costs - mean)
    raw = np.maximum(1 + shrunk, 0) / max(1 + mean, BOUNDS[0])  # 1: the mean error of all samples
    kept = np.where(np.abs(raw - 1) < SAME, 1.0, np.clip(raw, *BOUNDS))
    return {one.name: float(factor) for one, factor in zip(causes, kept, strict=True)}


def _spread(values: Floats, noise: Floats) -> float:
    """The variance of the true values behind noisy ones, by moments; 0 unless they differ beyond
    noise (Cochran's test). At 1 %, for it counts on more than there is: of 160 simulations of
    nothing, 8 to 100 photos, it found differences in 4, at 5 % in 14."""
    weights, freedom = 1 / noise, len(values) - 1
    mean = np.average(values, weights=weights)
    found = float((weights * (values - mean) ** 2).sum())
    if found <= _chi_square(0.99, freedom):
        return 0.0
    return (found - freedom) / float(weights.sum() - (weights**2).sum() / weights.sum())


def _chi_square(level: float, freedom: int) -> float:
    """Its quantile, by the cube root of Wilson and Hilferty (1931): within 2 %."""
    part = 2 / (9 * freedom)
    root = 1 - part + NormalDist().inv_cdf(level) * part**0.5
    return float(freedom * root**3)


def reweighted(steps: Sequence[Block], wanted: Mapping[str, float]) -> list[Block]:
    """Steps with the probabilities of damage to undo times each family's factor, all of them times
    one more that keeps the number of steps a sample, as far as probabilities and `BOUNDS` allow."""
    target = expected(steps, set(wanted))
    low, high = 0.25, 4.0
    for _ in range(CLOSE):
        common = (low * high) ** 0.5
        more = expected(_scaled(steps, wanted, common), set(wanted)) > target
        low, high = (low, common) if more else (common, high)
    return _scaled(steps, wanted, high)


def expected(steps: Sequence[Block], families: set[str]) -> float:
    """How many steps of these families a sample has in the mean, of those on the input alone."""
    return sum(_expected(step, families) for step in steps)


def walk(steps: Sequence[Block], above: tuple[int, ...] = ()) -> Iterator[tuple[str, Block]]:
    """Every step, also those inside groups, with its place as ``patina check`` spells it."""
    for number, step in enumerate(steps):
        path = (*above, number)
        if "steps" in step:
            yield from walk(step["steps"], path)
        else:
            yield "steps." + ".steps.".join(map(str, path)), step


def _expected(step: Block, families: set[str]) -> float:
    if "steps" not in step:
        return float(step["probability"]) if _counts(step, families) else 0.0
    inside = expected(step["steps"], families)
    share = 1 / len(step["steps"]) if step["order"] == "one" else 1.0
    turns: float = sum(step["repeat_range"]) / 2
    return float(step["probability"]) * turns * share * inside


def _counts(step: Block, families: Any) -> bool:
    return step["on"] == "input" and step["family"] in families


def _scaled(steps: Sequence[Block], wanted: Mapping[str, float], common: float) -> list[Block]:
    made = [_scale(step, wanted, common) for step in steps]
    return [{**step, "probability": _rounded(step["probability"])} for step in made]


def _scale(step: Block, wanted: Mapping[str, float], common: float) -> Block:
    """A step or group with the probability that it should have, which may be above 1.

    A group has room where its own probability is below 1: it takes over what its steps would have
    too much, and they keep their proportions.
    """
    if "steps" not in step:
        factor = 1.0
        if _counts(step, wanted):
            factor = float(np.clip(wanted[step["family"]] * common, *BOUNDS))
        return {**step, "probability": step["probability"] * factor}
    made = [_scale(one, wanted, common) for one in step["steps"]]
    most = max(float(one["probability"]) for one in made)
    room = 1 / step["probability"] if step["probability"] else 1.0
    taken = min(max(1.0, most), room)
    inside = [{**one, "probability": _rounded(one["probability"] / taken)} for one in made]
    return {**step, "probability": step["probability"] * taken, "steps": inside}


def _rounded(probability: float) -> float:
    return min(1.0, round(float(probability), 4))
