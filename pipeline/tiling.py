"""From photos to tiles: which windows of which photos make up which shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipeline import seeds
from pipeline.config import Positive, Section
from pipeline.files import sha256_bytes, to_json
from pipeline.images import Array
from pipeline.splits import Photo


class SynthesisSection(Section):
    """At most `photos_per_group` photos share their shards; `samples_per_shard` fills one.

    Photos are grouped by the leading bits of a seeded hash, and a group that is too large is halved
    by the next bit: a photo added redraws its own group alone. A group with as many samples as a
    shard holds decodes each photo once; a smaller shard mixes the photos of its group instead.
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

    @property
    def origin(self) -> dict[str, Any]:
        """Where the window is from, as stories tell it; lengths in px of the whole photo."""
        photo = self.photo
        return {
            "source": photo.source,
            "name": photo.name,
            "width": photo.width,
            "height": photo.height,
            "top": self.top,
            "left": self.left,
        }


@dataclass(frozen=True)
class ShardSpec:
    """All that a worker needs to make one shard, and nothing that depends on the worker."""

    name: str
    split: str
    folder: Path
    max_megapixels: float
    tiles: tuple[TileSpec, ...]

    def fingerprint(self, maker: str) -> str:
        """What this shard's bytes depend on: its tiles, in order, and the code and params of their
        `maker`."""
        tiles = [[*tile[1:], tile.photo.source, tile.photo.name] for tile in self.tiles]
        return sha256_bytes(to_json([maker, self.split, tiles]).encode())


class Cut(Protocol):
    """How one split is cut (a `corruptions.Tiles`)."""

    @property
    def side(self) -> int: ...
    @property
    def per_photo(self) -> int: ...
    @property
    def variants(self) -> int: ...


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
    photos_by_id = {photo.id: photo for photo in photos}
    places = {photo.id: seeds.derive(seed, "order", photo.id) for photo in photos_by_id.values()}
    ordered = sorted(photos_by_id.values(), key=lambda photo: places[photo.id])
    chunks = []
    for group in _group(ordered, places, section.photos_per_group, 1 << 63):
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


def _group(
    photos: list[Photo], places: dict[str, int], size: int, bit: int
) -> Iterator[list[Photo]]:
    if len(photos) <= size or not bit:
        if photos:
            yield photos
        return
    for half in (0, bit):
        part = [photo for photo in photos if places[photo.id] & bit == half]
        yield from _group(part, places, size, bit >> 1)
