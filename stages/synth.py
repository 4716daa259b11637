"""`patina synth RECIPE`: draw a recipe's damage on the photos and write the pairs as shards."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.card import CODE, card_of
from stages.console import command, make_app, progress, project_root, read_params, say
from stages.plan import plan
from stages.recipes import family_files, inputs_of
from stages.usage import MAX_WORKERS

if TYPE_CHECKING:
    from pipeline.cards import Card
    from pipeline.corruptions import Recipe
    from pipeline.executors import Executor
    from pipeline.shards import ShardRow
    from pipeline.synthesis import AnyStore, MakeSample
    from pipeline.tiling import ShardSpec

SHARDS = ("train-*.tar", "val-*.tar", "test-*.tar", "README.md", "croissant.json")
FILES = tuple(f"{split}/*" for split in ("train", "val", "test"))


class Layout(StrEnum):
    """What `patina synth` writes."""

    shards = "shards"
    folders = "folders"


class Runner(StrEnum):
    """Who makes the shards."""

    local = "local"
    ray = "ray"


@command
def synth(
    recipe: Annotated[str, typer.Argument(help="A recipe of params.yaml.")],
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MAX_WORKERS,
            help="Processes, by default as many as cores; the bytes do not depend on it.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(help="Folder for the shards, or a URL: s3://bucket/prefix.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Remake one sample, KEY.tar.")] = None,
    layout: Annotated[
        Layout, typer.Option("--format", help="folders: PNG files for other programs (with --out).")
    ] = Layout.shards,
    executor: Annotated[
        Runner, typer.Option(help="ray: tasks of a Ray cluster (see docs/scale.md).")
    ] = Runner.local,
    address: Annotated[
        str, typer.Option(help="Ray: local, auto (the cluster that runs here), or HOST:PORT.")
    ] = "local",
) -> None:
    """Write the shards of a recipe: clean, corrupted, mask and story of every sample.

    A folder is locked while it is written. A URL cannot be: never let two runs write to one.
    """
    from pipeline.config import read_max_megapixels, read_seed
    from pipeline.corruptions import Recipe
    from pipeline.errors import ParamsError
    from pipeline.given import GIVEN, GivenMaker
    from pipeline.synthesis import SampleMaker
    from pipeline.url_store import is_url

    root = project_root()
    params = read_params(root)
    loaded = Recipe.load(params, recipe, root / "data/textures")
    make: MakeSample = SampleMaker(recipe, read_seed(params), loaded.damage)
    if recipe == GIVEN:
        make = GivenMaker(root / "data/raw", read_max_megapixels(params))
    if address != "local" and executor is Runner.local:
        raise ParamsError(f"--address {address}", "is Ray's", "add --executor ray")
    specs = plan(root, params, loaded)
    url = out if out is not None and is_url(out) else None
    if url is not None and (only is not None or layout is Layout.folders):
        raise ParamsError(f"--out {url}", "takes whole shards alone", "name a folder instead")
    if only is not None:
        _remake(specs, make, only, Path(out or ""), loaded.section.profile)
        return
    if layout is Layout.folders and out is None:
        raise ParamsError("--format folders", "has no folder", "name one: --out DIR")
    inputs = [root / "data/raw", root / "data/textures/bank.json"]
    reads = tuple(path for path in inputs if path.exists())
    job = _Job(root, params, loaded, make, specs, executor, address, workers or 0, reads)
    if url is not None:
        rows = _to_url(job, url)
    else:
        rows = _to_folder(job, Path(out) if out else root / "data/shards" / recipe, layout)
    _tell(recipe, rows, layout)


@dataclass(frozen=True)
class _Job:
    """What there is to make, and who makes it."""

    root: Path
    params: dict[str, Any]
    recipe: Recipe
    make: MakeSample
    specs: list[ShardSpec]
    runner: Runner
    address: str
    workers: int
    reads: tuple[Path, ...]

    @property
    def code(self) -> list[str]:
        return ["stages/synth.py", *family_files(self.recipe)]

    @property
    def maker(self) -> str:
        from stages.workspace import fingerprint

        inputs = inputs_of(self.root, self.params, self.recipe.name)
        return fingerprint(self.code, inputs, without=CODE)

    @property
    def card(self) -> Card:
        return card_of(self.root, self.params, self.recipe, self.specs)

    def fill(self, store: AnyStore, writes: Path | None) -> list[ShardRow]:
        from pipeline.executors import Processes, run_here
        from pipeline.synthesis import synthesize

        number = self.workers or os.cpu_count() or 1
        execute: Executor = run_here
        if self.runner is Runner.ray:
            from pipeline.ray_executor import RayExecutor

            execute = RayExecutor(self.address, self.workers, self.reads, writes)
        elif number > 1 and len(self.specs) > 1:
            execute = Processes(number)
        with progress(f"synth {self.recipe.name}") as show:
            return synthesize(self.recipe.name, self.specs, self.make, store, execute, show)


def _to_folder(job: _Job, target: Path, layout: Layout) -> list[ShardRow]:
    from pipeline.files import sha256_bytes, sha256_file, write_bytes
    from pipeline.folders import LISTING, FolderStore
    from pipeline.shards import MANIFEST
    from pipeline.synthesis import Store
    from stages.made import Made
    from stages.workspace import finish, workspace

    name = job.recipe.name
    index = sha256_file(job.root / "data/index.json")
    inputs = [layout, *inputs_of(job.root, job.params, name), index]
    mark, leaves = (LISTING, FILES) if layout is Layout.folders else (MANIFEST, SHARDS)
    _refuse_another(target, mark, name)
    with workspace(
        job.root, f"synth-{name}", job.code, inputs, [target], [mark], [mark, *leaves]
    ) as work:
        shards = Store(work / "shards", job.recipe.section.profile)
        if layout is Layout.folders:
            rows = job.fill(FolderStore(work / "shards"), work)
            finish(job.root, work, {"shards": (target, LISTING)})
            return rows
        place = sha256_bytes(str(target.resolve()).encode())[:8]
        made = Made(work.parent / f"made-{place}.json", job.maker)
        made.reuse(job.specs, target, shards)
        rows = job.fill(shards, work)
        for file, data in job.card.files(rows).items():
            write_bytes(work / "shards" / file, data)
        finish(job.root, work, {"shards": (target, MANIFEST)})
        made.remember(job.specs, rows)
    return rows


def _refuse_another(target: Path, mark: str, recipe: str) -> None:
    """Raises DiskError for a folder that another recipe has filled."""
    from pipeline.files import DiskError

    try:
        made = json.loads((target / mark).read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return
    if made != recipe:
        raise DiskError(target, f"holds what the recipe {made} made", "name an empty folder")


def _to_url(job: _Job, url: str) -> list[ShardRow]:
    from pipeline.url_store import UrlStore

    store = UrlStore(url, job.recipe.section.profile, job.maker, job.card.files)
    store.begin()
    return job.fill(store, None)


def _tell(recipe: str, rows: list[ShardRow], layout: Layout) -> None:
    from pipeline.shards import SPLITS

    counts = {split: 0 for split in SPLITS}
    for row in rows:
        counts[row.split] += row.num_samples
    sizes = ", ".join(f"{count} {split}" for split, count in counts.items())
    megabytes = sum(row.num_bytes for row in rows) / 1e6
    shape = f"in {len(rows)} shards" if layout is Layout.shards else "as files"
    say(f"{recipe}: {sizes} samples {shape}, {megabytes:.1f} MB")


def _remake(specs: list[ShardSpec], make: MakeSample, key: str, target: Path, profile: str) -> None:
    from dataclasses import replace

    from pipeline.errors import ParamsError
    from pipeline.files import write_bytes
    from pipeline.synthesis import make_shard, profile_of

    for spec in specs:
        for tile in spec.tiles:
            if tile.key == key:
                alone = replace(spec, name=f"{key}.tar", tiles=(tile,))
                data, _ = make_shard(alone, make, profile_of(spec.split, profile))
                write_bytes(target / f"{key}.tar", data)
                say(f"{target / key}.tar")
                return
    raise ParamsError(f"--only {key}", "the recipe makes no such sample", "see `patina show`")


app = make_app(synth, "synth")
if __name__ == "__main__":
    app()
