"""Shard folders: a manifest written last, and verified whole before any of it is used."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.config import Section, validate
from pipeline.errors import ParamsError, ShardError
from pipeline.files import sha256_bytes, to_json, write_bytes
from pipeline.samples import Redraw, Sample, unpack

MANIFEST = "manifest.json"
FORMAT = 3
SPLITS = ("train", "val", "test")


class ShardRow(Section):
    """A shard as its manifest knows it. `content_sha256` is over pixels and stories, whatever the
    codec."""

    name: str
    split: str
    num_samples: int
    num_bytes: int
    sha256: str
    content_sha256: str


class ShardManifest(Section):
    """Written last: where it stands, the shards are whole. `sha256` is over all the rest of it.

    `profile` of the train split: "png" holds clean, corrupted and mask without loss; "jpeg" the two
    pictures at quality 95; "story" the tile alone, on which the story is drawn again by whoever
    reads. Val and test are always "png".
    """

    format: int
    recipe: str
    profile: str
    opencv: str
    shards: tuple[ShardRow, ...]
    sha256: str

    def of_split(self, split: str) -> list[ShardRow]:
        """The rows of one split, in order."""
        return [row for row in self.shards if row.split == split]

    def num_samples(self, split: str) -> int:
        """Samples in a split."""
        return sum(row.num_samples for row in self.of_split(split))


def read_manifest(folder: Path) -> ShardManifest:
    """The manifest of a shard folder; no other file is looked for."""
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ShardError(folder, "holds no manifest", "run `patina synth` or `dvc repro`") from None
    except (ValueError, RecursionError):
        raise ShardError(path, "is not JSON", "run synth again") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = data.get("format") if isinstance(data, dict) else None
        raise ShardError(path, f"format {found}, this is {FORMAT}", "run synth again")
    try:
        manifest = validate(data, MANIFEST, ShardManifest)
    except ParamsError as error:
        raise ShardError(path, error.what, "run synth again") from None
    if manifest.sha256 != _seal(data):
        raise ShardError(path, "has been edited or cut", "run synth again")
    for row in manifest.shards:
        if not re.fullmatch(rf"{re.escape(row.split)}-[0-9]+\.tar", row.name):
            raise ShardError(path, f"{row.name} is no {row.split} shard", "run synth again")
        if not (folder / row.name).is_file():
            raise ShardError(folder / row.name, "is missing", "run synth again")
    return manifest


def write_manifest(
    folder: Path, recipe: str, opencv: str, shards: Iterable[ShardRow], profile: str = "png"
) -> ShardManifest:
    """Finish a shard folder. `opencv`: its version, since versions differ in resizing and warps."""
    data = manifest_bytes(recipe, opencv, shards, profile)
    write_bytes(folder / MANIFEST, data)
    return validate(json.loads(data), MANIFEST, ShardManifest)


def manifest_bytes(recipe: str, opencv: str, shards: Iterable[ShardRow], profile: str) -> bytes:
    """The content of a manifest file."""
    rows = [row.model_dump(mode="json") for row in shards]
    head = {"format": FORMAT, "recipe": recipe, "profile": profile, "opencv": opencv}
    data = {**head, "shards": rows}
    data["sha256"] = _seal(data)
    return (to_json(data, indent=1) + "\n").encode()


def read_shard(folder: Path, row: ShardRow) -> list[dict[str, Any]]:
    """All members of a shard, still encoded: hashed, then counted, refused whole."""
    # Here, because webdataset imports torch, which the processes that write shards do without.
    from webdataset.tariterators import group_by_keys, tar_file_expander

    path = folder / row.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ShardError(path, error.strerror or "cannot be read", "run synth again") from None
    if len(data) != row.num_bytes or sha256_bytes(data) != row.sha256:
        raise ShardError(path, "its bytes are not those of the manifest", "run synth again")
    opened = tar_file_expander([{"url": row.name, "stream": io.BytesIO(data)}])
    members = list(group_by_keys(opened))
    if len(members) != row.num_samples:
        raise ShardError(path, f"{len(members)} samples, not {row.num_samples}", "run synth again")
    return members


def read_samples(folder: Path, split: str, redraw: Redraw | None = None) -> Iterator[Sample]:
    """Every sample of a split, in order."""
    manifest = read_manifest(folder)
    for row in manifest.of_split(split):
        for member in read_shard(folder, row):
            yield unpack(member, redraw)


def read_stories(folder: Path, split: str) -> Iterator[dict[str, Any]]:
    """The stories of a split, in order: fast, for pictures are skipped, and nothing is hashed."""
    for row in read_manifest(folder).of_split(split):
        path = folder / row.name
        try:
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    if member.name.endswith(".json") and (file := tar.extractfile(member)):
                        yield json.loads(file.read())
        except (OSError, ValueError, RecursionError, tarfile.TarError):
            raise ShardError(path, "cannot be read as a tar", "run synth again") from None


def find_sample(folder: Path, key: str, redraw: Redraw | None = None) -> tuple[Sample, str]:
    """The sample whose key is `key`, or begins with it when that is unique, and its split."""
    manifest = read_manifest(folder)
    found: list[tuple[dict[str, Any], str]] = []
    for row in manifest.shards:
        for member in read_shard(folder, row):
            if member["__key__"] == key:
                return unpack(member, redraw), row.split
            if member["__key__"].startswith(key):
                found.append((member, row.split))
    if len(found) != 1:
        what = f"{len(found)} samples begin with it" if found else "no such sample"
        raise ShardError(f"{folder}: {key}", what, "give the whole key (`patina show` lists some)")
    return unpack(found[0][0], redraw), found[0][1]


def _seal(data: dict[str, Any]) -> str:
    rest = {name: value for name, value in data.items() if name != "sha256"}
    return sha256_bytes(to_json(rest).encode())
