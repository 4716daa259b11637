"""Shard folders: a manifest written last, and verified whole before any of it is used."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import addresses
from pipeline.config import Section, validate
from pipeline.errors import ParamsError, ShardError
from pipeline.files import sha256_bytes, to_json, write_bytes
from pipeline.samples import BLOCK, END_OF_TAR, Redraw, Sample, unpack

MANIFEST = "manifest.json"
FORMAT = 3
MAX_MANIFEST = 1_000_000_000  # bytes that come from an address
OWN_KIND = b"0" + bytes(100) + b"ustar\x0000"  # in a tar header: a plain file, no link
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


def read_manifest(folder: Path | str) -> ShardManifest:
    """The manifest of a shard folder, or of the same behind an address; of other files no more is
    asked than that those of a folder are there."""
    path = addresses.join(folder, MANIFEST)
    try:
        data = addresses.read(path, MAX_MANIFEST)
    except OSError:
        raise ShardError(folder, "holds no manifest", "run `patina synth` or `dvc repro`") from None
    manifest = _parse_manifest(data, addresses.printable(path))
    for row in manifest.shards:
        file = addresses.join(folder, row.name)
        if isinstance(file, Path) and not file.is_file():
            raise ShardError(file, "is missing", "run synth again")
    return manifest


def fingerprint_of_test(manifest: ShardManifest) -> str:
    """Hex sha256 that two sets of shards share when they measure on the same test samples: over the
    recipe's name and the content of its test shards, in order. Train and val samples, and codecs,
    are not in it."""
    content = [row.content_sha256 for row in manifest.of_split("test")]
    return sha256_bytes(to_json([manifest.recipe, content]).encode())


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


def read_shard(folder: Path | str, row: ShardRow) -> list[dict[str, Any]]:
    """All members of a shard, still encoded: hashed, then counted, refused whole."""
    # Here, because webdataset imports torch, which the processes that write shards do without.
    from webdataset.tariterators import group_by_keys, tar_file_expander

    data = _read_verified(folder, row)
    files = _own_files(data, row.name)
    if files is None:
        files = tar_file_expander([{"url": row.name, "stream": io.BytesIO(data)}])
    members = list(group_by_keys(files))
    if len(members) != row.num_samples:
        path = addresses.printable(addresses.join(folder, row.name))
        raise ShardError(path, f"{len(members)} samples, not {row.num_samples}", "run synth again")
    return members


def read_samples(folder: Path | str, split: str, redraw: Redraw | None = None) -> Iterator[Sample]:
    """Every sample of a split, in order."""
    manifest = read_manifest(folder)
    for row in manifest.of_split(split):
        for member in read_shard(folder, row):
            yield unpack(member, redraw)


def read_some(folder: Path | str, split: str, keys: Collection[str]) -> dict[str, Sample]:
    """The samples of these keys; of all others no picture is decoded."""
    found = {}
    for row in read_manifest(folder).of_split(split):
        for member in read_shard(folder, row):
            if member["__key__"] in keys:
                found[member["__key__"]] = unpack(member)
    return found


def read_stories(folder: Path | str, split: str) -> Iterator[dict[str, Any]]:
    """The stories of a split, in order: fast, for pictures are skipped, and nothing of a folder's
    is hashed."""
    for row in read_manifest(folder).of_split(split):
        path = addresses.join(folder, row.name)
        file = path if isinstance(path, Path) else io.BytesIO(_read_verified(folder, row))
        try:
            with _open_tar(file) as tar:
                for member in tar:
                    if member.name.endswith(".json") and (told := tar.extractfile(member)):
                        yield json.loads(told.read())
        except (OSError, ValueError, RecursionError, tarfile.TarError):
            where = addresses.printable(path)
            raise ShardError(where, "cannot be read as a tar", "run synth again") from None


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


def _read_verified(folder: Path | str, row: ShardRow) -> memoryview:
    path = addresses.join(folder, row.name)
    where = addresses.printable(path)
    try:
        if isinstance(path, Path):  # numpy takes its memory in huge pages: half the time
            data = np.fromfile(path, np.uint8).data
        else:
            data = memoryview(addresses.read(path, row.num_bytes))
    except OSError as error:
        raise ShardError(where, error.strerror or "cannot be read", "run synth again") from None
    if len(data) != row.num_bytes or sha256_bytes(data) != row.sha256:
        raise ShardError(where, "its bytes are not those of the manifest", "run synth again")
    return data


def _own_files(data: memoryview, url: str) -> list[dict[str, Any]] | None:
    """What webdataset's `tar_file_expander` gives of a tar as `samples` writes it, in a tenth of
    the time, pictures as views of `data`; None for any other."""
    files, place = [], 0
    while place < len(data) - len(END_OF_TAR):
        header = bytes(data[place : place + BLOCK])
        name, kind, rest = header[:100].rstrip(b"\0"), header[156:265], header[265:]
        if kind != OWN_KIND or rest.strip(b"\0") or name[:2] == b"__" or b"/" in name:
            return None
        try:
            size, start = int(header[124:135], 8), place + BLOCK
            told = name.decode("ascii")
        except ValueError:
            return None
        content: bytes | memoryview = data[start : start + size]
        if told.endswith(".json"):
            content = bytes(content)
        files.append({"fname": told, "data": content, "__url__": url})
        place = start + size + -size % BLOCK
    return files if data[place:] == END_OF_TAR else None


def _open_tar(file: Path | io.BytesIO) -> tarfile.TarFile:
    if isinstance(file, Path):
        return tarfile.open(file, "r:")
    return tarfile.open(fileobj=file, mode="r:")


def _parse_manifest(content: bytes, path: str) -> ShardManifest:
    try:
        data = json.loads(content.decode("utf-8"))
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
    return manifest


def _seal(data: dict[str, Any]) -> str:
    rest = {name: value for name, value in data.items() if name != "sha256"}
    return sha256_bytes(to_json(rest).encode())
