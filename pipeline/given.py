"""The recipe `given`: no damage is drawn, photos bring their own; the same window is cut from the
clean photo, its damaged twin and the mask."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import photos
from pipeline.errors import ImageError, ParamsError
from pipeline.images import Array, to_uint8
from pipeline.reading import read_photo
from pipeline.samples import MISSING, Sample
from pipeline.splits import Photo
from pipeline.tiling import TileSpec, cut_tile

GIVEN = "given"


@dataclass(frozen=True)
class GivenMaker:
    """Makes the samples of photos in `folder` that have a `corrupted` file; travels to worker
    processes.

    A story says ``given: true``, and of its mask "given" or "missing": then there is no mask file.
    """

    folder: Path
    max_megapixels: float

    def __call__(self, spec: TileSpec, tile: Array) -> Sample:
        """The sample of one window; `tile` is that of the clean photo."""
        photo = spec.photo
        corrupted, mask = _twin(self.folder, photo, self.max_megapixels)
        story = {
            "recipe": GIVEN,
            "given": True,
            "mask": MISSING if photo.mask is None else GIVEN,
            "photo_side": min(photo.width, photo.height),
            "steps": [],
            "photo": spec.origin,
        }
        return Sample(
            spec.key, tile, cut_tile(corrupted, spec), cut_tile(mask, spec)[:, :, 0], story
        )


def check_given(steps: Sequence[object], profile: str, found: Iterable[Photo]) -> list[Photo]:
    """The photos that bring their own damage. Raises ParamsError for a recipe `given` with steps,
    or with stories, since there is nothing to draw again."""
    if steps:
        where = f"params: recipes.{GIVEN}.steps"
        raise ParamsError(where, "its photos bring their own damage", "write steps: []")
    if profile == "story":
        where = f"params: recipes.{GIVEN}.profile"
        raise ParamsError(where, "its damage cannot be drawn again", "write profile: png")
    return [photo for photo in found if photo.corrupted is not None]


@functools.lru_cache(maxsize=2)  # a shard's tiles come photo by photo
def _twin(folder: Path, photo: Photo, max_megapixels: float) -> tuple[Array, Array]:
    """The damaged photo, uint8 H×W×3, and its mask, uint8 H×W×1 of 0 and 255."""
    size = (photo.height, photo.width)
    corrupted = to_uint8(_decode(folder, photo.corrupted, photo.corrupted_sha256, max_megapixels))
    mask = np.zeros((*size, 1), np.uint8)
    if photo.mask is not None:
        marks = _decode(folder, photo.mask, photo.mask_sha256, max_megapixels)
        mask = np.where(marks.any(axis=2, keepdims=True), np.uint8(255), np.uint8(0))
    for name, pixels in ((photo.corrupted, corrupted), (photo.mask, mask)):
        if pixels.shape[:2] != size:
            raise ImageError(folder / str(name), "has not the size of its photo", "fetch it again")
    return corrupted, mask


def _decode(folder: Path, name: str | None, sha256: str | None, max_megapixels: float) -> Array:
    data = read_photo(folder / str(name), max_megapixels, sha256)
    return photos.decode(data, max_megapixels).pixels
