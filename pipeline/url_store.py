"""Shards behind a URL: in S3, or wherever else fsspec can write."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import fsspec

from pipeline.config import validate
from pipeline.errors import ParamsError, PipelineError
from pipeline.files import sha256_bytes, to_json
from pipeline.shards import MANIFEST, ShardRow, manifest_bytes
from pipeline.synthesis import MakeSample, make_shard
from pipeline.tiling import ShardSpec

Got = TypeVar("Got")
Beside = Callable[[list[ShardRow]], dict[str, bytes]]
# S3 says "forbidden" of a missing key to those who may not list.
ABSENT = (FileNotFoundError, PermissionError)
LASTING = (ImportError, NotImplementedError, ValueError, TypeError)
MARKS = ("ETag", "etag", "md5Hash")  # what stores tell of an object's content
MAX_TOLD = 200  # letters of a store's own error


class StoreError(PipelineError):
    """A store at a URL refuses, or cannot be reached."""


@dataclass(frozen=True)
class UrlStore:
    """A `synthesis.AnyStore` at `url`, such as ``s3://bucket/prefix``. `profile`: as in `Store`;
    `maker`: the fingerprint of code and params that make its samples; `beside`: the files that are
    put beside the shards.

    A shard is put whole, then its receipt (``receipts/<shard>.json``), the manifest last of all. An
    earlier shard counts if its receipt is of the very same tiles and maker, and the object has the
    size and the ETag told there (its sha256, where a store has no ETags). Nothing is ever listed:
    objects of other names are neither seen nor removed.

    There is no lock, for a store has none: two runs of one recipe at one URL do no more than double
    work, two of different recipes or params spoil each other's shards. Such a mixture is refused
    by its readers, since the manifest holds every shard's sha256.
    """

    url: str
    profile: str
    maker: str
    beside: Beside | None = None
    num_tries: int = 5
    pause: float = 0.5  # seconds before the second try; doubled before each further one

    def begin(self) -> None:
        """Take an older manifest away, for it may soon be wrong."""
        try:
            self._ask(MANIFEST, lambda files, path: files.rm_file(path))
        except FileNotFoundError:
            pass
        except PermissionError as error:
            raise self._error(MANIFEST, error) from None

    def make(self, spec: ShardSpec, make_sample: MakeSample) -> ShardRow:
        """Make one shard and put it; its receipt comes last."""
        profile = self.profile if spec.split == "train" else "png"
        data, row = make_shard(spec, make_sample, profile)
        self._put(row.name, data)
        try:
            mark = self._mark(row)
        except ABSENT as error:
            raise self._error(row.name, error) from None
        if mark is None:
            raise self._error(row.name, OSError("it is not there as it was put"))
        told = row.model_dump(mode="json")
        receipt = {"fingerprint": spec.fingerprint(self.maker), "mark": mark, "row": told}
        self._put(_receipt(row.name), to_json(receipt, indent=1).encode())
        return row

    def find(self, spec: ShardSpec) -> ShardRow | None:
        """The row of a shard that an earlier run put, if it still stands there."""
        try:
            data = self._ask(_receipt(spec.name), lambda files, path: files.cat_file(path))
            receipt = json.loads(data)
            row = validate(receipt["row"], spec.name, ShardRow)
            same = receipt["fingerprint"] == spec.fingerprint(self.maker) and row.name == spec.name
            whole = same and self._mark(row) == str(receipt["mark"])
        except (*ABSENT, ValueError, RecursionError, ParamsError, KeyError, TypeError):
            return None
        return row if whole else None

    def finish(self, recipe: str, rows: list[ShardRow]) -> None:
        """Put what stands beside the shards, and the manifest."""
        for name, data in (self.beside(rows) if self.beside else {}).items():
            self._put(name, data)
        self._put(MANIFEST, manifest_bytes(recipe, cv2.__version__, rows, self.profile))

    def _mark(self, row: ShardRow) -> str | None:
        """What tells this content from any other; None if the object has another size."""
        info = self._ask(row.name, lambda files, path: files.info(path))
        if info["size"] != row.num_bytes:
            return None
        told = next((str(info[name]) for name in MARKS if info.get(name)), None)
        if told is not None:
            return told
        return sha256_bytes(self._ask(row.name, lambda files, path: files.cat_file(path)))

    def _put(self, name: str, data: bytes) -> None:
        try:
            self._ask(name, lambda files, path: files.pipe_file(path, data))
        except ABSENT as error:
            raise self._error(name, error) from None

    def _ask(self, name: str, act: Callable[[Any, str], Got]) -> Got:
        """``act(file system, path)``, tried again when the store stumbles. What is absent or
        forbidden raises as it is, all else a StoreError."""
        for turn in itertools.count():
            try:
                files, base = self._open()
                return act(files, f"{base}/{name}")
            except ABSENT:
                raise
            except Exception as error:  # every file system has errors of its own
                lasting = isinstance(error, LASTING) or "Credentials" in type(error).__name__
                if lasting or turn + 1 >= self.num_tries:
                    raise self._error(name, error) from error
                time.sleep(self.pause * 2**turn)
        raise AssertionError

    def _open(self) -> tuple[Any, str]:
        local = self.url.startswith(("file:", "local:"))
        files, base = fsspec.core.url_to_fs(self.url, **({"auto_mkdir": True} if local else {}))
        return files, base.rstrip("/")

    def _error(self, name: str, error: Exception) -> StoreError:
        where = re.sub(r"//[^/@]*@", "//", self.url.rstrip("/"))  # passwords are not told
        what = f"{type(error).__name__}: {error}"[:MAX_TOLD].removesuffix(": ")
        if isinstance(error, ImportError):
            step = "install that and run it again"
        elif isinstance(error, LASTING):
            step = "name a URL that can be written"
        else:
            step = "mend that and run it again, it goes on where it stopped"
        return StoreError(f"{where}/{name}", what, step)


def is_url(text: str) -> bool:
    """Is it a URL, not a path of this machine?"""
    return re.match(r"[a-z][a-z0-9+.-]*:(//|:)", text, re.IGNORECASE) is not None


def _receipt(name: str) -> str:
    return f"receipts/{name}.json"
