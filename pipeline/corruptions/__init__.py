"""Damage as data: a family draws JSON numbers and applies them; a recipe chains families into a
story.

Usable without torch, params files and the rest of the pipeline: ``CORRUPTIONS["grain"].at(0.5)``
is a family, ``draw`` and ``apply`` are pure.
"""

from pipeline.corruptions.base import CORRUPTIONS, Array, Corruption, Drawn, Place, Window, no_mask
from pipeline.corruptions.recipe import Damaged, Recipe
from pipeline.corruptions.steps import (
    STEP_KEYS,
    Group,
    RecipeSection,
    Step,
    Story,
    Tiles,
    make_steps,
)

__all__ = [
    "CORRUPTIONS",
    "STEP_KEYS",
    "Array",
    "Corruption",
    "Damaged",
    "Drawn",
    "Group",
    "Place",
    "Recipe",
    "RecipeSection",
    "Step",
    "Story",
    "Tiles",
    "Window",
    "make_steps",
    "no_mask",
]
