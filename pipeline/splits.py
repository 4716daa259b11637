"""The index of photos: one row a picture, named by its pixels, each in one split; what is
unreadable is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from pipeline import images, seeds
from pipeline import photos as photo_files
from pipeline.complaints import broken
from pipeline.config import MAX_MEGAPIXELS, Section, validate
from pipeline.errors import ImageError, ParamsError, PipelineError
from pipeline.files import sha256_bytes

Array = images.Array


class PhotoIndexError(PipelineError):
    """The index cannot be built or used."""


class IndexSection(Section):
    """`val_share` and `test_share` of the groups without an official split; `max_megapixels` a
    photo."""

    val_share: float = Field(ge=0, lt=1)
    test_share: float = Field(ge=0, lt=1)
    max_megapixels: float = Field(gt=0, le=MAX_MEGAPIXELS)

    @model_validator(mode="after")
    def _some_train(self) -> IndexSection:
        if self.val_share + self.test_share >= 1:
            raise broken("test_share", "must leave, with val_share, something for training")
        return self


class Photo(Section):
    """A row. `id`: sha256 of the decoded pixels; `path`: relative to the indexed folder."""

    id: str
    source: str
    name: str
    path: str
    sha256: str
    width: int
    height: int
    gray: bool
    group: str
    split: str


class Candidate(NamedTuple):
    """A file that may become a row. An official `split` or `group` overrides the computed one;
    `sha256` is that of the listing, where there is one.
    """

    source: str
    name: str
    path: str
    split: str | None
    group: str | None
    sha256: str | None = None


Progress = Callable[[int, int], None]
Index = dict[str, Any]


def build_index(
    folder: Path,
    candidates: Iterable[Candidate],
    section: IndexSection,
    seed: int,
    progress: Progress,
) -> Index:
    """``{"photos": rows, "rejected": rows with name, path, reason}``, both sorted; the same for any
    order."""
    photos: dict[str, Photo] = {}
    rejected: list[dict[str, str]] = []
    # officially split photos first, so that a copy in another source never takes their place
    todo = sorted(candidates, key=lambda one: (one.split is None, one.source, one.path))
    for done, one in enumerate(todo, 1):
        try:
            photo = _read(folder, one, section, seed)
        except ImageError as error:
            rejected.append(_reject(one, error.what))
        else:
            twin = photos.setdefault(photo.id, photo)
            if twin is not photo:
                rejected.append(_reject(one, f"the same pixels as {twin.name} ({twin.source})"))
        progress(done, len(todo))
    rows = sorted(photos.values(), key=lambda photo: photo.id)
    rejected.sort(key=lambda row: (row["source"], row["path"]))
    return {"photos": [row.model_dump(mode="json") for row in rows], "rejected": rejected}


def read_index(path: Path) -> list[Photo]:
    """The photos of an index file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rows = list(data["photos"])
    except (OSError, ValueError, KeyError, TypeError):
        raise PhotoIndexError(path, "is no index", "run `patina index` or `dvc repro`") from None
    try:
        return [validate(row, "photos", Photo) for row in rows]
    except ParamsError as error:
        raise PhotoIndexError(path, error.what, "run `patina index` or `dvc repro`") from None


def pixel_id(pixels: Array) -> str:
    """sha256 of a picture's size and uint8 RGB bytes: the same photo under any name or
    container."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}\n".encode())
    digest.update(pixels.tobytes())
    return digest.hexdigest()


def split_of(group: str, section: IndexSection, seed: int) -> str:
    """A group's split, from its name alone, so that newcomers never move the others."""
    place = seeds.derive(seed, "split", group) / 2**64
    if place < section.test_share:
        return "test"
    return "val" if place < section.test_share + section.val_share else "train"


def load_photo(folder: Path, photo: Photo, max_megapixels: float) -> Array:
    """The pixels of a row, uint8 H×W×3. Raises ImageError when the file has changed since."""
    path = folder / photo.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(path, error.strerror or "cannot be read", "run fetch and index") from None
    if sha256_bytes(data) != photo.sha256:
        raise ImageError(path, "has changed since it was indexed", "run `patina index` again")
    return photo_files.decode_rgb(data, max_megapixels)


def photos_of(photos: Iterable[Photo], sources: Iterable[str], split: str) -> Iterator[Photo]:
    """The rows of some sources and one split."""
    wanted = set(sources)
    return (photo for photo in photos if photo.source in wanted and photo.split == split)


def _read(folder: Path, one: Candidate, section: IndexSection, seed: int) -> Photo:
    try:
        data = (folder / one.path).read_bytes()
    except OSError as error:
        raise ImageError(one.path, error.strerror or "cannot be read", "copy it again") from None
    if one.sha256 not in (None, sha256_bytes(data)):
        raise ImageError(one.path, "its bytes are not those that were fetched", "fetch it again")
    picture = photo_files.decode(data, section.max_megapixels)
    pixels = images.to_uint8(picture.pixels)
    identity = pixel_id(pixels)
    group = one.group or identity
    return Photo(
        id=identity,
        source=one.source,
        name=one.name,
        path=_printable(one.path),
        sha256=sha256_bytes(data),
        width=pixels.shape[1],
        height=pixels.shape[0],
        gray=picture.gray,
        group=group,
        split=one.split or split_of(group, section, seed),
    )


def _reject(one: Candidate, reason: str) -> dict[str, str]:
    path = _printable(one.path)
    return {"name": one.name, "path": path, "source": one.source, "reason": reason}


def _printable(path: str) -> str:
    """The path as text that any JSON file can hold, whatever bytes its name has."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
