"""Where photos come from: each source brings its files into a folder and lists what it brought."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from pipeline.config import Registry, Section, validate
from pipeline.errors import ParamsError, SourceError
from pipeline.files import copy_file, printable, sha256_file, write_json

LISTING = "listing.json"  # written last: where it stands, the source is whole
DOWNLOADS = ".work/downloads"  # of a project: archives as they came, by their hash
# ``progress(files done, files in all)``, and ``progress(bytes, bytes in all, name)`` of a download
Progress = Callable[..., None]


class ListedFile(Section):
    """A file that a source brought. `split` is official where the source has one, else null;
    `no_test` leaves it to the index, but for the test split.

    A photo that came with its damaged twin has that in `corrupted`, and the mask of the damage in
    `mask`, null where the source has none: missing is not empty.
    """

    name: str
    file: str
    num_bytes: int
    sha256: str
    split: str | None
    group: str | None
    licence: str | None
    no_test: bool = False
    corrupted: str | None = None
    corrupted_sha256: str | None = None
    mask: str | None = None
    mask_sha256: str | None = None


class LeftOut(Section):
    """What a source did not bring, though it looks like a photo, and why."""

    name: str
    reason: str


class Listing(Section):
    """What a source brought, sorted by name, and what it left out."""

    source: str
    files: tuple[ListedFile, ...]
    left_out: tuple[LeftOut, ...] = ()

    def names(self) -> set[str]:
        """Every file that belongs to the fetched source, its listing included."""
        rows = ((row.file, row.corrupted, row.mask) for row in self.files)
        return {LISTING} | {name for row in rows for name in row if name is not None}


class Brought(NamedTuple):
    """What `Source.fetch` tells."""

    files: list[ListedFile]
    left_out: list[LeftOut]


class Source(Section):
    """A source's block in params.yaml; subclasses live one in a file."""

    brings_damage: ClassVar[bool] = False  # may its photos have damaged twins?

    def check(self, root: Path) -> list[SourceError]:
        """What `fetch` would refuse at once: told without a look at photos or the network."""
        return []

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Bring the files into `folder`, skipping those already whole. Relative paths start at
        `root`; downloads are kept below it, in DOWNLOADS."""
        raise NotImplementedError

    def own(self, root: Path) -> list[Path]:
        """The user's own files and folders that it reads, which no output may touch."""
        return []


def no_folder(name: str, tree: Path) -> list[SourceError]:
    """The problem of a source that reads `tree`, if that is no folder."""
    if tree.is_dir():
        return []
    return [SourceError(f"source {name}: {tree}", "is no folder", "create it or mend its path")]


SOURCES: Registry[type[Source]] = Registry("source", "pipeline.sources")


def make_source(name: str, block: Any) -> Source:
    """The source `name` with its params."""
    return validate(block if block is not None else {}, f"sources.{name}", SOURCES[name])


def write_listing(
    folder: Path, name: str, files: list[ListedFile], left_out: Iterable[LeftOut] = ()
) -> Listing:
    """Finish a source: its listing, sorted, in `folder`."""
    listing = Listing(
        source=name,
        files=tuple(sorted(files, key=lambda one: (one.file, one.corrupted or ""))),
        left_out=tuple(sorted(left_out, key=lambda one: one.name)),
    )
    write_json(folder / LISTING, listing.model_dump(mode="json"))
    return listing


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
    return f"{stem}-{sha256[:32]}{suffix}"


def take(
    path: Path,
    name: str,
    folder: Path,
    how: Callable[[Path, Path], None] = copy_file,
    split: str | None = None,
    licence: str | None = None,
) -> ListedFile:
    """Bring one file into `folder` under a safe name, unless it is there; `name` is its own."""
    try:
        digest, size = sha256_file(path), path.stat().st_size
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise SourceError(printable(path), reason, "make it readable or move it") from None
    file = plain_name(Path(name).stem, digest, path.suffix.lower())
    if not is_whole(folder / file, digest, size):
        how(path, folder / file)
    return ListedFile(
        name=name, file=file, num_bytes=size, sha256=digest, split=split, group=None,
        licence=licence,
    )  # fmt: skip


def scratch(folder: Path) -> Path:
    """Where the source at `folder` unpacks its archives; of no use once its listing stands."""
    return folder.parent / f".{folder.name}-unpacked"


def is_whole(path: Path, sha256: str, num_bytes: int | None = None) -> bool:
    """Is this very file already there?"""
    if not path.is_file() or num_bytes not in (None, path.stat().st_size):
        return False
    return sha256_file(path) == sha256
