"""Shard → batch: streams beside webdataset with albumentations, on the fly and from the raw cache;
webdataset's share beside a bare loop over the tar; two worker processes beside one.

Samples a CPU second, but for the processes: their wall time, best of 5, from the first batch on.
Batches are complete: flipped and turned. Ours are ready as uint8, as they are sent to a card, which
converts them itself: the floors are theirs. For information, rows without a floor tell the time to
float32 in [0, 1] on the CPU, as what they are beside is made.
"""

import functools
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import albumentations
import numpy as np
import torch
import webdataset

from benchmarks._project import SEED, Project, make_project
from benchmarks._timing import Task, interleaved, one_thread, row
from pipeline import png, seeds
from pipeline.augmentation import AugmentStep
from pipeline.executors import run_here
from pipeline.samples import Array
from pipeline.stream import Batch, Source, Stream, StreamSection, load
from pipeline.stream.batches import Arrays, Filling
from pipeline.synthesis import Store, synthesize

RECIPES = ("shapes", "aged")  # RGB, and gray in one channel
TURNS = tuple(
    AugmentStep(name=name, p=p, amount=0.0) for name, p in (("horizontal_flip", 0.5), ("turn", 1.0))
)
CPU = torch.device("cpu")
WAYS = {  # what is read, and its floor
    "stored": ("shard", 4),
    "fly": ("damage on the fly", 5),
    "cache": ("raw cache, epoch two", 25),
    "fly-cache": ("damage on the fly on tiles of the raw cache, epoch two", None),
}


class Sizes(NamedTuple):
    """How much is measured. `side`: px; `workers_epochs`: times that all samples are read."""

    side: int = 256
    per_photo: int = 40
    samples_per_shard: int = 64
    batch_size: int = 16
    repeats: int = 3
    workers_repeats: int = 5
    workers_epochs: int = 2
    overlays: tuple[int, int] = (2, 64)
    photos: int | None = None  # all


def main(sizes: Sizes = Sizes()) -> list[dict]:
    """All rows."""
    one_thread()
    torch.set_num_threads(1)
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), *sizes.overlays)
        project = project._replace(photos=project.photos[: sizes.photos])
        specs = project.specs(sizes.side, sizes.per_photo, sizes.samples_per_shard)
        for recipe in RECIPES:
            home = Path(folder) / recipe
            maker, store = project.maker(recipe, sizes.side), Store(home / "shards", "png")
            synthesize(recipe, specs, maker, store, run_here, lambda done, total: None)
            rows += _one_process(project, home, sizes)
        rows.append(_two_processes(Path(folder) / RECIPES[0], sizes))
    return rows


def _one_process(project: Project, home: Path, sizes: Sizes) -> list[dict]:
    """Rows of one recipe; what it is beside is given complete floats, and so makes those."""
    recipe, shards = home.name, sorted((home / "shards").glob("train-*.tar"))
    draw = project.recipe(recipe, sizes.side).for_clean_tiles().damage
    pairs, fresh = (_stream(home, sizes, draw=one) for one in (None, draw))
    cached, kept = (_stream(home, sizes, 100.0, draw=one).batches() for one in (None, draw))
    count = pairs.num_batches()
    for epoch_one in (cached, kept):  # fills the cache
        _take(epoch_one, count)
    opened: dict[str, Callable[[], Iterator]] = {
        "stored": pairs.batches,
        "fly": fresh.batches,
        "cache": lambda: cached,
        "fly-cache": lambda: kept,
    }
    tasks: dict[str, Task] = {
        "usual": lambda: _take(usual(shards, sizes), count),
        "bare": lambda: _take(bare(shards, sizes), count),
    }
    for name, batches in opened.items():
        tasks[name] = functools.partial(_run, batches, count, True)
        tasks[f"{name}-uint8"] = functools.partial(_run, batches, count, False)
    taken = interleaved(tasks, sizes.repeats)
    rates = {name: count * sizes.batch_size / seconds for name, seconds in taken.items()}
    rows = [
        row(
            f"loader-{recipe}-{name}{suffix}",
            f"{recipe}, {what} → {'ready uint8 batch' if suffix else 'floats (no floor)'}, "
            f"{sizes.side}², samples/s, vs webdataset's rgb8, albumentations and float collate",
            rates[name + suffix], rates["usual"], floor if suffix else None,
        )
        for name, (what, floor) in WAYS.items()
        for suffix in ("", "-uint8")
    ]  # fmt: skip
    what = f"{recipe}, shard → batch, {sizes.side}², samples/s, vs a bare loop over the tar"
    beside = row(f"loader-{recipe}-bare", what, rates["stored"], rates["bare"], 0.85, 1.0)
    return [*rows, beside]


