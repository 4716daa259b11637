"""Groups of steps: shuffled, chosen, repeated; undamaged samples; what is drawn into the target
too."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions import Damaged, Recipe
from pipeline.errors import ParamsError, ReplayError

TILE = seeds.field(1).integers(60, 200, (48, 48, 3), np.uint8)
SHAPES = {
    "family": "shapes", "num_range": [8, 12], "size_range": [0.1, 0.2], "covered_range": [0.0, 1.0],
    "opacity_range": [1.0, 1.0], "fills": ["black"],
}  # fmt: skip


def grain(sigma: float, **changes: Any) -> dict[str, Any]:
    """A step of grain that its strength tells apart."""
    return {
        "family": "grain", "on": "input", "probability": 1.0, "kinds": ["gaussian"],
        "sigma_range": [sigma, sigma], "size_range": [0.01, 0.01], "gray_probability": 1.0,
        **changes,
    }  # fmt: skip


def group(order: str, *steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A group that is always drawn, once."""
    fixed = {"order": order, "probability": 1.0, "repeat_range": [1, 1], "steps": list(steps)}
    return {**fixed, **changes}


def load(*steps: dict[str, Any], undamaged: float = 0.0) -> Recipe:
    """A recipe of these steps."""
    tiles = {"side": 48, "per_photo": 1, "variants": 1}
    block = {
        "sources": ["sample"], "photo_side_range": [48, 48], "undamaged_share": undamaged,
        "profile": "png", "train": tiles, "val": tiles, "test": tiles, "steps": list(steps),
    }  # fmt: skip
    return Recipe.load({"recipes": {"r": block}}, "r", None)


def draw(recipe: Recipe, number: int) -> Damaged:
    """The recipe on the tile, seeded by a number."""
    return recipe.damage(TILE, lambda *purpose: seeds.rng(number, *purpose))


def sigmas(made: Damaged) -> list[float]:
    """Which grains were drawn, in order."""
    return [step["drawn"]["sigma"] for step in made.story["steps"]]


def test_a_fixed_group_keeps_its_order_and_a_shuffled_one_takes_every_order_alike() -> None:
    steps = [grain(1.0), grain(2.0), grain(3.0)]
    fixed, shuffled = load(group("fixed", *steps)), load(group("shuffled", *steps))
    assert all(sigmas(draw(fixed, n)) == [1.0, 2.0, 3.0] for n in range(20))
    orders = Counter(tuple(sigmas(draw(shuffled, n))) for n in range(600))
    assert len(orders) == 6 and all(sorted(order) == [1.0, 2.0, 3.0] for order in orders)
    assert min(orders.values()) > 60, orders  # 100 expected, 4.4 standard deviations below


def test_one_of_a_group_is_chosen_evenly() -> None:
    recipe = load(group("one", grain(1.0), grain(2.0)))
    chosen = Counter(tuple(sigmas(draw(recipe, n))) for n in range(400))
    assert set(chosen) == {(1.0,), (2.0,)} and min(chosen.values()) > 150


def test_repetitions_draw_anew() -> None:
    recipe = load(group("fixed", grain(1.0, sigma_range=[1.0, 9.0]), repeat_range=[2, 3]))
    drawn = [sigmas(draw(recipe, n)) for n in range(60)]
    assert {len(one) for one in drawn} == {2, 3}
    assert all(len(set(one)) == len(one) for one in drawn)


def test_a_group_is_left_out_with_its_probability() -> None:
    recipe = load(group("fixed", grain(1.0), probability=0.25))
    share = np.mean([bool(sigmas(draw(recipe, n))) for n in range(800)])
    assert 0.19 < share < 0.31


def test_groups_nest_and_their_stories_replay() -> None:
    inner = group("one", grain(1.0), grain(2.0), repeat_range=[1, 2])
    recipe = load(grain(5.0), group("shuffled", inner, grain(3.0), repeat_range=[1, 2]))
    for number in range(30):
        made = draw(recipe, number)
        again = recipe.replay(TILE, json.loads(json.dumps(made.story)))
        assert again.corrupted.tobytes() == made.corrupted.tobytes()
        assert {len(step["step"]) for step in made.story["steps"]} <= {1, 3, 5}


@pytest.mark.parametrize("path", [[7], [0, 0, 0], [1], [1, 0], [1, 0, 9], [-1]])
def test_a_story_of_another_recipe_is_refused(path: list[int]) -> None:
    recipe = load(grain(5.0), group("fixed", grain(1.0)))
    story = draw(recipe, 1).story
    story["steps"][1]["step"] = path
    if path != [0, 0, 0]:
        story["steps"][1]["family"] = "grain"
    with pytest.raises(ReplayError, match="not a step of it"):
        recipe.replay(TILE, story)


