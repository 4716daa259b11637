"""`patina synth RECIPE`: draw a recipe's damage on the photos and write the pairs as shards."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import command, make_app, progress, project_root, read_params, say

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe
    from pipeline.synthesis import SampleMaker, ShardSpec


@command
def synth(
    recipe: Annotated[str, typer.Argument(help="A recipe of params.yaml.")],
    workers: Annotated[int, typer.Option(help="Processes; the bytes do not depend on it.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the shards.")] = None,
    only: Annotated[str | None, typer.Option(help="Remake one sample, KEY.tar.")] = None,
) -> None:
    """Write the shards of a recipe: clean, corrupted, mask and story of every sample."""
    from pipeline.config import read_seed
    from pipeline.corruptions import Recipe
    from pipeline.files import sha256_file
    from pipeline.shards import MANIFEST, SPLITS
    from pipeline.synthesis import SampleMaker, synthesize
    from stages.workspace import finish, workspace

    root = project_root()
    params = read_params(root)
    loaded = Recipe.load(params, recipe, root / "data/textures")
    make = SampleMaker(recipe, read_seed(params), loaded.damage)
    specs = plan(root, params, loaded)
    target = out or root / "data/shards" / recipe
    if only is not None:
        _remake(specs, make, only, out or Path())
        return
    code = ["stages/synth.py", *(f"pipeline/corruptions/{step.family}.py" for step in loaded.steps)]
    bank = root / "data/textures/bank.json"
    inputs = [
        recipe,
        params["recipes"][recipe],
        params["synthesis"],
        read_seed(params),
        params["index"],
        sha256_file(root / "data/index.json"),
        sha256_file(bank) if bank.is_file() else None,
    ]
    with workspace(root, f"synth-{recipe}", code, inputs, [target]) as work:
        with progress(f"synth {recipe}") as show:
            manifest = synthesize(
                recipe, specs, make, work / "shards", workers or os.cpu_count() or 1, show
            )
        finish(root, work, {"shards": (target, MANIFEST)})
    sizes = ", ".join(f"{manifest.num_samples(split)} {split}" for split in SPLITS)
    megabytes = sum(row.num_bytes for row in manifest.shards) / 1e6
    say(f"{recipe}: {sizes} samples in {len(manifest.shards)} shards, {megabytes:.1f} MB")


def plan(root: Path, params: dict[str, Any], recipe: Recipe) -> list[ShardSpec]:
    """Every shard that the recipe asks for. Raises ParamsError for a split without photos."""
    from pipeline.config import lookup, read_seed, section
    from pipeline.errors import ParamsError
    from pipeline.shards import SPLITS
    from pipeline.splits import photos_of, read_index
    from pipeline.synthesis import SynthesisSection, plan_split

    photos = read_index(root / "data/index.json")
    block = section(params, "synthesis", SynthesisSection)
    specs = []
    for split in SPLITS:
        chosen = list(photos_of(photos, recipe.section.sources, split))
        if not chosen:
            sources = ", ".join(recipe.section.sources)
            raise ParamsError(
                f"recipes.{recipe.name}",
                f"no {split} photos come from the sources {sources}",
                "add photos, or name other sources (`patina index` shows what there is)",
            )
        specs += plan_split(
            split,
            chosen,
            getattr(recipe.section, split),
            block,
            read_seed(params),
            root / "data/raw",
            lookup(params, "index.max_megapixels"),
        )
    return specs


def _remake(specs: list[ShardSpec], make: SampleMaker, key: str, target: Path) -> None:
    from dataclasses import replace

    from pipeline.errors import ParamsError
    from pipeline.files import write_bytes
    from pipeline.synthesis import make_shard

    for spec in specs:
        for tile in spec.tiles:
            if tile.key == key:
                data, _ = make_shard(replace(spec, name=f"{key}.tar", tiles=(tile,)), make)
                write_bytes(target / f"{key}.tar", data)
                say(f"{target / key}.tar")
                return
    raise ParamsError(f"--only {key}", "the recipe makes no such sample", "see `patina show`")


app = make_app(synth, "synth")
if __name__ == "__main__":
    app()
