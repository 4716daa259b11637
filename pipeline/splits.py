"""The index as others read it: one row a picture, named by its pixels, each in one split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import Field, model_validator

from pipeline import images, seeds
from pipeline import photos as photo_files
from pipeline.complaints import broken
from pipeline.config import MAX_MEGAPIXELS, Section, Share, validate
from pipeline.errors import ParamsError, PipelineError
from pipeline.reading import read_photo

Array = images.Array


class PhotoIndexError(PipelineError):
    """The index cannot be built or used."""


class IndexSection(Section):
    """`val_share` and `test_share` of the groups without an official split; `max_megapixels` a
    photo; `max_rejected_share` of files may be unreadable before the stage fails."""

    val_share: float = Field(ge=0, lt=1)
    test_share: float = Field(ge=0, lt=1)
    max_megapixels: float = Field(gt=0, le=MAX_MEGAPIXELS)
    max_rejected_share: Share

    @model_validator(mode="after")
    def _some_train(self) -> IndexSection:
        if self.val_share + self.test_share >= 1:
            raise broken("test_share", "must leave, with val_share, something for training")
        return self


class Photo(Section):
    """A row. `id`: sha256 of the decoded pixels; `path`: relative to the indexed folder.

    `group`: the near-duplicates that share its split; `official`: its source gives the split;
    `no_test`: its source keeps it out of the test split.
    `corrupted` and `mask` are files like `path` where the source brings its own damage: then the id
    covers their bytes too. A missing mask is null.
    """

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
    official: bool = False
    no_test: bool = False
    corrupted: str | None = None
    corrupted_sha256: str | None = None
    mask: str | None = None
    mask_sha256: str | None = None
    licence: str | None = None


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


def split_of(group: str, section: IndexSection, seed: int, no_test: bool = False) -> str:
    """A group's split, from its name alone, so that newcomers never move the others."""
    place = place_of(group, seed)
    if no_test:
        return "val" if place < section.val_share else "train"
    if place < section.test_share:
        return "test"
    return "val" if place < section.test_share + section.val_share else "train"


def place_of(group: str, seed: int) -> float:
    """Where a group falls in 0..1."""
    return seeds.derive(seed, "split", group) / 2**64


def load_photo(folder: Path, photo: Photo, max_megapixels: float) -> Array:
    """The pixels of a row, uint8 H×W×3. Raises ImageError when the file has changed since."""
    data = read_photo(folder / photo.path, max_megapixels, photo.sha256)
    return photo_files.decode_known(data, max_megapixels)


def photos_of(photos: Iterable[Photo], sources: Iterable[str], split: str) -> Iterator[Photo]:
    """The rows of some sources and one split."""
    wanted = set(sources)
    return (photo for photo in photos if photo.source in wanted and photo.split == split)