def test_undamaged_samples_come_with_their_share_and_keep_what_is_on_both() -> None:
    gray = {
        "family": "grayscale", "on": "both", "probability": 1.0, "strength_range": [1.0, 1.0]
    }  # fmt: skip
    recipe = load(gray, group("fixed", grain(20.0)), undamaged=0.3)
    made = [draw(recipe, n) for n in range(600)]
    whole = [one for one in made if np.array_equal(one.corrupted, one.clean)]
    assert 0.24 < len(whole) / len(made) < 0.36
    assert all(one.clean.shape == (48, 48, 1) for one in made)
    assert all([step["family"] for step in one.story["steps"]] == ["grayscale"] for one in whole)


def test_local_damage_on_both_is_to_be_kept_and_no_damage() -> None:
    recipe = load({**SHAPES, "on": "both", "probability": 1.0}, grain(10.0))
    made = draw(recipe, 3)
    assert made.keep is not None and made.keep.any() and not made.mask.any()
    assert (made.clean[made.keep > 0] == 0).all(), "the target has it"
    np.testing.assert_array_equal(made.clean[made.keep == 0], TILE[made.keep == 0])
    assert load(grain(10.0)).damage(TILE, lambda *p: seeds.rng(1, *p)).keep is None


def test_the_recipe_for_clean_tiles_leaves_out_what_they_went_through() -> None:
    recipe = load(grain(9.0, on="both"), group("fixed", grain(5.0), grain(7.0, on="both")))
    stored = draw(recipe, 7)
    fresh = recipe.for_clean_tiles().damage(stored.clean, lambda *p: seeds.rng(8, *p))
    assert fresh.clean.tobytes() == stored.clean.tobytes()
    assert sigmas(stored) == [9.0, 5.0, 7.0] and sigmas(fresh) == [5.0]


def test_what_two_steps_drew_into_the_target_is_all_kept() -> None:
    steps = [{**SHAPES, "num_range": [3, 4], "on": "both", "probability": 1.0} for _ in "12"]
    recipe = load(*steps)
    made = draw(recipe, 3)
    alone = [Recipe("r", recipe.section, (step,)) for step in recipe.steps]
    told = [{**made.story["steps"][n], "step": [0]} for n in (0, 1)]
    keeps = [
        one.replay(TILE, {**made.story, "steps": [step]}).keep
        for one, step in zip(alone, told, strict=True)
    ]
    assert (keeps[0] & ~keeps[1]).any() and (keeps[1] & ~keeps[0]).any()
    np.testing.assert_array_equal(made.keep, keeps[0] | keeps[1])


def test_a_story_is_bound_to_the_pictures_it_was_drawn_on() -> None:
    both, alone = (load({**SHAPES, "on": on, "probability": 1.0}) for on in ("both", "input"))
    with pytest.raises(ReplayError, match="not a step of it"):
        alone.replay(TILE, draw(both, 3).story)


def test_fresh_damage_on_clean_tiles_claims_to_know_nothing_of_what_to_keep() -> None:
    recipe = load({**SHAPES, "on": "both", "probability": 1.0}, grain(5.0)).for_clean_tiles()
    assert draw(recipe, 3).keep is None


def test_a_group_may_be_asked_for_its_families_and_single_finds_them_inside() -> None:
    recipe = load(group("one", grain(1.0), {**SHAPES, "on": "input", "probability": 0.5}))
    assert [step.family for step in recipe.flat_steps()] == ["grain", "shapes"]
    block = recipe.section.model_dump()
    alone = Recipe.single({"recipes": {"r": block}}, "shapes", None)
    assert [(step.family, step.probability) for step in alone.flat_steps()] == [("shapes", 1.0)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"order": "random"}, "steps.0.order"),
        ({"repeat_range": [3, 1]}, "steps.0.repeat_range"),
        ({"repeat_range": [0, 1]}, "steps.0.repeat_range"),
        ({"repeat_range": [1, 1_000_000]}, "steps.0.repeat_range"),
        ({"steps": []}, "steps.0.steps"),
        ({"famly": "grain"}, "steps.0.famly is an unknown key"),
        ({"steps": [{"family": "grian", "on": "input", "probability": 1.0}]}, "steps.0.family"),
    ],
)
def test_a_broken_group_is_told_by_its_place(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ParamsError, match=says):
        load({**group("fixed", grain(1.0)), **change})
