"""A folder of clean pictures: read under limits, and looked up among those that were trained on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline import photos, splits
from pipeline.errors import ImageError, PipelineError
from pipeline.images import Array, to_uint8
from pipeline.reading import read_photo
from pipeline.splits import Photo
from pipeline.twins import find_twins, look_of

MAX_COMPARED = 2_000  # megapixels of training photos that are decoded to look for near-duplicates

Progress = Callable[[int, int], None]


class Seen(NamedTuple):
    """What is kept of a picture: `name` below its folder, `gray` where its file stores no color,
    `id` as the index has it (`splits.pixel_id`), `look` 32×32 uint8."""

    name: str
    path: Path
    height: int
    width: int
    gray: bool
    id: str
    look: Array


class Trained(NamedTuple):
    """`names` of pictures that the train split of the index holds; `note`: what was not looked
    at, or empty."""

    names: list[str]
    note: str


def read_pixels(path: Path, max_megapixels: float) -> tuple[Array, bool]:
    """uint8 H×W×3, and whether the file is gray. Raises ImageError, which names the file."""
    try:
        picture = photos.decode(read_photo(path, max_megapixels), max_megapixels)
    except ImageError as error:
        step = "mend it or move it away: a benchmark is of whole sets"
        raise ImageError(path, error.what, step) from None
    return to_uint8(picture.pixels), picture.gray


def see(path: Path, name: str, max_megapixels: float) -> Seen:
    """Read a picture once, to know what it is. Raises ImageError."""
    pixels, gray = read_pixels(path, max_megapixels)
    height, width = pixels.shape[:2]
    return Seen(name, path, height, width, gray, splits.pixel_id(pixels), look_of(pixels))


def trained_on(
    pictures: Sequence[Seen], index: Path, folder: Path, max_megapixels: float, progress: Progress
) -> Trained:
    """Which pictures, or near-duplicates of them, are in the train split of an `index` of `folder`.

    Equal pixels are found in the index alone; near-duplicates need the photos themselves.
    """
    try:
        known = [row for row in splits.read_index(index) if row.split == "train"]
    except PipelineError as error:
        return Trained([], f"not compared with the training photos: {error.what}")
    ids = {row.id for row in known}
    same = {one.name for one in pictures if one.id in ids}
    size = sum(row.width * row.height for row in known) / photos.MEGAPIXEL
    if size > MAX_COMPARED:
        note = f"near-duplicates were not sought among {size:.0f} megapixels of training photos"
        return Trained(sorted(same), note)
    looks, missing = _looks(known, folder, max_megapixels, progress)
    if looks:
        stack = np.stack([*(one.look for one in pictures), *looks])
        pairs = find_twins(stack)
        crossing = (pairs[:, 0] < len(pictures)) & (pairs[:, 1] >= len(pictures))
        same |= {pictures[place].name for place in pairs[crossing, 0]}
    note = f"{missing} training photos cannot be read, and were compared by their pixels alone"
    return Trained(sorted(same), note if missing else "")


def _looks(
    known: Sequence[Photo], folder: Path, max_megapixels: float, progress: Progress
) -> tuple[list[Array], int]:
    """The looks of photos, and how many could not be read."""
    looks, missing = [], 0
    for done, row in enumerate(known, 1):
        try:
            looks.append(look_of(splits.load_photo(folder, row, max_megapixels)))
        except ImageError:
            missing += 1
        progress(done, len(known))
    return looks, missing