def _run(batches: Callable[[], Iterator], count: int, convert: bool) -> None:
    _take(batches(), count, convert)


def _stream(
    home: Path, sizes: Sizes, gigabytes: float = 0.0, draw: Any = None, num_streams: int = 1
) -> Stream:
    section = StreamSection(
        mode="fly" if draw else "stored",
        batch_size=sizes.batch_size,
        crop=sizes.side,
        num_streams=num_streams,
        cache_gigabytes=gigabytes,
        augment=TURNS,
    )
    cache = "cache-fly" if draw else "cache"
    return Stream((Source(home / "shards", draw),), "train", section, SEED, home / cache)


def _take(batches: Iterator, count: int, convert: bool = True) -> None:
    for batch in islice(batches, count):
        if convert and isinstance(batch, Batch):
            batch.to(CPU)


def usual(shards: list[Path], sizes: Sizes) -> Iterator[tuple[torch.Tensor, ...]]:
    """Float batches (clean, corrupted, mask) as webdataset's own documents have them made."""
    compose = albumentations.Compose(
        [albumentations.HorizontalFlip(p=0.5), albumentations.RandomRotate90(p=1.0)],
        additional_targets={"corrupted": "image"},
    )

    def augment(sample: tuple[Array, Array, Array]) -> tuple[torch.Tensor, ...]:
        clean, corrupted, mask = sample
        out = compose(image=clean, corrupted=corrupted, mask=mask[:, :, 0])
        arrays = (out["image"], out["corrupted"], out["mask"][:, :, None])
        return tuple(
            torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1))).float().div_(255)
            for array in arrays
        )

    names = [str(path) for path in shards]
    pairs = webdataset.WebDataset(names, shardshuffle=False).decode("rgb8")
    tuples = pairs.to_tuple("clean.png", "corrupted.png", "mask.png")
    yield from tuples.map(augment).batched(sizes.batch_size)


def bare(shards: list[Path], sizes: Sizes) -> Iterator[Batch]:
    """Batches of our own decoder by the shortest way: tarfile, a flip, a turn, one copy."""
    rng = seeds.rng(SEED, "bare")
    filling, count = Filling(sizes.batch_size), 0
    for path in shards:
        with tarfile.open(path, "r:") as tar:
            parts: dict[str, Array] = {}
            for member in tar:
                name = member.name.partition(".")[2]
                file = tar.extractfile(member)
                if file is None or not name.endswith(".png"):
                    continue
                parts[name] = png.decode(file.read())
                if len(parts) < 3:
                    continue
                flip, turn = int(rng.integers(2)), int(rng.integers(4))
                moved = {
                    name: np.rot90(part[:, ::-1] if flip else part, turn)
                    for name, part in parts.items()
                }
                mask = moved["mask.png"][:, :, 0]
                filling.add(Arrays(moved["clean.png"], moved["corrupted.png"], mask))
                parts.clear()
                count += 1
                if count % sizes.batch_size == 0:
                    yield filling.batch()
                    filling = Filling(sizes.batch_size)


def _two_processes(home: Path, sizes: Sizes) -> dict:
    """Wall time of the same batches made by one worker process and by two, their start left out:
    a training starts them once."""
    best: dict[int, float] = {}
    stream = _stream(home, sizes, num_streams=2)
    count = sizes.workers_epochs * stream.num_batches()
    for _ in range(sizes.workers_repeats):
        for number in (1, 2):
            seconds = _wall(functools.partial(load, stream, 0, number), count)
            best[number] = min(best.get(number, seconds), seconds)
    rates = {number: count * sizes.batch_size / seconds for number, seconds in best.items()}
    what = f"shard → batch {sizes.side}², samples/s of wall time, two worker processes vs one"
    return row("loader-two-processes", what, rates[2], rates[1], 1.5, 2.0)


def _wall(open_batches: Callable[[], Iterator[Batch]], count: int) -> float:
    batches = open_batches()
    _take(batches, 2, convert=False)  # both are at work
    start = time.perf_counter()
    _take(batches, count, convert=False)
    return time.perf_counter() - start
