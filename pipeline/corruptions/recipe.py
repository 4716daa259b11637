"""A recipe: families chained into a story that anyone can replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import lookup, section
from pipeline.corruptions.base import CORRUPTIONS, Array, check_tile, count_in
from pipeline.corruptions.steps import (
    Node,
    RecipeSection,
    RngOf,
    Step,
    Story,
    draw_steps,
    flatten,
    make_steps,
    step_at,
)
from pipeline.errors import ParamsError, ReplayError


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
        return flatten(self.steps)

    def for_clean_tiles(self) -> Recipe:
        """The recipe for tiles that went through its `on: both` steps already, as shards hold
        them."""
        return replace(self, skipped="both")

    def damage(self, tile: Array, rng_of: RngOf, photo_side: int | None = None) -> Damaged:
        """Draw and apply every step. ``rng_of(*purpose)`` gives each step a generator of its own.

        Without `photo_side` (px) the nominal short side is drawn from the recipe's range.
        """
        check_tile(tile)
        if photo_side is None:
            photo_side = count_in(self.section.photo_side_range, rng_of("photo"))
        whole = rng_of("undamaged").random() < self.section.undamaged_share
        skipped = {self.skipped, "input" if whole else ""}
        shape = (*tile.shape[:2], photo_side)
        told = list(draw_steps(self.steps, (), shape, rng_of, skipped))
        return self.replay(tile, {"recipe": self.name, "photo_side": photo_side, "steps": told})

    def replay(self, tile: Array, story: Story) -> Damaged:
        """The same bytes again from a story.

        Raises ReplayError when the code's version differs, ImageError for what is no tile.
        """
        check_tile(tile)
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
        step = step_at(self.steps, path)
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
