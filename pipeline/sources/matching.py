"""Photos that come with their damaged twins: matched, looked at, and taken together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.errors import ImageError
from pipeline.files import copy_file
from pipeline.images import Array
from pipeline.photos import decode
from pipeline.reading import read_photo
from pipeline.sources import ListedFile, take

MAX_MEGAPIXELS = 400.0  # of what is looked at; of what is used, index.max_megapixels tells later
LIMIT = "the most that a picture of a pair may have"
MARKS = (1, 255, 65535)  # what a mask may call damaged, beside 0


class Pair(NamedTuple):
    """A clean photo, the same damaged, and where: null if nobody knows. `name`: the clean one's."""

    name: str
    clean: Path
    corrupted: Path
    mask: Path | None


def flaws(pair: Pair, told: Callable[[Path], str]) -> list[str]:
    """Why a pair cannot be used: unreadable files, other sizes, masks that are none. `told` gives
    a file's name for the user."""
    problems: list[str] = []
    sizes: dict[Path, tuple[int, ...]] = {}
    for path in (pair.clean, pair.corrupted, pair.mask):
        if path is None:
            continue
        try:
            pixels = decode(read_photo(path, MAX_MEGAPIXELS), MAX_MEGAPIXELS, LIMIT).pixels
        except ImageError as error:
            problems.append(f"{told(path)}: {error.what}")
        else:
            sizes[path] = pixels.shape[:2]
            if path == pair.mask and not is_mask(pixels):
                problems.append(f"{told(path)}: is no mask (0 and 1, or 0 and 255)")
    clean = sizes.get(pair.clean)
    for path, size in sizes.items():
        if clean is not None and size != clean:
            problems.append(f"{told(path)}: {_size(size)}, but {_size(clean)} is the clean one")
    return problems


def take_pair(
    pair: Pair,
    folder: Path,
    how: Callable[[Path, Path], None] = copy_file,
    split: str | None = None,
    licence: str | None = None,
) -> ListedFile:
    """Bring a pair into `folder`, as one row."""
    row = take(pair.clean, pair.name, folder, how, split, licence)
    corrupted = take(pair.corrupted, f"corrupted-{pair.corrupted.name}", folder, how)
    mask = take(pair.mask, f"mask-{pair.mask.name}", folder, how) if pair.mask else None
    told = {"corrupted": corrupted.file, "corrupted_sha256": corrupted.sha256}
    told |= {"mask": mask.file, "mask_sha256": mask.sha256} if mask else {}
    return row.model_copy(update=told)


def is_mask(pixels: Array) -> bool:
    """Does a picture hold 0 and one mark at most? JPEG's in-between values do not pass."""
    levels = np.unique(pixels)
    return len(levels[levels > 0]) <= 1 and all(int(one) in MARKS for one in levels[levels > 0])


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
