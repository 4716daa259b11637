"""What is told of a sample: its error, its tile, its damage drawn and its damage seen."""

import math
from typing import Any

import numpy as np
import pytest

from pipeline.corruptions import Recipe
from pipeline.mining.features import ROUNDING, WHOLE, describe
from pipeline.samples import Sample
from pipeline.seeds import rng
from tests.conftest import ROOT, load_yaml

PHOTO = {"name": "a.jpg", "source": "sample", "width": 512, "height": 512}


def sample(mask: np.ndarray, story: dict[str, Any]) -> Sample:
    clean = np.full((*mask.shape, 3), 100, np.uint8)
    corrupted = np.where(mask[..., None] > 0, 130, clean).astype(np.uint8)
    return Sample("a_0_0", clean, corrupted, mask, {"photo": PHOTO, "steps": [], **story})


def told(family: str, severity: float, on: str = "input") -> dict[str, Any]:
    return {"family": family, "severity": severity, "on": on, "drawn": {}, "step": [0]}


def test_damage_is_told_as_it_was_drawn() -> None:
    steps = [
        told("grain", 0.2),
        told("grain", 0.7),
        told("dust", 0.0),
        told("defects", 0.4, "both"),
    ]
    one = describe(sample(np.zeros((8, 8), np.uint8), {"steps": steps, "photo_side": 300}), np.full(
        (8, 8, 3), 110, np.uint8))  # fmt: skip
    assert one.families == {"grain": 0.7} and one.kept == {"defects": 0.4}
    assert one.photo == "sample/a.jpg" and one.input_mse == 0
    assert one.mse == pytest.approx((10 / 255) ** 2)
    assert one.decibels == pytest.approx(20 * math.log10(10 / 255), abs=0.01)
    assert one.whole["steps"] == 2 and one.whole["photo_side"] == 300
    assert one.row()["severity.grain"] == 0.7 and one.row()["kept.defects"] == 0.4


def test_damage_is_told_as_it_looks() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[1:5, 1:5] = mask[10:12, 10:12] = 255
    one = describe(sample(mask, {}), np.full((20, 20, 3), 100, np.uint8))
    assert one.whole["covered"] == 20 / 400 and one.whole["size"] == pytest.approx(0.2)
    assert one.whole["pieces"] == 2 and one.whole["photo_side"] is None
    assert one.decibels == pytest.approx(10 * math.log10(ROUNDING))  # a perfect answer


def test_a_missing_mask_is_not_an_empty_one() -> None:
    one = describe(
        sample(np.zeros((8, 8), np.uint8), {"given": True, "mask": "missing"}),
        np.zeros((8, 8, 3), np.uint8),
    )
    assert [one.whole[name] for name in WHOLE[:3]] == [None] * 3


def test_a_real_story_is_read(astronaut: np.ndarray) -> None:
    recipe = Recipe.load(load_yaml(ROOT / "params.yaml"), "distorted", None)
    tile = astronaut[100:228, 100:228]
    for number in range(40):
        made = recipe.damage(tile, lambda *purpose, n=number: rng(n, "test", *purpose), 512)
        if made.mask.any():
            break
    story = {**made.story, "photo": PHOTO}
    one = describe(Sample("a_0_0", made.clean, made.corrupted, made.mask, story), made.corrupted)
    assert set(one.families) <= {step["family"] for step in made.story["steps"]}
    assert one.mse == one.input_mse > 0 and 0 < one.whole["covered"] <= 1
    assert one.context["texture"] > 0.5 and 0 < one.context["brightness"] < 1
