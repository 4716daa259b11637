"""Shards as streams read them: whole and verified, the latest ones kept."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from pipeline.addresses import printable
from pipeline.errors import ShardError
from pipeline.shards import ShardRow, read_manifest, read_shard

MAX_KEPT = 128_000_000  # bytes of shards that are kept: several streams own parts of one


class Shards:
    """The shards at `place`: a folder, or an http(s), s3 or other fsspec address of one.
    `manifest`: the sha256 that its manifest must tell."""

    def __init__(self, place: Path | str, manifest: str | None = None) -> None:
        self.place, self.manifest = place, manifest
        self._kept: OrderedDict[str, tuple[int, list[dict[str, Any]]]] = OrderedDict()

    def __str__(self) -> str:
        return printable(self.place)

    def rows(self, split: str) -> list[ShardRow]:
        """The shards of a split, by the manifest."""
        found = read_manifest(self.place)
        if self.manifest not in (None, found.sha256):
            raise ShardError(str(self), "other shards than at the start", "run it again")
        return found.of_split(split)

    def members(self, row: ShardRow) -> list[dict[str, Any]]:
        """All samples of a shard, still encoded: hashed, then counted, refused whole."""
        if row.name in self._kept:
            self._kept.move_to_end(row.name)
            return self._kept[row.name][1]
        members = read_shard(self.place, row)
        self._kept[row.name] = row.num_bytes, members
        while sum(size for size, _ in self._kept.values()) > MAX_KEPT:
            self._kept.popitem(last=False)
        return members
