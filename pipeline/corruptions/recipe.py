"""A recipe: steps and groups of steps, drawn into a story that replays to the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, field_validator

from pipeline.config import Pixels, Positive, Section, Share, lookup, ordered, section, validate
from pipeline.corruptions.base import CORRUPTIONS, Array, Corruption
from pipeline.errors import ParamsError, ReplayError

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
    """A recipe's block in params.yaml. `undamaged_share` of the samples get no step that is
    `on: input`; `profile`: what its shards hold (see `pipeline.shards`).
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


@dataclass(frozen=True)
class Damaged:
    """What a recipe made of a tile: uint8 pictures, uint8 H×W masks, and the story to replay it
    from.

    `keep` marks local damage that is in the target too, and so must survive restoration; None for
    recipes without any such step. A pixel may be in both masks: a defect under a scratch. `tile` is
    what all was drawn on.
    """

    clean: Array
    corrupted: Array
    mask: Array
    story: Story
    tile: Array
    keep: Array | None = None


@dataclass(frozen=True)
class Recipe:
    """Steps of damage; picklable, so that worker processes can hold one. Steps on `skipped` are
    not drawn."""

    name: str
    section: RecipeSection
    steps: tuple[Node, ...]
    skipped: str = ""

    @classmethod
    def load(cls, params: dict[str, Any], name: str, textures: Path | None) -> Recipe:
        """The recipe `name` of params.yaml; `textures` is the overlay bank's folder."""
        where = f"recipes.{name}"
        block = section(params, where, RecipeSection)
        return cls(name, block, make_steps(block.steps, f"{where}.steps", textures))

    @classmethod
    def single(cls, params: dict[str, Any], family: str, textures: Path | None) -> Recipe:
        """One family alone, with the ranges of the first recipe in params.yaml that uses it."""
        for name in dict(lookup(params, "recipes")):
            recipe = cls.load(params, name, textures)
            for step in recipe.flat_steps():
                if step.family == family:
                    block = recipe.section.model_copy(update={"undamaged_share": 0.0})
                    return cls(family, block, (step._replace(probability=1.0),))
        CORRUPTIONS[family]  # an unknown name is told as such
        raise ParamsError(f"family {family!r}", "no recipe gives its ranges", "add it to a recipe")

    def flat_steps(self) -> Iterator[Step]:
        """Every step, also those inside groups, in order."""
        return _flatten(self.steps)

    def for_clean_tiles(self) -> Recipe:
        """The recipe for tiles that went through its `on: both` steps already, as shards hold
        them."""
        return replace(self, skipped="both")

    def damage(self, tile: Array, rng_of: RngOf, photo_side: int | None = None) -> Damaged:
        """Draw and apply every step. ``rng_of(*purpose)`` gives each step a generator of its own.

        Without `photo_side` (px) the nominal short side is drawn from the recipe's range.
        """
        if photo_side is None:
            low, high = self.section.photo_side_range
            photo_side = int(rng_of("photo").integers(low, high + 1))
        whole = rng_of("undamaged").random() < self.section.undamaged_share
        skipped = {self.skipped, "input" if whole else ""}
        shape = (*tile.shape[:2], photo_side)
        told = list(_draw(self.steps, (), shape, rng_of, skipped))
        return self.replay(tile, {"recipe": self.name, "photo_side": photo_side, "steps": told})

    def replay(self, tile: Array, story: Story) -> Damaged:
        """The same bytes again from a story. Raises ReplayError when the code's version differs."""
        clean = corrupted = tile
        mask = np.zeros(tile.shape[:2], np.uint8)
        both = (step for step in self.flat_steps() if step.on == "both" != self.skipped)
        keeps = any(step.corruption.extent == "local" for step in both)
        keep = np.zeros_like(mask) if keeps else None
        for told in story["steps"]:
            step = self._step_of(told)
            same = clean is corrupted
            corrupted, touched = step.corruption.apply(corrupted, told["drawn"])
            if step.on == "both":
                clean, aside = (
                    (corrupted, touched) if same else step.corruption.apply(clean, told["drawn"])
                )
                touched = touched | aside
            if step.corruption.extent == "local":
                if step.on == "both" and keep is not None:
                    keep = keep | touched
                else:
                    mask = mask | touched
        return Damaged(clean, corrupted, mask, story, tile, keep)

    def _step_of(self, told: Story) -> Step:
        path, family = told["step"], told["family"]
        step = _walk(self.steps, path)
        if step is None or (step.family, step.on) != (family, told["on"]):
            raise ReplayError(
                f"recipe {self.name}",
                f"step {path} of the story is {family!r} on {told['on']}, not a step of it",
                "replay it with the params that made it",
            )
        version = step.corruption.version
        if told["version"] != version:
            raise ReplayError(
                f"recipe {self.name}: {family}",
                f"the story is of version {told['version']}, the code of {version}",
                "run synth again",
            )
        return step


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


def _draw(
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
        for turn in range(int(rng.integers(node.repeat_range[0], node.repeat_range[1] + 1))):
            chosen = _order(node, rng)
            yield from _draw(node.steps, (*path, turn), shape, rng_of, skipped, chosen)


def _order(group: Group, rng: np.random.Generator) -> list[int]:
    if group.order == "fixed":
        return list(range(len(group.steps)))
    shuffled = [int(number) for number in rng.permutation(len(group.steps))]
    return shuffled[:1] if group.order == "one" else shuffled


def _walk(nodes: Sequence[Node], path: Sequence[int]) -> Step | None:
    """The step at a path, or None."""
    number, rest = path[0], path[1:]
    if not 0 <= number < len(nodes):
        return None
    node = nodes[number]
    if isinstance(node, Step):
        return None if rest else node
    return _walk(node.steps, rest[1:]) if len(rest) > 1 else None


def _flatten(nodes: Sequence[Node]) -> Iterator[Step]:
    for node in nodes:
        if isinstance(node, Step):
            yield node
        else:
            yield from _flatten(node.steps)
