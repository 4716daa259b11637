"""What in the numbers looks wrong, a line each."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

from pipeline.inspection import FLAT, unmasked
from pipeline.inspection.columns import SplitData
from pipeline.inspection.plan import PlannedStep

FEW_PHOTOS = 3
NOTABLE = 0.01  # a smaller share of a split's samples is no reason to stop
SURPRISE = 0.001  # chance of a false alarm about one step in one split, at most
ROUNDING = 1e-5  # stories round the covered share


def find_doubts(splits: Sequence[SplitData], steps: Sequence[PlannedStep]) -> list[str]:
    """Everything that looks wrong, the gravest first; empty when nothing does."""
    return [*_mix_ups(splits), *_frequencies(splits, steps), *_masks(splits), *_contents(splits)]


def is_surprising(count: int, total: int, probability: float) -> bool:
    """Is `count` out of `total` too far from `probability` for chance?

    By Chernoff's bound on the binomial law, ``P ≤ 2 exp(-total · KL(share ‖ probability))``: false
    alarms are never more frequent than `SURPRISE`.
    """
    share = count / max(1, total)
    if probability in (0.0, 1.0):
        return total > 0 and share != probability
    terms = ((share, probability), (1 - share, 1 - probability))
    divergence = sum(seen * math.log(seen / expected) for seen, expected in terms if seen > 0)
    return total * divergence > math.log(2 / SURPRISE)


def plausible(total: int, probability: float) -> tuple[int, int]:
    """The least and the largest count that is not surprising."""
    expected = math.floor(total * probability)
    low = bisect.bisect_left(
        range(expected + 1), True, key=lambda count: not is_surprising(count, total, probability)
    )
    above = bisect.bisect_left(
        range(expected + 1, total + 1), True,
        key=lambda count: is_surprising(count, total, probability),
    )  # fmt: skip
    return min(low, expected), expected + above


def _mix_ups(splits: Sequence[SplitData]) -> Iterator[str]:
    """Stories of another recipe, and what splits share."""
    for data in splits:
        if data.num_strangers:
            told = _of(data.num_strangers, data)
            yield f"{told} tell of steps that the recipe does not have: run synth again"
    for one, other in combinations(splits, 2):
        photos = len(np.intersect1d(one.distinct("photo"), other.distinct("photo")))
        if photos:
            yield f"{one.split} and {other.split} share {_plural(photos, 'photo')}"
            continue
        rich = [data.distinct("picture", data["contrast_clean"] >= FLAT) for data in (one, other)]
        tiles = len(np.intersect1d(rich[0], rich[1]))
        if tiles:
            told = _plural(tiles, "clean tile")
            yield f"{one.split} and {other.split} share {told}, pixel for pixel"


def _frequencies(splits: Sequence[SplitData], steps: Sequence[PlannedStep]) -> Iterator[str]:
    for number, step in enumerate(steps):
        if not any(len(data.severities(number)) for data in splits):
            yield f"step {step.name} never occurs, at a probability of {step.probability:.3g}"
            continue
        for data in splits:
            count, total = len(data.severities(number)), data.num_samples
            if is_surprising(count, total, step.probability):
                low, high = plausible(total, step.probability)
                yield (
                    f"{data.split}: step {step.name} occurs in {count} of {total} samples; its "
                    f"probability of {step.probability:.3g} makes {low} to {high} plausible"
                )


def _masks(splits: Sequence[SplitData]) -> Iterator[str]:
    for data in splits:
        outside = int(data["outside"].sum())
        if outside:
            told = _of(outside, data)
            yield f"{told} are changed outside of their mask, though all their damage is local"
        empty = int(unmasked(data).sum())
        if empty > NOTABLE * data.num_samples:
            yield f"{_of(empty, data)} had local damage drawn, yet their mask is empty"
        yield from _covered_ranges(data)


def _covered_ranges(data: SplitData) -> Iterator[str]:
    """Masks that cover less than a step's `covered_range`, or more where nothing else marks
    them."""
    covered, alone = data["covered"], data["num_local"] == 1
    for number, step in enumerate(data.steps):
        if step.covered_range is None or not (step.is_local and step.on == "input"):
            continue
        low, high = step.covered_range
        wrong = (covered < low - ROUNDING) | ((covered > high + ROUNDING) & alone)
        found = covered[wrong & data.occurs(number)]
        if len(found) > NOTABLE * data.num_samples:
            yield (
                f"{_of(len(found), data)} have a mask outside of the {low:.1%} to {high:.1%} that "
                f"covered_range of {step.name} asks for: {found.min():.1%} to {found.max():.1%}"
            )


def _contents(splits: Sequence[SplitData]) -> Iterator[str]:
    for data in splits:
        photos = len(data.distinct("photo"))
        if photos < FEW_PHOTOS:
            told = _plural(photos, "photo")
            yield f"{data.split}: only {told}, its numbers say little about any other"
        flat = int((data["contrast_clean"] < FLAT).sum())
        if flat > NOTABLE * data.num_samples:
            told = _of(flat, data)
            yield f"{told} have a nearly constant clean tile (contrast under {FLAT:g} levels)"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _of(count: int, data: SplitData) -> str:
    """``val: 3 of 12 samples (25.0%)``."""
    share = count / max(1, data.num_samples)
    return f"{data.split}: {count} of {data.num_samples} samples ({share:.1%})"
