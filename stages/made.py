"""Which shard was made from what, so that a photo added redraws the shards that hold it, and no
others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pipeline.config import validate
from pipeline.errors import ParamsError
from pipeline.files import sha256_file, write_json
from pipeline.shards import ShardRow
from pipeline.synthesis import Store
from pipeline.tiling import ShardSpec


class Made:
    """The file `path` remembers it: fingerprint of tiles and `maker` → row. Without it, all is made
    again."""

    def __init__(self, path: Path, maker: str) -> None:
        self.path, self.maker = path, maker

    def reuse(self, specs: Sequence[ShardSpec], folder: Path, store: Store) -> None:
        """Take the shards over that still stand in `folder` as they were made."""
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return
        if not isinstance(known, dict):
            return
        for spec in specs:
            old = known.get(spec.fingerprint(self.maker))
            if old is None or store.find(spec) is not None:
                continue
            try:
                row = validate({**old, "name": spec.name}, spec.name, ShardRow)
                whole = sha256_file(folder / old["name"]) == row.sha256
            except (OSError, ParamsError, KeyError, TypeError):
                continue
            if whole:
                store.take(row, folder / old["name"])

    def remember(self, specs: Sequence[ShardSpec], rows: Sequence[ShardRow]) -> None:
        """Remember the shards that stand now."""
        told = {row.name: row.model_dump(mode="json") for row in rows}
        write_json(self.path, {spec.fingerprint(self.maker): told[spec.name] for spec in specs})
