"""What a recipe promises of each of its steps, for its samples to be held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pipeline.corruptions import Recipe, Step


class PlannedStep(NamedTuple):
    """A step of a recipe. `path`: its number, below those of the groups around it; `probability`:
    that it occurs in a sample, once or more often."""

    path: tuple[int, ...]
    name: str
    family: str
    on: str
    probability: float
    is_local: bool
    covered_range: tuple[float, float] | None


def plan_steps(recipe: Recipe) -> list[PlannedStep]:
    """The steps in order, also those inside groups. A family that comes twice has its path in its
    names."""
    counts = Counter(step.family for step in recipe.flat_steps())
    planned = []
    for path, step, probability in _occurrences(recipe.steps):
        name = "_".join([step.family, *(map(str, path) if counts[step.family] > 1 else ())])
        reached = 1.0 - recipe.section.undamaged_share if step.on == "input" else 1.0
        covered = getattr(step.corruption, "covered_range", None)
        planned.append(
            PlannedStep(
                path, name, step.family, step.on, probability * reached,
                step.corruption.extent == "local", covered,
            )
        )  # fmt: skip
    return planned


def planned_path(told: Sequence[int]) -> tuple[int, ...]:
    """The path of a story's step without the turns of the groups that it passes."""
    return tuple(told[::2])


def _occurrences(
    nodes: Sequence[Any], share: float = 1.0
) -> Iterator[tuple[tuple[int, ...], Step, float]]:
    """(path, step, probability to occur at least once); `share`: that a node's turn comes."""
    for number, node in enumerate(nodes):
        if isinstance(node, Step):
            yield (number,), node, share * node.probability
            continue
        turns = range(node.repeat_range[0], node.repeat_range[1] + 1)
        inner = 1 / len(node.steps) if node.order == "one" else 1.0
        for path, step, once in _occurrences(node.steps, inner):
            some = sum(1 - (1 - once) ** count for count in turns) / len(turns)
            yield (number, *path), step, share * node.probability * some
