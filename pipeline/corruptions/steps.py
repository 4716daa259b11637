"""The steps of a recipe as params.yaml has them, alone or in groups, and the drawing of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator, model_validator

from pipeline.complaints import broken
from pipeline.config import Pixels, Positive, Section, Share, ordered, validate
from pipeline.corruptions.base import CORRUPTIONS, Corruption, count_in
from pipeline.errors import ParamsError

Story = dict[str, Any]
RngOf = Callable[..., np.random.Generator]
Repeats = Annotated[int, Field(ge=1, le=50)]
STEP_KEYS = ("family", "on", "probability")


class Tiles(Section):
    """How tiles are cut for one split: side (px), tiles a photo, and damaged variants of each
    tile."""

    side: Pixels
    per_photo: Positive
    variants: Positive


class RecipeSection(Section):
    """A recipe's block in params.yaml. `photo_side_range`: the short side (px) of the photo that a
    tile is taken to belong to, of which damage has its sizes; a tile larger than that is the whole
    photo. `undamaged_share` of the samples get no step that is `on: input`; `profile`: what its
    shards hold (see `pipeline.shards`).
    """

    sources: tuple[str, ...]
    photo_side_range: tuple[Pixels, Pixels]
    undamaged_share: Share
    profile: Literal["png", "jpeg", "story"]
    train: Tiles
    val: Tiles
    test: Tiles
    steps: tuple[dict[str, Any], ...]

    _ordered = field_validator("photo_side_range")(ordered)

    @model_validator(mode="after")
    def _windows(self) -> RecipeSection:
        side = min(cut.side for cut in (self.train, self.val, self.test))
        if self.photo_side_range[1] < side:
            rule = f"must reach the side of the smallest tile, {side} px, or beyond"
            raise broken("photo_side_range", rule)
        return self


class StepSection(Section):
    """The keys that every step has, whatever its family."""

    family: str
    on: Literal["input", "both"]
    probability: Share


class GroupSection(Section):
    """Steps taken together: all in their order, all shuffled, or one of them; the whole group
    `repeat_range` times."""

    order: Literal["fixed", "shuffled", "one"]
    probability: Share
    repeat_range: tuple[Repeats, Repeats]
    steps: tuple[dict[str, Any], ...] = Field(min_length=1)

    _ordered = field_validator("repeat_range")(ordered)


class Step(NamedTuple):
    """One family in a recipe: drawn on the input alone or on both pictures, with a probability."""

    family: str
    on: str
    probability: float
    corruption: Corruption


class Group(NamedTuple):
    """A GroupSection with its steps, which may be groups again."""

    order: str
    probability: float
    repeat_range: tuple[int, int]
    steps: tuple[Any, ...]  # Step or Group: mypy knows no recursive NamedTuple


Node = Step | Group


def make_steps(
    blocks: Sequence[dict[str, Any]], where: str, textures: Path | None
) -> tuple[Node, ...]:
    """Steps and groups from their blocks in params.yaml."""
    return tuple(
        _make_group(block, f"{where}.{number}", textures)
        if "steps" in block
        else _make_step(block, f"{where}.{number}", textures)
        for number, block in enumerate(blocks)
    )


def _make_group(block: dict[str, Any], place: str, textures: Path | None) -> Group:
    made = validate(block, place, GroupSection)
    steps = make_steps(made.steps, f"{place}.steps", textures)
    return Group(made.order, made.probability, made.repeat_range, steps)


def _make_step(block: dict[str, Any], place: str, textures: Path | None) -> Step:
    common = validate({k: v for k, v in block.items() if k in STEP_KEYS}, place, StepSection)
    fields = {k: v for k, v in block.items() if k not in STEP_KEYS}
    try:
        kind = CORRUPTIONS[common.family]
    except ParamsError as error:
        where = f"params: {place}.family: {error.where}"
        raise ParamsError(where, error.what, error.next_step) from None
    corruption = validate(fields, place, kind).bind(textures)
    return Step(common.family, common.on, common.probability, corruption)


def draw_steps(
    nodes: Sequence[Node],
    above: tuple[int, ...],
    shape: tuple[int, ...],
    rng_of: RngOf,
    skipped: set[str],
    order: Sequence[int] | None = None,
) -> Iterator[Story]:
    """What each step does, in order. A step's path: its number, and for a step in a group the
    group's number, the repetition and the step's number therein."""
    for number in range(len(nodes)) if order is None else order:
        node, path = nodes[number], (*above, number)
        if isinstance(node, Step) and node.on in skipped:
            continue
        rng = rng_of(*path)
        if rng.random() >= node.probability:
            continue
        if isinstance(node, Step):
            drawn = node.corruption.draw(shape, rng)
            yield {
                "step": list(path),
                "family": node.family,
                "version": node.corruption.version,
                "on": node.on,
                "drawn": drawn,
                "severity": round(node.corruption.severity(drawn), 4),
            }
            continue
        for turn in range(count_in(node.repeat_range, rng)):
            chosen = _order(node, rng)
            yield from draw_steps(node.steps, (*path, turn), shape, rng_of, skipped, chosen)


def _order(group: Group, rng: np.random.Generator) -> list[int]:
    if group.order == "fixed":
        return list(range(len(group.steps)))
    shuffled = [int(number) for number in rng.permutation(len(group.steps))]
    return shuffled[:1] if group.order == "one" else shuffled


def step_at(nodes: Sequence[Node], path: Sequence[int]) -> Step | None:
    """The step at a path, or None."""
    number, rest = path[0], path[1:]
    if not 0 <= number < len(nodes):
        return None
    node = nodes[number]
    if isinstance(node, Step):
        return None if rest else node
    return step_at(node.steps, rest[1:]) if len(rest) > 1 else None


def flatten(nodes: Sequence[Node]) -> Iterator[Step]:
    """Every step, also those inside groups, in order."""
    for node in nodes:
        if isinstance(node, Step):
            yield node
        else:
            yield from flatten(node.steps)
