"""What all families share: which tiles they take, ranges that go from low to high, and draws."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import seeds
from pipeline.config import validate
from pipeline.corruptions import CORRUPTIONS
from pipeline.corruptions.base import about, check_tile, count_in, one_of, share_in, size_in
from pipeline.errors import ImageError, ParamsError
from tests.conftest import ROOT
from tests.pipeline.corruptions.conftest import FAMILIES, photo_tile

PHOTO = photo_tile(8, 9)
NO_TILES: dict[str, tuple[Any, str]] = {
    "shares": (PHOTO.astype(np.float32) / 255, "float32 of shape (8, 9, 3)"),
    "16 bits": (PHOTO.astype(np.uint16) * 257, "uint16 of shape (8, 9, 3)"),
    "signed": (PHOTO.astype(np.int8), "int8 of shape (8, 9, 3)"),
    "a mask": (PHOTO > 9, "bool of shape (8, 9, 3)"),
    "alpha": (np.dstack([PHOTO, PHOTO[..., :1]]), "drop the alpha"),
    "two channels": (PHOTO[..., :2], "shape (8, 9, 2)"),
    "no axis of channels": (PHOTO[..., 0], "tile[..., None]"),
    "channels first": (np.moveaxis(PHOTO, 2, 0), "shape (3, 8, 9)"),
    "a batch": (PHOTO[None], "hand over one picture"),
    "no rows": (PHOTO[:0], "at least 1 px"),
    "no columns": (PHOTO[:, :0], "at least 1 px"),
    "nothing": (np.zeros(0, np.uint8), "hand over one picture"),
    "a list": (PHOTO.tolist(), "a list"),
    "None": (None, "a NoneType"),
}


@pytest.mark.parametrize("name", NO_TILES)
def test_what_is_no_tile_is_refused_in_one_line(name: str) -> None:
    wrong, told = NO_TILES[name]
    with pytest.raises(ImageError) as caught:
        check_tile(wrong)
    message = str(caught.value)
    assert message.startswith("tile: ") and told in message and "\n" not in message
    assert caught.value.next_step


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(1, 1), (7, 513), (64, 64)])
def test_tiles_of_any_size_in_color_and_gray_are_taken(
    shape: tuple[int, int], channels: int
) -> None:
    tile = photo_tile(*shape, channels)
    check_tile(tile)
    check_tile(tile[::-1, ::-1])


@pytest.mark.parametrize("name", FAMILIES)
def test_every_range_goes_from_low_to_high(name: str) -> None:
    family = CORRUPTIONS[name]
    fields = family.at(0.5).model_dump()
    ranges = [field for field in fields if field.endswith("_range")]
    for field in ranges:
        low, high = fields[field]
        turned = {**fields, field: (high, low) if low < high else (low, low * 0.999 - 1e-9)}
        if isinstance(low, int):
            turned[field] = (low + 1, low)
        with pytest.raises(ParamsError, match=field):
            validate(turned, name, family)


def test_draws_reach_both_bounds_and_never_pass_them() -> None:
    rng = seeds.rng(7, "draws")
    assert {count_in((2, 5), rng) for _ in range(200)} == {2, 3, 4, 5}
    assert {one_of("abc", rng) for _ in range(200)} == set("abc")
    shares = [share_in((0.25, 0.26), rng) for _ in range(200)]
    assert set(shares) == {round(0.25 + step / 1000, 3) for step in range(11)}
    assert count_in((3, 3), rng) == 3 and share_in((0.5, 0.5), rng) == 0.5


def test_small_and_large_sizes_are_equally_frequent_by_ratio() -> None:
    rng = seeds.rng(7, "sizes")
    sizes = np.array([size_in((0.01, 1.0), rng) for _ in range(4000)])
    assert sizes.min() >= 0.01 and sizes.max() <= 1.0
    assert abs(np.mean(sizes < 0.1) - 0.5) < 0.03


def test_a_range_about_nothing_is_still_a_range_of_sizes() -> None:
    assert about(0.2, 0.05) == (0.95 * 0.2, 1.05 * 0.2)
    assert about(0.0, 0.1) == (1e-6, 1e-6)


ALONE = """
import json, sys
sys.modules["torch"] = None  # an import of it fails
import numpy as np
from pipeline import seeds
from pipeline.corruptions import CORRUPTIONS, Recipe

steps, changed = [], []
tile = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
for name in sorted(set(CORRUPTIONS.names()) - {"texture"}):
    family = CORRUPTIONS[name].at(0.8)
    out, mask = family.apply(tile, family.draw((40, 56), seeds.rng(0, name)))
    assert mask.shape == out.shape[:2] == tile.shape[:2]
    changed += [name] * bool((out != tile).any())
    fields = family.model_dump(mode="json")
    steps.append({"family": name, "on": "input", "probability": 1.0, **fields})
cut = {"side": 40, "per_photo": 1, "variants": 1}
recipe = {"sources": ["mine"], "photo_side_range": [40, 40], "undamaged_share": 0.0,
          "profile": "png", "train": cut, "val": cut, "test": cut, "steps": steps}
made = Recipe.load({"recipes": {"all": recipe}}, "all", None).damage(
    tile, lambda *purpose: seeds.rng(0, *purpose))
rooms = sorted({name.split(".")[1] for name in sys.modules if name.startswith("pipeline.")})
print(json.dumps([changed, [step["family"] for step in made.story["steps"]], rooms]))
"""


def test_damage_needs_no_torch_no_project_and_no_other_room(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    changed, told, rooms = json.loads(done.stdout)
    assert changed == told == sorted(set(FAMILIES) - {"texture"})
    neighbors = {"errors", "complaints", "config", "seeds", "images", "png", "files"}
    assert "corruptions" in rooms and set(rooms) <= {"corruptions", *neighbors}
    assert not list(tmp_path.iterdir())
