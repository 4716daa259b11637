"""`patina show KEY`: a sample's story, and its pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import command, make_app, project_root, read_params, say
from stages.usage import check_suffix

if TYPE_CHECKING:
    from pipeline.samples import Array, Redraw, Redrawn, Sample

LISTED = 5


@command
def show(
    key: Annotated[str | None, typer.Argument(help="A sample's key, or its beginning.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Look in this recipe's shards only.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The picture.")] = None,
) -> None:
    """Print what was drawn on a sample and draw clean, corrupted and mask; without KEY, list some
    keys."""
    from pipeline import images
    from pipeline.files import write_bytes

    if output is not None:
        check_suffix(output, ".png")
    root = project_root()
    folders = _folders(root, recipe)
    if key is None:
        for folder in folders:
            _list_keys(folder)
        return
    sample, split, folder = _find(folders, key)
    others = [one.name for one in folders if one != folder and _has(one, sample.key)]
    also = f"; also in {', '.join(others)}: --recipe chooses" if others else ""
    say(f"{sample.key} ({folder.name}, {split}{also})")
    say(_sum_up(sample))
    say(json.dumps(sample.story, indent=1, sort_keys=True))
    goal = output or Path(f"{sample.key[:12]}{sample.key[64:]}.png")
    write_bytes(
        goal, images.encode_png(images.sheet([[sample.clean, sample.corrupted, sample.shown_mask]]))
    )
    say(f"clean, corrupted and mask{' (gray: missing)' if sample.mask_missing else ''}: {goal}")


def _folders(root: Path, recipe: str | None) -> list[Path]:
    from pipeline.errors import ShardError
    from pipeline.shards import MANIFEST

    home = root / "data/shards"
    found = [manifest.parent for manifest in sorted(home.glob(f"{recipe or '*'}/{MANIFEST}"))]
    if not found:
        step = f"run `patina synth {recipe}`" if recipe else "run `dvc repro`"
        raise ShardError(home, f"holds no shards{f' of {recipe}' if recipe else ''}", step)
    return found


def _list_keys(folder: Path) -> None:
    from pipeline.shards import SPLITS, read_manifest, read_shard

    manifest = read_manifest(folder)
    for split in SPLITS:
        rows = manifest.of_split(split)
        say(f"{folder.name}, {split}: {manifest.num_samples(split)} samples, such as")
        for member in read_shard(folder, rows[0])[:LISTED] if rows else ():
            say(f"  {member['__key__']}  {json.loads(member['json'])['photo']['name']}")


def _find(folders: list[Path], key: str) -> tuple[Sample, str, Path]:
    """The sample in the first folder that has it. The same key may stand in several recipes'
    shards."""
    from pipeline.errors import ShardError
    from pipeline.shards import find_sample

    problem: ShardError | None = None
    for folder in folders:
        try:
            return *find_sample(folder, key, _redraw(folder)), folder
        except ShardError as error:
            problem = error
    assert problem is not None
    raise problem


def _redraw(folder: Path) -> Redraw:
    """Draws a story of these shards again; the recipe is looked for only when that is needed."""

    def redraw(tile: Array, story: dict[str, Any]) -> Redrawn:
        from pipeline.corruptions import Recipe

        root = folder.parent.parent.parent
        return Recipe.load(read_params(root), folder.name, root / "data/textures").replay(
            tile, story
        )

    return redraw


def _has(folder: Path, key: str) -> bool:
    from pipeline.errors import ShardError
    from pipeline.shards import find_sample

    try:
        return bool(find_sample(folder, key, _redraw(folder)))
    except ShardError:
        return False


def _sum_up(sample: Sample) -> str:
    """``chelsea.png: grain 0.42, texture 0.77; 14.2 % of the pixels damaged``."""
    steps = ", ".join(f"{one['family']} {one['severity']:.2f}" for one in sample.story["steps"])
    drawn = f"{steps or 'no damage'} (severity)"
    name, how = sample.story["photo"]["name"], "given" if sample.story.get("given") else drawn
    if sample.mask_missing:
        return f"{name}: {how}; mask missing: what is damaged is not known"
    return f"{name}: {how}; {100 * float((sample.mask > 0).mean()):.1f} % of the pixels damaged"


app = make_app(show, "show")
if __name__ == "__main__":
    app()
