"""The plan carried out: a stream's batches, decoded or remembered, augmented, cropped, damaged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from pipeline import seeds
from pipeline.augmentation import Augmenter, AugmentStep
from pipeline.config import Amount, Pixels, Positive, Section
from pipeline.errors import ParamsError
from pipeline.files import sha256_bytes, to_json
from pipeline.samples import Array, Redraw, clean_of, unpack_pictures
from pipeline.stream.access import Shards
from pipeline.stream.batches import Arrays, Batch, Filling, New, copy_turned, fresh
from pipeline.stream.plan import PERIOD, Mixture, Unit, deal, firsts, slots_of
from pipeline.stream.raw_cache import RawCache

GIGABYTE = 1_000_000_000
SPELLED = {1: "gray", 3: "RGB"}
NAMES = ("clean", "corrupted", "mask", "keep")


class StreamSection(Section):
    """`mode`: train on `stored` pairs, or draw fresh damage on clean tiles on the `fly`.
    `batch_size`: samples a micro-batch; `crop`: px; `num_streams` fixes the plan, workers own whole
    streams; `cache_gigabytes` of decoded samples are kept on disk while a training lasts (0: none).
    """

    mode: Literal["stored", "fly"]
    batch_size: Positive
    crop: Pixels
    num_streams: Positive
    cache_gigabytes: Amount
    augment: tuple[AugmentStep, ...]


class Drawn(Protocol):
    """What damage drawn on the fly consists of."""

    @property
    def clean(self) -> Array: ...
    @property
    def corrupted(self) -> Array: ...
    @property
    def mask(self) -> Array: ...
    @property
    def keep(self) -> Array | None: ...


Draw = Callable[[Array, Callable[..., np.random.Generator]], Drawn]


@dataclass(frozen=True)
class Source:
    """The shards of one recipe: a folder, or an http(s), s3 or other fsspec address of one.

    `draw` makes damage for mode "fly" (a `corruptions.Recipe.damage`); it is None for stored pairs,
    of which those of profile "story" need `redraw` (a `corruptions.Recipe.replay`). `weight`: how
    often its samples come, beside those of other sources. `manifest`: the sha256 that the shards'
    manifest must tell, so that nobody changes them meanwhile.
    """

    shards: Path | str
    draw: Draw | None
    redraw: Redraw | None = None
    weight: float = 1.0
    manifest: str | None = None


@dataclass(frozen=True)
class Stream:
    """Endless planned micro-batches of one split. Batch `number` comes from stream ``number %
    num_streams``. `cache`: folder for the raw cache, None for none. `channels` of the damaged and
    of the clean pictures, where gray ones are to be given as RGB; None leaves them as they are."""

    sources: tuple[Source, ...]
    split: str
    section: StreamSection
    seed: int
    cache: Path | None = None
    channels: tuple[int, int] | None = None

    def num_batches(self) -> int:
        """Micro-batches that make up an epoch: each sample of the first source about once."""
        rows = Shards(self.sources[0].shards, self.sources[0].manifest).rows(self.split)
        slots = sum(row.num_samples for row in rows) * PERIOD // self._counts()[0]
        return max(1, slots // self.section.batch_size)

    def batches(
        self, start: int = 0, worker: int = 0, num_workers: int = 1, new: New = fresh
    ) -> Iterator[Batch]:
        """`worker`'s share of batches ``start, start + 1, …``, without end, in memory of `new`.

        Raises ParamsError and ShardError for what cannot be read or does not go together.
        """
        streams = self.section.num_streams
        if streams % num_workers:
            raise ParamsError(
                "num_streams",
                f"{streams} cannot be shared by {num_workers} workers",
                "choose a number of workers that divides it",
            )
        owned = [_Owned(self, number) for number in range(len(self.sources))]
        lanes: dict[int, Iterator[Batch]] = {}
        number = start + (worker - start) % num_workers
        while True:
            lane = number % streams
            if lane not in lanes:
                lanes[lane] = self._lane(owned, lane, number // streams, new)
            yield next(lanes[lane])
            number += num_workers

    def _counts(self) -> tuple[int, ...]:
        return slots_of([source.weight for source in self.sources])

    def _lane(self, owned: list[_Owned], lane: int, first: int, new: New) -> Iterator[Batch]:
        mixture = Mixture(self._counts(), self.seed, lane)
        slot = first * self.section.batch_size
        starts = mixture.before(slot)
        samples = [one.samples(lane, start) for one, start in zip(owned, starts, strict=True)]
        kinds: dict[tuple[int, int], int] = {}
        choices = mixture.choices(slot)
        while True:
            filling = Filling(self.section.batch_size, self.channels, new)
            for source in itertools.islice(choices, self.section.batch_size):
                sample = next(samples[source])
                if (kind := sample.channels) not in kinds:
                    kinds[kind] = source
                    self._check(kinds, owned)
                filling.add(sample)
            yield filling.batch()

    def _check(self, kinds: dict[tuple[int, int], int], owned: list[_Owned]) -> None:
        """Raise ParamsError unless pictures of these channels, `kinds` with the sources that gave
        them, go into one batch."""
        wanted = self.channels or next(iter(kinds))
        if all(
            given == want or (self.channels and given < want)
            for kind in kinds
            for given, want in zip(kind, wanted, strict=True)
        ):
            return
        told = [
            f"{owned[source].shards}: {SPELLED[kind[0]]} made of {SPELLED[kind[1]]}"
            for kind, source in kinds.items()
        ]
        if self.channels:
            told.append(f"wanted: {SPELLED[wanted[0]]} made of {SPELLED[wanted[1]]}")
        raise ParamsError("stream", "; ".join(told), "mix recipes of gray or of RGB pictures")


class _Owned:
    """One source of a stream, as a worker reads it."""

    def __init__(self, stream: Stream, number: int) -> None:
        self.stream, self.number, self.source = stream, number, stream.sources[number]
        self.shards = Shards(self.source.shards, self.source.manifest)
        rows = self.shards.rows(stream.split)
        self.units = deal(rows, stream.section.num_streams, f"{self.shards}: {stream.split}")
        self.augment = Augmenter(stream.section.augment, stored=self.source.draw is None)
        self.total = sum(row.num_samples for row in rows)
        # The first source's words are those of a stream without any other.
        self.words: tuple[str | int, ...] = ("source", number) if number else ()

    def samples(self, lane: int, start: int) -> Iterator[Arrays]:
        """The samples of stream `lane`, without end, from the `start`-th on."""
        units, before = self.units[lane], firsts(self.units[lane])
        length = sum(unit.num_samples() for unit in units)
        cache = self._cache(lane, length)
        epoch, skip = divmod(start, length)
        while True:
            for place in self._rng("units", lane, epoch).permutation(len(units)).tolist():
                unit, first = units[place], before[place]
                if skip >= unit.num_samples():
                    skip -= unit.num_samples()
                    continue
                turns = self._rng("samples", unit.row.name, unit.part, epoch)
                read = partial(self._read, unit, first, cache)
                for number in turns.permutation(unit.num_samples())[skip:].tolist():
                    key, arrays = read(number)
                    yield self._prepare(key, arrays, epoch)
                skip = 0
            epoch += 1

    def _read(
        self, unit: Unit, first: int, cache: RawCache | None, number: int
    ) -> tuple[str, list[Array]]:
        """Key and arrays of a unit's sample: out of the cache, or else decoded."""
        if cache is not None and (found := cache.get(first + number)) is not None:
            return found
        member = self.shards.members(unit.row)[unit.part + number * unit.parts]
        key, source = member["__key__"], self.source
        if source.draw is None:
            pictures = unpack_pictures(member, source.redraw)
            arrays = [array for array in pictures if array is not None]
        else:
            arrays = [clean_of(member)]
        if cache is not None:
            cache.put(first + number, key, arrays)
        return key, arrays

    def _prepare(self, key: str, arrays: list[Array], epoch: int) -> Arrays:
        """Augment and crop; on the fly, damage is drawn last, on the finished crop."""
        seed, *words = seeds.words(self.stream.seed, "augment", *self.words, epoch, key)
        parts = self.augment(dict(zip(NAMES, arrays, strict=False)), seed)
        parts = _crop(parts, self.stream.section.crop, words)
        if self.source.draw is None:
            return Arrays(**parts)
        tile = np.empty(parts["clean"].shape, np.uint8)
        copy_turned(parts["clean"], tile)
        rng_of = partial(seeds.brief, self.stream.seed, "fly", *self.words, epoch, key)
        drawn = self.source.draw(tile, rng_of)
        return Arrays(drawn.clean, drawn.corrupted, drawn.mask, drawn.keep)

    def _rng(self, purpose: str, *words: str | int) -> np.random.Generator:
        return seeds.rng(self.stream.seed, purpose, *self.words, *words)

    def _cache(self, lane: int, length: int) -> RawCache | None:
        """Its file for this stream: the room is shared out by the number of samples."""
        room = self.stream.section.cache_gigabytes * GIGABYTE
        if not room or self.stream.cache is None:
            return None
        everything = self.total * len(self.stream.sources)
        made = [[unit.row.sha256, unit.part, unit.parts] for unit in self.units[lane]]
        mode = "stored" if self.source.draw is None else "fly"
        return RawCache(
            self.stream.cache / f"{self.number}-{lane}.raw",
            sha256_bytes(to_json([mode, made]).encode()),
            length,
            int(room * length / everything),
        )


def _crop(arrays: dict[str, Array], side: int, words: list[int]) -> dict[str, Array]:
    """A window at a place that the first two 64-bit `words` tell."""
    height, width = arrays["clean"].shape[:2]
    if side > min(height, width):
        raise ParamsError(
            "crop", f"{side} px is larger than the tiles ({height}x{width})", "lower it"
        )
    top = seeds.below(words[0], height - side + 1)
    left = seeds.below(words[1], width - side + 1)
    return {name: array[top : top + side, left : left + side] for name, array in arrays.items()}
