"""Damage as data: a family draws JSON numbers, applies them, and a recipe chains families into a
story."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import field_validator

from pipeline.config import (
    Pixels,
    Positive,
    Registry,
    Section,
    Share,
    lookup,
    ordered,
    section,
    validate,
)
from pipeline.errors import ParamsError, ReplayError

Array = np.ndarray
Drawn = dict[str, Any]
Story = dict[str, Any]
STEP_KEYS = ("family", "on", "probability")


class Window(NamedTuple):
    """The tile that damage is drawn for: its size, and the short side of the photo it belongs to
    (px)."""

    height: int
    width: int
    photo_side: int

    @classmethod
    def of(cls, shape: Sequence[int]) -> Window:
        """From ``(height, width)``, then the tile is the photo, or ``(height, width,
        photo_side)``."""
        height, width = int(shape[0]), int(shape[1])
        return cls(height, width, int(shape[2]) if len(shape) > 2 else min(height, width))


class Corruption(Section):
    """A damage family. Its fields are the ranges in params.yaml; subclasses live one in a file.

    `extent`: "local" damage is told by its mask, "global" damage (grain, blur) has an empty mask.
    `version` goes into every story; raise it whenever the same drawn numbers give other pixels.
    """

    extent: ClassVar[Literal["local", "global"]]
    version: ClassVar[int] = 1

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Random JSON numbers for a tile of `shape`: ``(height, width)`` or with ``photo_side``
        third."""
        raise NotImplementedError

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Damage a uint8 H×W×3 or H×W×1 tile: (new tile, uint8 H×W mask, 255 = damaged). Pure."""
        raise NotImplementedError

    def severity(self, drawn: Drawn) -> float:
        """How bad, from 0 (untouched) to 1 (the worst that the family knows)."""
        raise NotImplementedError

    def bind(self, textures: Path | None) -> Corruption:
        """The family with what it needs from disk at hand; most need nothing."""
        return self


CORRUPTIONS: Registry[type[Corruption]] = Registry("corruption", "pipeline.corruptions")


class Tiles(Section):
    """How tiles are cut for one split: side (px), tiles a photo, and damaged variants of each
    tile."""

    side: Pixels
    per_photo: Positive
    variants: Positive


class RecipeSection(Section):
    """A recipe's block in params.yaml."""

    sources: tuple[str, ...]
    photo_side_range: tuple[Pixels, Pixels]
    train: Tiles
    val: Tiles
    test: Tiles
    steps: tuple[dict[str, Any], ...]

    _ordered = field_validator("photo_side_range")(ordered)


class Step(NamedTuple):
    """One family in a recipe: drawn on the input alone or on both pictures, with a probability."""

    family: str
    on: str
    probability: float
    corruption: Corruption


class StepSection(Section):
    """The keys that every step has, whatever its family."""

    family: str
    on: Literal["input", "both"]
    probability: Share


@dataclass(frozen=True)
class Damaged:
    """What a recipe made of a tile: uint8 pictures, uint8 H×W mask, and the story to replay it
    from."""

    clean: Array
    corrupted: Array
    mask: Array
    story: Story


@dataclass(frozen=True)
class Recipe:
    """Ordered steps of damage; picklable, so that worker processes can hold one."""

    name: str
    section: RecipeSection
    steps: tuple[Step, ...]

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
            block = section(params, f"recipes.{name}", RecipeSection)
            steps = [step for step in block.steps if step.get("family") == family]
            if steps:
                recipe = cls.load(params, name, textures)
                chosen = make_steps(
                    ({**steps[0], "probability": 1.0},), f"recipes.{name}", textures
                )
                return cls(family, recipe.section, chosen)
        CORRUPTIONS[family]  # an unknown name is told as such
        raise ParamsError(f"family {family!r}", "no recipe gives its ranges", "add it to a recipe")

    def for_clean_tiles(self) -> Recipe:
        """The recipe for tiles that went through its `on: both` steps already, as shards hold
        them."""
        return replace(self, steps=tuple(step for step in self.steps if step.on != "both"))

    def damage(
        self, tile: Array, rng_of: Callable[..., np.random.Generator], photo_side: int | None = None
    ) -> Damaged:
        """Draw and apply every step. ``rng_of(*purpose)`` gives each step a generator of its own.

        Without `photo_side` (px) the nominal short side is drawn from the recipe's range.
        """
        if photo_side is None:
            low, high = self.section.photo_side_range
            photo_side = int(rng_of("photo").integers(low, high + 1))
        shape = (*tile.shape[:2], photo_side)
        told = []
        for number, step in enumerate(self.steps):
            rng = rng_of(number)
            if rng.random() >= step.probability:
                continue
            drawn = step.corruption.draw(shape, rng)
            told.append(
                {
                    "step": number,
                    "family": step.family,
                    "version": step.corruption.version,
                    "on": step.on,
                    "drawn": drawn,
                    "severity": round(step.corruption.severity(drawn), 4),
                }
            )
        return self.replay(tile, {"recipe": self.name, "photo_side": photo_side, "steps": told})

    def replay(self, tile: Array, story: Story) -> Damaged:
        """The same bytes again from a story. Raises ReplayError when the code's version differs."""
        clean = corrupted = tile
        mask = np.zeros(tile.shape[:2], np.uint8)
        for told in story["steps"]:
            step = self._step_of(told)
            corrupted, touched = step.corruption.apply(corrupted, told["drawn"])
            if step.on == "both":
                clean, _ = step.corruption.apply(clean, told["drawn"])
            elif step.corruption.extent == "local":
                mask = mask | touched
        return Damaged(clean, corrupted, mask, story)

    def _step_of(self, told: Story) -> Step:
        number, family = told["step"], told["family"]
        if number >= len(self.steps) or self.steps[number].family != family:
            raise ReplayError(
                f"recipe {self.name}",
                f"step {number} of the story is {family!r}, not a step of it",
                "replay it with the params that made it",
            )
        version = self.steps[number].corruption.version
        if told["version"] != version:
            raise ReplayError(
                f"recipe {self.name}: {family}",
                f"the story is of version {told['version']}, the code of {version}",
                "run synth again",
            )
        return self.steps[number]


def make_steps(
    blocks: Sequence[dict[str, Any]], where: str, textures: Path | None
) -> tuple[Step, ...]:
    """Steps from their blocks in params.yaml."""
    steps = []
    for number, block in enumerate(blocks):
        place = f"{where}.{number}"
        common = validate({k: v for k, v in block.items() if k in STEP_KEYS}, place, StepSection)
        fields = {k: v for k, v in block.items() if k not in STEP_KEYS}
        try:
            kind = CORRUPTIONS[common.family]
        except ParamsError as error:
            where = f"params: {place}.family: {error.where}"
            raise ParamsError(where, error.what, error.next_step) from None
        corruption = validate(fields, place, kind).bind(textures)
        steps.append(Step(common.family, common.on, common.probability, corruption))
    return tuple(steps)


def no_mask(tile: Array) -> Array:
    """The empty mask of a global family."""
    return np.zeros(tile.shape[:2], np.uint8)
