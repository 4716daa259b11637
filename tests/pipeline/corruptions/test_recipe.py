"""Recipes: steps follow one another, stories replay, slips are told in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions import Damaged, Recipe
from pipeline.errors import ParamsError, PipelineError, ReplayError
from tests.conftest import Params
from tests.pipeline.corruptions.conftest import FAMILIES, PARAMS, families_of_params, photo_tile


def params_with(*steps: dict[str, Any], **changes: Any) -> Params:
    """Params with one recipe of such steps."""
    tiles = {"side": 64, "per_photo": 1, "variants": 1}
    recipe = {
        "sources": ["sample"], "photo_side_range": [300, 512], "undamaged_share": 0.0,
        "profile": "png", "train": tiles, "val": tiles, "test": tiles, "steps": list(steps),
    }  # fmt: skip
    return {"recipes": {"mine": recipe | changes}}


def step(family: str, on: str = "input", probability: float = 1.0, **ranges: Any) -> dict[str, Any]:
    known = {
        "grain": {
            "kinds": ["gaussian"], "sigma_range": [20.0, 20.0], "size_range": [0.002, 0.006],
            "gray_probability": 0.0,
        },
        "grayscale": {"strength_range": [1.0, 1.0]},
        "shapes": next(s for s in PARAMS["recipes"]["shapes"]["steps"] if s["family"] == "shapes"),
    }.get(family, {})  # fmt: skip
    return {**known, "family": family, "on": on, "probability": probability, **ranges}


def damage(*steps: dict[str, Any], number: int = 0, bank: Path | None = None) -> Damaged:
    recipe = Recipe.load(params_with(*steps), "mine", bank)
    return recipe.damage(photo_tile(64, 64), lambda *purpose: seeds.rng(7, number, *purpose))


@pytest.mark.parametrize("name", PARAMS["recipes"])
def test_every_recipe_of_the_project_replays_from_its_story(name: str, bank: Path) -> None:
    recipe = Recipe.load(PARAMS, name, bank)
    for number in range(5):
        tile = photo_tile(64, 70)
        damaged = recipe.damage(tile, lambda *purpose, n=number: seeds.rng(7, n, *purpose))
        again = recipe.replay(tile, json.loads(json.dumps(damaged.story)))
        for one, other in (
            (damaged.clean, again.clean),
            (damaged.corrupted, again.corrupted),
            (damaged.mask, again.mask),
        ):
            np.testing.assert_array_equal(one, other)
        low, high = recipe.section.photo_side_range
        assert low <= damaged.story["photo_side"] <= high


def test_a_nominal_photo_may_be_smaller_than_a_tile(bank: Path) -> None:
    sides = {"train": 48, "val": 64, "test": 80}
    tiles = {split: {"side": n, "per_photo": 1, "variants": 1} for split, n in sides.items()}
    known = families_of_params()
    steps = [step(name, **known[name].model_dump(mode="json")) for name in FAMILIES]
    recipe = Recipe.load(params_with(*steps, photo_side_range=[10, 48], **tiles), "mine", bank)
    tile, told = photo_tile(80, 80), set()
    for number in range(12):
        made = recipe.damage(tile, lambda *purpose, n=number: seeds.rng(7, n, *purpose))
        told.add(made.story["photo_side"])
        assert made.corrupted.shape[:2] == tile.shape[:2] and made.mask.any()
        again = recipe.replay(tile, json.loads(json.dumps(made.story)))
        np.testing.assert_array_equal(made.corrupted, again.corrupted)
    assert len(told) > 6 and max(told) <= 48
    with pytest.raises(ParamsError) as refused:
        Recipe.load(params_with(*steps, photo_side_range=[10, 47], **tiles), "mine", bank)
    told_of = "recipes.mine.photo_side_range must reach the side of the smallest tile, 48 px"
    assert refused.value.lines[0].startswith(f"params: {told_of}")


def test_probability_0_never_and_1_always_damages() -> None:
    tile = photo_tile(64, 64)
    for number in range(20):
        never = damage(step("grain", probability=0.0), number=number)
        np.testing.assert_array_equal(never.corrupted, tile)
        assert never.story["steps"] == [] and not never.mask.any()
        always = damage(step("grain", probability=1.0), number=number)
        assert len(always.story["steps"]) == 1 and (always.corrupted != tile).any()


def test_probability_one_half_damages_about_half() -> None:
    times = sum(
        len(damage(step("grain", probability=0.5), number=n).story["steps"]) for n in range(400)
    )
    assert 160 < times < 240


def test_on_both_changes_the_target_too_and_leaves_no_mask() -> None:
    tile = photo_tile(64, 64)
    both = damage(step("shapes", on="both"))
    np.testing.assert_array_equal(both.clean, both.corrupted)
    assert (both.clean != tile).any() and not both.mask.any()
    assert both.keep is not None and both.keep.any()
    np.testing.assert_array_equal(both.clean[both.keep == 0], tile[both.keep == 0])
    alone = damage(step("shapes"))
    np.testing.assert_array_equal(alone.clean, tile)
    assert alone.keep is None
    np.testing.assert_array_equal(alone.corrupted, both.corrupted)
    assert alone.mask.any()
    np.testing.assert_array_equal(alone.corrupted[alone.mask == 0], tile[alone.mask == 0])


def test_steps_follow_one_another_and_masks_join() -> None:
    damaged = damage(step("grayscale", on="both"), step("shapes"), step("grain"), step("shapes"))
    assert [told["family"] for told in damaged.story["steps"]] == [
        "grayscale", "shapes", "grain", "shapes",
    ]  # fmt: skip
    assert damaged.clean.shape == damaged.corrupted.shape == (64, 64, 1)
    one, other = (damaged.story["steps"][n]["drawn"] for n in (1, 3))
    assert one != other
    recipe = Recipe.load(params_with(step("grayscale", on="both"), step("shapes")), "mine", None)
    corruption = recipe.steps[1].corruption
    masks = [corruption.apply(damaged.clean, drawn)[1] for drawn in (one, other)]
    np.testing.assert_array_equal(damaged.mask, masks[0] | masks[1])


def test_taking_a_step_away_leaves_the_earlier_ones_as_they_were() -> None:
    two = damage(step("grain"), step("shapes")).story["steps"]
    assert damage(step("grain")).story["steps"] == two[:1]


def test_a_given_photo_side_is_used_and_told() -> None:
    recipe = Recipe.load(params_with(step("shapes")), "mine", None)
    damaged = recipe.damage(photo_tile(64, 64), lambda *p: seeds.rng(7, *p), 900)
    assert damaged.story["photo_side"] == 900


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("version", 0, "the story is of version 0, the code of 2"),
        ("version", 3, "the story is of version 3, the code of 2"),
        ("family", "shapes", r"step \[0\] of the story is 'shapes' on input, not a step of it"),
        ("step", [5], r"step \[5\] of the story is 'grain' on input, not a step of it"),
        ("step", [0, 1], r"step \[0, 1\] of the story is 'grain' on input, not a step of it"),
    ],
)
def test_a_story_of_other_code_or_params_is_refused(key: str, value: object, said: str) -> None:
    recipe = Recipe.load(params_with(step("grain")), "mine", None)
    story = json.loads(json.dumps(damage(step("grain")).story))
    recipe.replay(photo_tile(64, 64), story)
    story["steps"][0][key] = value
    with pytest.raises(ReplayError, match=said):
        recipe.replay(photo_tile(64, 64), story)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown family": (step("grian"), r"recipes\.mine\.steps\.0\.family.*did you mean 'grain'"),
    "no family": ({"on": "input", "probability": 1.0}, r"recipes\.mine\.steps\.0\.family"),
    "a number as family": ({**step("grain"), "family": 3}, r"recipes\.mine\.steps\.0\.family"),
    "an unknown target": (step("grain", on="target"), r"recipes\.mine\.steps\.0\.on"),
    "a probability of 2": (step("grain", probability=2.0), r"steps\.0\.probability must be at"),
    "an unknown range": (step("grain", sigma=3.0), r"steps\.0\.sigma is an unknown key"),
    "a missing range": (step("texture"), r"steps\.0\.num_range is missing"),
    "a reversed range": (step("grain", sigma_range=[3.0, 1.0]), r"steps\.0\.sigma_range"),
    "a negative sigma": (step("grain", sigma_range=[-3.0, 1.0]), r"steps\.0\.sigma_range"),
    "an unknown fill": (step("shapes", fills=["blue"]), r"steps\.0\.fills"),
    "no fill": (step("shapes", fills=[]), r"steps\.0\.fills"),
    "a size of 0": (step("shapes", size_range=[0.0, 0.1]), r"steps\.0\.size_range"),
    "an opacity of 2": (step("shapes", opacity_range=[0.1, 2.0]), r"steps\.0\.opacity_range"),
    "a count of -1": (step("shapes", num_range=[-1, 2]), r"steps\.0\.num_range"),
    "a text for a step": ("grain", r"recipes\.mine\.steps\.0"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("slip", BROKEN)
def test_a_broken_step_is_one_line_that_names_it(slip: str) -> None:
    block, said = BROKEN[slip]
    with pytest.raises(PipelineError, match=said) as caught:
        Recipe.load(params_with(block), "mine", None)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_told_with_its_neighbour() -> None:
    with pytest.raises(ParamsError, match=r"recipes\.shaeps: is missing.*'shapes'"):
        Recipe.load(PARAMS, "shaeps", None)


def test_one_family_alone_takes_the_ranges_of_its_first_recipe() -> None:
    recipe = Recipe.single(params_with(step("grain", probability=0.1)), "grain", None)
    assert len(recipe.steps) == 1 and recipe.steps[0].probability == 1.0
    assert recipe.name == "grain" and recipe.section.photo_side_range == (300, 512)


def test_a_family_that_no_recipe_uses_is_told_apart_from_an_unknown_one() -> None:
    with pytest.raises(ParamsError, match="no recipe gives its ranges"):
        Recipe.single(params_with(step("grain")), "shapes", None)
    with pytest.raises(ParamsError, match=r"use one of .*did you mean 'shapes'"):
        Recipe.single(params_with(step("grain")), "shaeps", None)


def test_every_family_is_in_a_recipe() -> None:
    assert set(families_of_params()) == set(FAMILIES)
