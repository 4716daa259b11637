"""Filling the planned shards: each made by one pure function, stored, and never made twice."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from pipeline import seeds
from pipeline.config import validate
from pipeline.errors import ParamsError
from pipeline.executors import Executor
from pipeline.files import atomic, link_file, sha256_file, write_json
from pipeline.images import Array
from pipeline.samples import Redrawn, Sample, write_samples
from pipeline.shards import ShardRow, write_manifest
from pipeline.splits import Photo, load_photo
from pipeline.tiling import ShardSpec, TileSpec, cut_tile

Progress = Callable[[int, int], None]
MakeSample = Callable[[TileSpec, Array], Sample]
Finished = dict[str, ShardRow]  # shards by name
PhotoKey = tuple[Path, Photo]
KEPT_BYTES = 256_000_000  # of decoded photos, a process
_kept: dict[PhotoKey, Array] = {}
NUM_FINDERS = 16  # threads that ask a store what it holds


class Damage(Redrawn, Protocol):
    """What a recipe makes of a tile."""

    @property
    def story(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class SampleMaker:
    """A recipe's damage drawn on a tile, seeded by the sample's key alone; travels to worker
    processes."""

    recipe: str
    seed: int
    damage: Callable[[Array, Callable[..., np.random.Generator]], Damage]

    def __call__(self, spec: TileSpec, tile: Array) -> Sample:
        """The sample, its story told from the photo on."""
        made = self.damage(
            tile, lambda *step: seeds.rng(self.seed, "corrupt", self.recipe, spec.key, *step)
        )
        story = {**made.story, "photo": spec.origin}
        return Sample(spec.key, made.clean, made.corrupted, made.mask, story, made.keep, tile)


@dataclass(frozen=True)
class Store:
    """A local folder that shards are written into, with a receipt beside it for each.

    `profile` is the train split's; held-out samples are always kept without loss.
    """

    folder: Path
    profile: str

    def make(self, spec: ShardSpec, make_sample: MakeSample) -> ShardRow:
        """Make one shard and keep it; its receipt is written last."""
        profile = profile_of(spec.split, self.profile)
        with atomic(self.folder / spec.name) as temporary, open(temporary, "wb", 1 << 20) as file:
            row = write_shard(spec, make_sample, profile, file.write)
        write_json(self._receipt(row.name), row.model_dump(mode="json"))
        return row

    def take(self, row: ShardRow, file: Path) -> None:
        """Keep a shard that stands elsewhere already, whole."""
        link_file(file, self.folder / row.name)
        write_json(self._receipt(row.name), row.model_dump(mode="json"))

    def find(self, spec: ShardSpec) -> ShardRow | None:
        """The row of a shard that an earlier run finished, if its bytes are still those."""
        try:
            receipt = json.loads(self._receipt(spec.name).read_text(encoding="utf-8"))
            row = validate(receipt, spec.name, ShardRow)
            whole = sha256_file(self.folder / spec.name) == row.sha256
        except (OSError, ValueError, RecursionError, ParamsError):
            return None
        return row if whole else None

    def finish(self, recipe: str, rows: list[ShardRow]) -> None:
        """Remove what a killed run had half written; the manifest comes last."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for stray in set(self.folder.iterdir()) - {self.folder / row.name for row in rows}:
            stray.unlink(missing_ok=True)
        write_manifest(self.folder, recipe, cv2.__version__, rows, self.profile)

    def _receipt(self, name: str) -> Path:
        return self.folder.parent / "receipts" / f"{name}.json"


class AnyStore(Protocol):
    """Where finished shards go."""

    def make(self, spec: ShardSpec, make_sample: MakeSample) -> ShardRow: ...
    def find(self, spec: ShardSpec) -> ShardRow | None: ...
    def finish(self, recipe: str, rows: list[ShardRow]) -> None: ...


def profile_of(split: str, profile: str) -> str:
    """What a split's shards hold in a recipe of this profile."""
    return profile if split == "train" else "png"


def make_shard(
    spec: ShardSpec, make_sample: MakeSample, profile: str = "png"
) -> tuple[bytes, ShardRow]:
    """The bytes of one shard and its row: pure, so that any executor may call it."""
    tar = io.BytesIO()
    row = write_shard(spec, make_sample, profile, tar.write)
    return tar.getvalue(), row


def write_shard(
    spec: ShardSpec, make_sample: MakeSample, profile: str, write: Callable[[bytes], object]
) -> ShardRow:
    """`make_shard`, its bytes handed to `write` piece by piece."""
    packed = write_samples(make_samples(spec, make_sample), profile, write)
    return ShardRow(name=spec.name, split=spec.split, **packed._asdict())


def make_samples(spec: ShardSpec, make_sample: MakeSample) -> Iterator[Sample]:
    """The samples of a shard; each photo is decoded once, and often it is still at hand."""
    wanted = {(spec.folder, tile.photo) for tile in spec.tiles}
    last: tuple[str, Array] | None = None
    for tile in spec.tiles:
        if last is None or last[0] != tile.photo.id:
            last = tile.photo.id, _pixels(spec, tile.photo, wanted)
        yield make_sample(tile, cut_tile(last[1], tile))


def _pixels(spec: ShardSpec, photo: Photo, wanted: set[PhotoKey]) -> Array:
    """A photo, decoded or kept from an earlier shard: a group's shards mostly show the same ones.

    New photos push out those that this shard does not want, the oldest first, but no others: a
    shard takes its photos in order, and the next one begins again with the first.
    """
    key = spec.folder, photo
    if key in _kept:
        return _kept[key]
    pixels = load_photo(spec.folder, photo, spec.max_megapixels)
    room = KEPT_BYTES - pixels.nbytes - sum(one.nbytes for one in _kept.values())
    for stale in [one for one in _kept if one not in wanted]:
        if room >= 0:
            break
        room += _kept.pop(stale).nbytes
    if room >= 0:
        _kept[key] = pixels
    return pixels


def forget_photos() -> None:
    """Give the memory of kept photos back."""
    _kept.clear()


def synthesize(
    recipe: str,
    specs: list[ShardSpec],
    make_sample: MakeSample,
    store: AnyStore,
    execute: Executor,
    progress: Progress,
) -> list[ShardRow]:
    """Make every shard that `store` does not yet hold, then let it finish; the rows in the order
    of `specs`."""
    rows = _find(store, specs)
    total = sum(len(spec.tiles) for spec in specs)
    done = sum(row.num_samples for row in rows.values())
    progress(done, total)
    todo = [spec for spec in specs if spec.name not in rows]
    for row in execute(partial(_make, store, make_sample), todo):
        rows[row.name] = row
        done += row.num_samples
        progress(done, total)
    made = [rows[spec.name] for spec in specs]
    store.finish(recipe, made)
    return made


def _find(store: AnyStore, specs: list[ShardSpec]) -> Finished:
    """What earlier runs finished; asked by several threads, for most of the time is waiting."""
    with ThreadPoolExecutor(NUM_FINDERS) as pool:
        return {row.name: row for row in pool.map(store.find, specs) if row is not None}


def _make(store: AnyStore, make_sample: MakeSample, spec: ShardSpec) -> ShardRow:
    return store.make(spec, make_sample)
