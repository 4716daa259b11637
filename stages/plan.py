"""Which shards a recipe asks for, or why it cannot have them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.recipes import NAME_PAIRS, NO_DAMAGE

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe
    from pipeline.tiling import ShardSpec


def plan(root: Path, params: dict[str, Any], recipe: Recipe) -> list[ShardSpec]:
    """Every shard that the recipe asks for. Raises ParamsError for a split without photos."""
    from pipeline.config import read_max_megapixels, read_seed, section
    from pipeline.given import GIVEN, check_given
    from pipeline.shards import SPLITS
    from pipeline.splits import photos_of, read_index
    from pipeline.tiling import SynthesisSection, plan_split

    for source in recipe.section.sources:
        check_known(params, f"recipes.{recipe.name}.sources", source, "sources")
    photos = read_index(root / "data/index.json")
    block = section(params, "synthesis", SynthesisSection)
    seed, limit = read_seed(params), read_max_megapixels(params)
    specs = []
    for split in SPLITS:
        found = chosen = list(photos_of(photos, recipe.section.sources, split))
        if recipe.name == GIVEN:
            chosen = check_given(recipe.steps, recipe.section.profile, found)
        if not chosen:
            raise _no_photos(recipe, split, len(found))
        cut = getattr(recipe.section, split)
        specs += plan_split(split, chosen, cut, block, seed, root / "data/raw", limit)
    return specs


def _no_photos(recipe: Recipe, split: str, num_unfit: int) -> Exception:
    """The error of a split without photos; `num_unfit` others come without damage of their own."""
    from pipeline.errors import ParamsError

    where, sources = f"recipes.{recipe.name}", ", ".join(recipe.section.sources)
    if num_unfit:
        what = f"{sources} {NO_DAMAGE}: {num_unfit} {split} photos are clean alone"
        return ParamsError(where, what, NAME_PAIRS)
    what = f"no {split} photos come from the sources {sources}"
    step = "add photos, or name other sources (`patina index` shows what there is)"
    return ParamsError(where, what, step)


def check_known(params: dict[str, Any], where: str, name: str, home: str) -> None:
    """`name`, which stands at `where`, must be an entry of the section `home`."""
    from pipeline.complaints import did_you_mean
    from pipeline.errors import ParamsError

    names = list(params.get(home) or [])
    if name not in names:
        hint = f"use one of {', '.join(names)}{did_you_mean(name, names)}"
        raise ParamsError(f"params: {where}", f"{name!r} is not among {home}", hint)
