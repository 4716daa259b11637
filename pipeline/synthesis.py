"""From photos to shards: the plan of tiles, and the processes that fill it, the same for any number
of them."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np

from pipeline import seeds
from pipeline.config import Positive, Section, validate
from pipeline.errors import ParamsError, ShardError
from pipeline.files import sha256_bytes, sha256_file, write_bytes, write_json
from pipeline.shards import Array, Sample, ShardManifest, ShardRow, pack, write_manifest
from pipeline.splits import Photo, load_photo

Progress = Callable[[int, int], None]


class SynthesisSection(Section):
    """`photos_per_group` photos share their shards; `samples_per_shard` fills one.

    A group with as many samples as a shard holds decodes each photo once; a smaller shard mixes the
    photos of its group instead.
    """

    photos_per_group: Positive
    samples_per_shard: Positive


class TileSpec(NamedTuple):
    """One sample to make: the window of a photo, and the key that seeds its damage."""

    photo: Photo
    key: str
    top: int
    left: int
    side: int


@dataclass(frozen=True)
class ShardSpec:
    """All that a worker needs to make one shard, and nothing that depends on the worker."""

    name: str
    split: str
    folder: Path
    max_megapixels: float
    tiles: tuple[TileSpec, ...]


class Cut(Protocol):
    """How one split is cut (a `corruptions.Tiles`)."""

    @property
    def side(self) -> int: ...
    @property
    def per_photo(self) -> int: ...
    @property
    def variants(self) -> int: ...


MakeSample = Callable[[TileSpec, Array], Sample]


class Damage(Protocol):
    """What a recipe makes of a tile."""

    clean: Array
    corrupted: Array
    mask: Array
    story: dict[str, Any]


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
        origin = {
            "source": spec.photo.source,
            "name": spec.photo.name,
            "top": spec.top,
            "left": spec.left,
        }
        return Sample(
            spec.key, made.clean, made.corrupted, made.mask, {**made.story, "photo": origin}
        )


def plan_split(
    split: str,
    photos: Iterable[Photo],
    cut: Cut,
    section: SynthesisSection,
    seed: int,
    folder: Path,
    max_megapixels: float,
) -> list[ShardSpec]:
    """Shards of one split. Photos go in the order of a seeded hash, so that shards mix sources."""
    ordered = sorted(photos, key=lambda photo: seeds.derive(seed, "order", photo.id))
    size = section.photos_per_group
    groups = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    chunks = []
    for group in groups:
        cuts = {photo.id: plan_tiles(photo, cut, seed) for photo in group}
        turns = range(cut.per_photo * cut.variants)
        tiles = [cuts[photo.id][turn] for turn in turns for photo in group]
        step = section.samples_per_shard
        chunks += [tiles[start : start + step] for start in range(0, len(tiles), step)]
    return [
        ShardSpec(
            f"{split}-{number:05d}.tar",
            split,
            folder,
            max_megapixels,
            tuple(sorted(tiles, key=lambda tile: (tile.photo.id, tile.key))),
        )
        for number, tiles in enumerate(chunks)
    ]


def plan_tiles(photo: Photo, cut: Cut, seed: int) -> list[TileSpec]:
    """Random windows of a photo, `variants` keys each: ``<photo id>_<tile>_<variant>``."""
    specs = []
    for tile in range(cut.per_photo):
        rng = seeds.rng(seed, "tile", photo.id, tile)
        top = int(rng.integers(0, max(1, photo.height - cut.side + 1)))
        left = int(rng.integers(0, max(1, photo.width - cut.side + 1)))
        specs += [
            TileSpec(photo, f"{photo.id}_{tile:04d}_{variant:02d}", top, left, cut.side)
            for variant in range(cut.variants)
        ]
    return specs


def cut_tile(pixels: Array, spec: TileSpec) -> Array:
    """The window, uint8 side×side×3; photos smaller than it are reflected at their borders."""
    side = spec.side
    tile = pixels[spec.top : spec.top + side, spec.left : spec.left + side]
    below, right = side - tile.shape[0], side - tile.shape[1]
    if below or right:
        tile = np.pad(tile, ((0, below), (0, right), (0, 0)), mode="symmetric")
    return np.ascontiguousarray(tile)


def make_shard(spec: ShardSpec, make_sample: MakeSample) -> tuple[bytes, ShardRow]:
    """The bytes of one shard and its row: pure, so that any executor may call it."""
    data, count, content = pack(_samples(spec, make_sample))
    return data, ShardRow(
        name=spec.name,
        split=spec.split,
        num_samples=count,
        num_bytes=len(data),
        sha256=sha256_bytes(data),
        content_sha256=content,
    )


def synthesize(
    recipe: str,
    specs: list[ShardSpec],
    make_sample: MakeSample,
    work: Path,
    num_workers: int,
    progress: Progress,
) -> ShardManifest:
    """Make every shard that `work` does not yet hold, then the manifest, last.

    Raises ShardError when a worker process dies; what is finished stays for the next run.
    """
    rows = {spec.name: row for spec in specs if (row := _finished(work, spec)) is not None}
    total = sum(len(spec.tiles) for spec in specs)
    done = sum(row.num_samples for row in rows.values())
    progress(done, total)
    todo = [spec for spec in specs if spec.name not in rows]
    for row in _run(todo, make_sample, work, num_workers):
        rows[row.name] = row
        done += row.num_samples
        progress(done, total)
    for stray in set(work.iterdir()) - {work / spec.name for spec in specs}:
        stray.unlink(missing_ok=True)  # what a killed run had half written
    return write_manifest(work, recipe, cv2.__version__, (rows[spec.name] for spec in specs))


def _run(
    specs: list[ShardSpec], make_sample: MakeSample, work: Path, num_workers: int
) -> Iterator[ShardRow]:
    if num_workers <= 1 or len(specs) <= 1:
        for spec in specs:
            yield _store(spec, make_sample, work)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=_start_worker) as pool:
        waiting = iter(specs)
        running: set[Future[ShardRow]] = set()
        try:
            while True:
                for spec in waiting:
                    running.add(pool.submit(_store, spec, make_sample, work))
                    if len(running) >= 2 * num_workers:
                        break
                if not running:
                    return
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool:
            raise ShardError(
                work.name, "a worker process died", "run it again, it goes on where it stopped"
            ) from None
        finally:
            for future in running:
                future.cancel()


def _start_worker() -> None:
    """One thread a worker; a worker whose parent is gone ends itself."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _store(spec: ShardSpec, make_sample: MakeSample, work: Path) -> ShardRow:
    data, row = make_shard(spec, make_sample)
    write_bytes(work / spec.name, data)
    write_json(_receipt(work, spec), row.model_dump(mode="json"))
    return row


def _finished(work: Path, spec: ShardSpec) -> ShardRow | None:
    """The row of a shard that an earlier run finished, if its bytes are still those."""
    try:
        receipt = json.loads(_receipt(work, spec).read_text(encoding="utf-8"))
        row = validate(receipt, spec.name, ShardRow)
        whole = sha256_file(work / spec.name) == row.sha256
    except (OSError, ValueError, RecursionError, ParamsError):
        return None
    return row if whole else None


def _receipt(work: Path, spec: ShardSpec) -> Path:
    return work.parent / "receipts" / f"{spec.name}.json"


def _samples(spec: ShardSpec, make_sample: MakeSample) -> Iterator[Sample]:
    last: tuple[str, Array] | None = None
    for tile in spec.tiles:
        if last is None or last[0] != tile.photo.id:
            last = tile.photo.id, load_photo(spec.folder, tile.photo, spec.max_megapixels)
        yield make_sample(tile, cut_tile(last[1], tile))
