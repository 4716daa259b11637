"""Where photos come from: each source brings its files into a folder and lists what it brought."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import Registry, Section, validate
from pipeline.errors import ParamsError, SourceError
from pipeline.files import sha256_file, write_json

LISTING = "listing.json"  # written last: where it stands, the source is whole
Progress = Callable[[int, int], None]


class ListedFile(Section):
    """A file that a source brought. `split` is official where the source has one, else null."""

    name: str
    file: str
    num_bytes: int
    sha256: str
    split: str | None
    group: str | None
    licence: str | None


class Listing(Section):
    """What a source brought, sorted by name."""

    source: str
    files: tuple[ListedFile, ...]


class Source(Section):
    """A source's block in params.yaml; subclasses live one in a file."""

    def fetch(self, root: Path, folder: Path, progress: Progress) -> list[ListedFile]:
        """Bring the files into `folder`, skipping those already whole. Relative paths start at
        `root`."""
        raise NotImplementedError


SOURCES: Registry[type[Source]] = Registry("source", "pipeline.sources")


def make_source(name: str, block: Any) -> Source:
    """The source `name` with its params."""
    return validate(block if block is not None else {}, f"sources.{name}", SOURCES[name])


def write_listing(folder: Path, name: str, files: list[ListedFile]) -> None:
    """Finish a source: its listing, sorted, in `folder`."""
    listing = Listing(source=name, files=tuple(sorted(files, key=lambda file: file.file)))
    write_json(folder / LISTING, listing.model_dump(mode="json"))


def read_listing(folder: Path) -> Listing:
    """The listing of a fetched source."""
    try:
        data = json.loads((folder / LISTING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise SourceError(folder, "is not a fetched source", "run `patina fetch`") from None
    try:
        return validate(data, LISTING, Listing)
    except ParamsError as error:
        raise SourceError(folder / LISTING, error.what, "run `patina fetch` again") from None


def plain_name(name: str, sha256: str, suffix: str) -> str:
    """A file name that is safe on any disk: readable ASCII and the content's hash."""
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:40] or "photo"
    return f"{stem}-{sha256[:12]}{suffix}"


def is_whole(path: Path, num_bytes: int, sha256: str) -> bool:
    """Is this very file already there?"""
    return path.is_file() and path.stat().st_size == num_bytes and sha256_file(path) == sha256
