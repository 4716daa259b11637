"""Samples as plain files, for other people's programs:
``<split>/{clean,corrupted,mask}/KEY.png``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline import png
from pipeline.config import validate
from pipeline.errors import ParamsError
from pipeline.files import sha256_bytes, sha256_file, to_json, write_bytes, write_json
from pipeline.samples import Sample, content_sha256
from pipeline.shards import ShardRow
from pipeline.synthesis import MakeSample, make_samples
from pipeline.tiling import ShardSpec

LISTING = "files.json"  # written last: path → sha256


@dataclass(frozen=True)
class FolderStore:
    """A `synthesis.AnyStore`. Planned shards remain the units of work and of resume. `story/`
    stands beside the pictures, and `keep/` where a recipe has something to preserve. A mask that is
    missing is no file.
    """

    folder: Path

    def make(self, spec: ShardSpec, make_sample: MakeSample) -> ShardRow:
        """Write the files of one planned shard; their receipt comes last."""
        files: dict[str, str] = {}
        content, size = [], 0
        for sample in make_samples(spec, make_sample):
            for name, data in _files(spec.split, sample).items():
                write_bytes(self.folder / name, data)
                files[name] = sha256_bytes(data)
                size += len(data)
            content.append(content_sha256(sample))
        row = ShardRow(
            name=spec.name,
            split=spec.split,
            num_samples=len(content),
            num_bytes=size,
            sha256=sha256_bytes(to_json(files).encode()),
            content_sha256=sha256_bytes("\n".join(content).encode()),
        )
        write_json(self._receipt(spec.name), {"row": row.model_dump(mode="json"), "files": files})
        return row

    def find(self, spec: ShardSpec) -> ShardRow | None:
        """The row of what an earlier run finished, if all its files are still the same."""
        try:
            receipt = json.loads(self._receipt(spec.name).read_text(encoding="utf-8"))
            row = validate(receipt["row"], spec.name, ShardRow)
            files = dict(receipt["files"])
            whole = all(sha256_file(self.folder / name) == digest for name, digest in files.items())
        except (OSError, ValueError, RecursionError, ParamsError, KeyError, TypeError):
            return None
        return row if whole else None

    def finish(self, recipe: str, rows: list[ShardRow]) -> None:
        """List every file with its hash."""
        files: dict[str, str] = {}
        for row in rows:
            receipt = json.loads(self._receipt(row.name).read_text(encoding="utf-8"))
            files |= receipt["files"]
        write_json(self.folder / LISTING, {"recipe": recipe, "files": files})

    def _receipt(self, name: str) -> Path:
        return self.folder.parent / "receipts" / f"{name}.json"


def _files(split: str, sample: Sample) -> dict[str, bytes]:
    files = {
        f"{split}/clean/{sample.key}.png": png.encode(sample.clean),
        f"{split}/corrupted/{sample.key}.png": png.encode(sample.corrupted),
        f"{split}/story/{sample.key}.json": to_json(sample.story).encode(),
    }
    for name, mask in (("mask", sample.known_mask), ("keep", sample.keep)):
        if mask is not None:
            files[f"{split}/{name}/{sample.key}.png"] = png.encode_mask(mask)
    return files
