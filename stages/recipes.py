"""What a recipe's samples depend on: its families' code, its params, the overlay bank."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.files import sha256_file
from stages.closure import import_closure

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe

FAMILIES = "pipeline/corruptions"
BANK = "data/textures"
NO_DAMAGE = "brings no photos with damage of their own"  # what the recipe `given` needs
NAME_PAIRS = "name a source that does: pairs or art"


def family_files(recipe: Recipe) -> list[str]:
    """The code of every family that a recipe uses, with the shared rooms that it is drawn with."""
    source = Path(__file__).resolve().parent.parent
    names = dict.fromkeys(step.family for step in recipe.flat_steps())
    files = import_closure(source, *(f"{FAMILIES}/{name}.py" for name in names))
    common = import_closure(source, f"{FAMILIES}/__init__.py")  # every recipe's stage has it
    return [file for file in files if file.startswith(FAMILIES) and file not in common]


def count_places(root: Path) -> int | None:
    """How many reads of a recipe the dvc.yaml of a project has places for; None without one."""
    file = root / "dvc.yaml"
    if not file.is_file():
        return None
    return len(set(re.findall(r"item\.reads\[\d+\]", file.read_text("utf-8"))))


def reads_of(recipe: Recipe, places: int) -> list[str]:
    """``synth.<recipe>.reads``: what dvc.yaml cannot know. A recipe of too many families for its
    places reads the whole folder of families."""
    files = family_files(recipe)
    textured = [BANK] if f"{FAMILIES}/texture.py" in files else []
    if len(files) + len(textured) > places:
        files = [FAMILIES]
    reads = [*files, *textured] or [f"{FAMILIES}/__init__.py"]  # nothing is drawn
    return reads + [reads[-1]] * (places - len(reads))


def inputs_of(root: Path, params: dict[str, Any], recipe: str) -> list[Any]:
    """What a sample depends on beside its photo and the code: params, and the overlay bank."""
    from pipeline.config import lookup

    bank = root / BANK / "bank.json"
    return [
        recipe,
        lookup(params, f"recipes.{recipe}"),
        lookup(params, "synthesis"),
        lookup(params, "seed"),
        lookup(params, "index"),
        sha256_file(bank) if bank.is_file() else None,
    ]
