"""What tests of damage share: families with sensible ranges, tiles, the overlay bank."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from pipeline import seeds
from pipeline.config import validate
from pipeline.corruptions import CORRUPTIONS, Corruption, Recipe
from tests.conftest import ROOT, load_yaml, run_stage, small_params, write_params

PARAMS = load_yaml(ROOT / "params.yaml")
FAMILIES = CORRUPTIONS.names()
Array = np.ndarray
LEAST = 0.6  # of a mask must have changed; not all, for black damage on black changes nothing
FEW = 20  # px of a mask that are too few to say


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small overlay bank, drawn by its stage."""
    home = tmp_path_factory.mktemp("project")
    write_params(home, small_params())
    run_stage(home, "textures")
    return home / "data/textures"


def family(name: str, bank: Path | None = None, **changes: Any) -> Corruption:
    """A family with the ranges of the first recipe that uses it, else those of severity 0.6, some
    of them changed."""
    made = families_of_params().get(name) or CORRUPTIONS[name].at(0.6)
    return validate({**made.model_dump(), **changes}, name, type(made)).bind(bank)


@cache
def families_of_params() -> dict[str, Corruption]:
    """Each family with the ranges of the first recipe that uses it."""
    found: dict[str, Corruption] = {}
    for name in PARAMS["recipes"]:
        for step in Recipe.load(PARAMS, name, None).flat_steps():
            found.setdefault(step.family, step.corruption)
    return found


def photo_tile(height: int, width: int, channels: int = 3) -> Array:
    """A smooth picture with some noise, as photos are."""
    small = seeds.field(height).integers(0, 256, (4, 5, channels), np.uint8)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = seeds.field(width).integers(0, 40, (height, width, channels), np.uint8)
    return cv2.add(large.reshape(height, width, channels), noise).reshape(height, width, channels)


@cache
def real_photos(side: int) -> list[Array]:
    """Color photos of scikit-image's wheel, their short side `side` px; two of them no squares."""
    photos = []
    for photo in (data.astronaut(), data.chelsea(), data.coffee()):
        scale = side / min(photo.shape[:2])
        size = (round(photo.shape[1] * scale), round(photo.shape[0] * scale))
        photos.append(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))
    return photos


def apply(corruption: Corruption, tile: Array, drawn: Any) -> tuple[Array, Array]:
    """Apply, checking what every family owes."""
    before, numbers = tile.copy(), copy.deepcopy(drawn)
    out, mask = corruption.apply(tile, drawn)
    np.testing.assert_array_equal(tile, before)
    assert drawn == numbers
    assert out.dtype == mask.dtype == np.uint8
    assert out.ndim == 3 and out.shape[:2] == tile.shape[:2] == mask.shape
    assert out.shape[2] in (1, tile.shape[2])
    assert mask.size == np.count_nonzero((mask == 0) | (mask == 255))
    return out, mask


def owes(
    corruption: Corruption, tile: Array, drawn: dict, least: float = LEAST
) -> tuple[Array, Array]:
    """Apply, and hold the mask against what changed: nothing outside of it, and `least` of it."""
    out, mask = apply(corruption, tile, drawn)
    if corruption.extent == "global":
        assert not mask.any()
        return out, mask
    assert out.shape == tile.shape
    changed, marked = (out != tile).any(axis=2), mask != 0
    assert not (changed & ~marked).any()
    if np.count_nonzero(marked) >= FEW:
        assert np.count_nonzero(changed) >= least * np.count_nonzero(marked)
    return out, mask


def mse(one: Array, other: Array) -> float:
    """Mean squared difference in levels; a gray picture stands for three equal channels."""
    shape = (*one.shape[:2], max(one.shape[2], other.shape[2]))
    first, second = (np.broadcast_to(picture, shape).astype(np.int32) for picture in (one, other))
    return float(np.mean((first - second) ** 2))
