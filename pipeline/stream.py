"""Shards → batches, in an order that is planned: the same for any number of workers, from any step
on."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import torch

from pipeline import seeds
from pipeline.augmentation import Augmenter, AugmentStep
from pipeline.config import Pixels, Positive, Section
from pipeline.errors import ParamsError, PipelineError, ShardError
from pipeline.samples import Array, Redraw, clean_of, unpack
from pipeline.shards import ShardRow, read_manifest, read_shard


class StreamSection(Section):
    """`mode`: train on `stored` pairs, or draw fresh damage on clean tiles on the `fly`.
    `batch_size`: samples a micro-batch; `crop`: px; `num_streams` fixes the plan, workers own whole
    streams.
    """

    mode: Literal["stored", "fly"]
    batch_size: Positive
    crop: Pixels
    num_streams: Positive
    augment: tuple[AugmentStep, ...]


class Drawn(Protocol):
    """What damage drawn on the fly consists of."""

    clean: Array
    corrupted: Array
    mask: Array


Draw = Callable[[Array, Callable[..., np.random.Generator]], Drawn]


class Batch(NamedTuple):
    """uint8 NHWC pictures and NHW1 masks as the workers make them; float32 NCHW in [0, 1] on the
    device."""

    clean: torch.Tensor
    corrupted: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """Moved, then converted there: a quarter of the bytes travel. The memory stays
        channels-last."""
        return Batch(*(_to_float(part.to(device, non_blocking=True)) for part in self))


class Unit(NamedTuple):
    """Every `parts`-th sample of a shard, from `part` on: what a stream owns."""

    row: ShardRow
    part: int
    parts: int

    def num_samples(self) -> int:
        return len(range(self.part, self.row.num_samples, self.parts))


@dataclass(frozen=True)
class Stream:
    """Endless planned micro-batches of one split. Batch `number` comes from stream ``number %
    num_streams``.

    `draw` makes damage for mode "fly" (a `corruptions.Recipe.damage`); it is None for stored pairs,
    of which those of profile "story" need `redraw` (a `corruptions.Recipe.replay`).
    """

    folder: Path
    split: str
    section: StreamSection
    seed: int
    draw: Draw | None
    redraw: Redraw | None = None

    def units(self) -> list[list[Unit]]:
        """The shards, dealt to the streams; few shards are shared out by samples."""
        rows = read_manifest(self.folder).of_split(self.split)
        total = sum(row.num_samples for row in rows)
        if total < self.section.num_streams:
            raise ShardError(
                self.folder,
                f"{total} {self.split} samples for {self.section.num_streams} streams",
                "add photos or tiles, or lower num_streams",
            )
        units: list[Unit] = []
        parts = self._parts(len(rows))
        while len(units) < self.section.num_streams:  # shards smaller than `parts` fill fewer
            units = [Unit(row, part, parts) for part in range(parts) for row in rows]
            units = [unit for unit in units if unit.num_samples()]
            parts += 1
        return [
            units[number :: self.section.num_streams] for number in range(self.section.num_streams)
        ]

    def _parts(self, num_shards: int) -> int:
        """Into how many parts a shard is cut. Streams deliver equally often, so they should own
        equally much; with many shards they nearly do, and each shard is then read once an epoch.
        """
        streams = self.section.num_streams
        return 1 if num_shards >= 4 * streams else streams // math.gcd(streams, num_shards)

    def num_batches(self) -> int:
        """Micro-batches that make up an epoch: each sample about once."""
        rows = read_manifest(self.folder).of_split(self.split)
        return max(1, sum(row.num_samples for row in rows) // self.section.batch_size)

    def batches(self, start: int = 0, worker: int = 0, num_workers: int = 1) -> Iterator[Batch]:
        """Batches ``start, start + 1, …`` that fall to `worker`, in order, without end."""
        streams = self.section.num_streams
        if streams % num_workers:
            raise ParamsError(
                "num_streams",
                f"{streams} cannot be shared by {num_workers} workers",
                "choose a number of workers that divides it",
            )
        augment = Augmenter(self.section.augment, stored=self.draw is None)
        units = self.units()
        sources: dict[int, Iterator[Batch]] = {}
        number = start + (worker - start) % num_workers
        while True:
            stream = number % streams
            if stream not in sources:
                sources[stream] = self._stream(units[stream], stream, number // streams, augment)
            yield next(sources[stream])
            number += num_workers

    def _stream(
        self, units: list[Unit], stream: int, first: int, augment: Augmenter
    ) -> Iterator[Batch]:
        samples = self._samples(units, stream, first * self.section.batch_size, augment)
        while True:
            parts = [next(samples) for _ in range(self.section.batch_size)]
            yield Batch(
                *(torch.from_numpy(np.stack(column)) for column in zip(*parts, strict=True))
            )

    def _samples(
        self, units: list[Unit], stream: int, start: int, augment: Augmenter
    ) -> Iterator[tuple[Array, Array, Array]]:
        length = sum(unit.num_samples() for unit in units)
        epoch, skip = divmod(start, length)
        while True:
            order = seeds.rng(self.seed, "units", stream, epoch).permutation(len(units))
            for unit in (units[number] for number in order):
                if skip >= unit.num_samples():
                    skip -= unit.num_samples()
                    continue
                members = read_shard(self.folder, unit.row)[unit.part :: unit.parts]
                turns = seeds.rng(self.seed, "samples", unit.row.name, unit.part, epoch)
                for number in turns.permutation(len(members))[skip:]:
                    yield self._prepare(members[number], epoch, augment)
                skip = 0
            epoch += 1

    def _prepare(
        self, member: dict[str, Any], epoch: int, augment: Augmenter
    ) -> tuple[Array, Array, Array]:
        """Decode, augment, crop; on the fly, damage is drawn last, on the finished crop."""
        key = member["__key__"]
        rng = seeds.rng(self.seed, "augment", epoch, key)
        seed = seeds.seed_of(rng)
        if self.draw is None:
            sample = unpack(member, self.redraw)
            arrays = {"clean": sample.clean, "corrupted": sample.corrupted, "mask": sample.mask}
            arrays = _crop(augment(arrays, seed), self.section.crop, rng)
        else:
            arrays = augment({"clean": clean_of(member)}, seed)
            arrays = _crop(arrays, self.section.crop, rng)
            drawn = self.draw(
                arrays["clean"], lambda *purpose: seeds.rng(self.seed, "fly", epoch, key, *purpose)
            )
            arrays = {"clean": drawn.clean, "corrupted": drawn.corrupted, "mask": drawn.mask}
        return arrays["clean"], arrays["corrupted"], arrays["mask"][:, :, None]


class _Loader(torch.utils.data.IterableDataset[Batch | PipelineError]):
    """A worker's share of a stream, as torch's DataLoader wants it.

    An expected failure travels as an item: DataLoader would turn it into a RuntimeError.
    """

    def __init__(self, stream: Stream, start: int) -> None:
        self.stream, self.start = stream, start

    def __iter__(self) -> Iterator[Batch | PipelineError]:
        info = torch.utils.data.get_worker_info()
        worker, count = (0, 1) if info is None else (info.id, info.num_workers)
        # Worker 0 must make the first batch that is asked for, whatever its number.
        try:
            yield from self.stream.batches(self.start, (worker + self.start) % count, count)
        except PipelineError as error:
            yield error


def load(stream: Stream, start: int, num_workers: int) -> Iterator[Batch]:
    """Batches from `start` on, made by worker processes (0: in this one)."""
    if num_workers and stream.section.num_streams % num_workers:
        next(stream.batches(start, 0, num_workers))  # tells the user, in this process
    loader = torch.utils.data.DataLoader(
        _Loader(stream, start),
        batch_size=None,
        num_workers=num_workers,
        multiprocessing_context="spawn" if num_workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_signals,
    )
    return _raise_errors(iter(loader))


def _leave_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM reach a whole process group; the training decides when its loaders
    end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def to_batch(samples: Sequence[tuple[Array, Array, Array]]) -> Batch:
    """Samples (clean, corrupted, mask) of one size as a uint8 batch."""
    columns = zip(
        *((clean, corrupted, mask[:, :, None]) for clean, corrupted, mask in samples), strict=True
    )
    return Batch(*(torch.from_numpy(np.stack(column)) for column in columns))


def _raise_errors(items: Iterator[Batch | PipelineError]) -> Iterator[Batch]:
    try:
        for item in items:
            if isinstance(item, PipelineError):
                raise item
            yield item
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ShardError(
            "loader", "a worker process died", "run it again, it goes on where it stopped"
        ) from None


def _to_float(part: torch.Tensor) -> torch.Tensor:
    return part.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)


def _crop(arrays: dict[str, Array], side: int, rng: np.random.Generator) -> dict[str, Array]:
    height, width = arrays["clean"].shape[:2]
    if side > min(height, width):
        raise ParamsError(
            "crop", f"{side} px is larger than the tiles ({height}x{width})", "lower it"
        )
    top = int(rng.integers(0, height - side + 1))
    left = int(rng.integers(0, width - side + 1))
    return {name: array[top : top + side, left : left + side] for name, array in arrays.items()}
