"""What a ranking does to a recipe's probabilities: bounded, as many steps as before, and nothing
without evidence."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.corruptions import Recipe
from pipeline.mining.ranking import rank
from pipeline.mining.weights import BOUNDS, expected, factors, reweighted, walk
from tests.conftest import ROOT, load_yaml
from tests.pipeline.mining.planted import names, planted

PARAMS = load_yaml(ROOT / "params.yaml")
NOTHING = dict.fromkeys(names(8), 0.0)
FAMILIES = {"dust", "scratches", "shapes", "polygons", "strokes", "blur", "grain", "fading"}


def step(family: str, probability: float, on: str = "input") -> dict[str, Any]:
    return {"family": family, "on": on, "probability": probability}


def group(order: str, probability: float, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"order": order, "probability": probability, "repeat_range": [1, 1], "steps": [*steps]}


def test_what_costs_most_is_drawn_more_and_noise_changes_nothing() -> None:
    changed = 0
    for seed in range(20):
        wanted = factors(rank(planted(seed, {**NOTHING, "family3": 5.0}), 7))
        assert max(wanted, key=wanted.__getitem__) == "family3" and wanted["family3"] > 1.2
        assert all(BOUNDS[0] <= one <= BOUNDS[1] for one in wanted.values())
        others = [one for name, one in wanted.items() if name != "family3"]
        assert max(others) < 1.2 and min(others) > 0.6
        changed += bool(factors(rank(planted(seed, NOTHING), 7)))
    assert changed <= 3


def test_without_photos_or_rivals_there_are_no_factors() -> None:
    assert not factors(rank(planted(1, {**NOTHING, "family3": 6.0}, photos=4), 7))
    assert not factors(rank(planted(1, {"family3": 6.0}), 7))
    always = planted(1, {"a": 0.0, "b": 0.0}, {"a": 8.0}, chances={"a": 1.0, "b": 1.0})
    assert not factors(rank(always, 7))


def test_the_number_of_steps_stays_and_other_steps_too() -> None:
    steps = [step("dust", 0.3), step("fading", 0.3), step("grayscale", 0.4, "both")]
    made = reweighted(steps, {"dust": 2.0, "fading": 0.5})
    chances = [one["probability"] for one in made]
    assert chances[0] > 0.4 > 0.2 > chances[1] and chances[2] == 0.4
    assert chances[0] + chances[1] == pytest.approx(0.6, abs=0.001)
    assert chances[0] / chances[1] == pytest.approx(4, rel=0.35)  # the bounds cut both
    assert steps == [step("dust", 0.3), step("fading", 0.3), step("grayscale", 0.4, "both")]


def test_what_is_always_drawn_cannot_be_drawn_more() -> None:
    steps = [step("dust", 1.0), step("fading", 1.0)]
    assert reweighted(steps, {"dust": 2.0, "fading": 0.5}) == steps


@pytest.mark.parametrize("order", ["one", "shuffled", "fixed"])
def test_a_group_gives_room(order: str) -> None:
    steps = [group(order, 0.2, step("shapes", 1.0), step("strokes", 1.0)), step("dust", 0.4)]
    wanted = {"shapes": 2.0, "strokes": 1.0, "dust": 1.0}
    before = expected(steps, set(wanted))
    made = reweighted(steps, wanted)
    inside = made[0]["steps"]
    assert inside[0]["probability"] == pytest.approx(1.0, abs=0.001)
    assert inside[1]["probability"] == pytest.approx(0.5, abs=0.01)
    assert made[0]["probability"] > 0.25 and made[1]["probability"] < 0.4
    assert expected(made, set(wanted)) == pytest.approx(before, abs=0.002)


def test_expected_counts_groups_as_they_are_drawn() -> None:
    nested = group("one", 0.5, step("dust", 0.5), group("fixed", 1.0, step("dust", 1.0)))
    assert expected([nested], {"dust"}) == pytest.approx(0.5 * 0.5 * (0.5 + 1.0))
    twice = {**group("shuffled", 1.0, step("dust", 0.5)), "repeat_range": [1, 3]}
    assert expected([twice, step("hair", 1.0)], {"dust"}) == pytest.approx(1.0)


@pytest.mark.parametrize("name", sorted(PARAMS["recipes"]))
def test_every_recipe_stays_a_recipe(name: str) -> None:
    block = PARAMS["recipes"][name]
    wanted = {family: 0.5 + 1.5 * place / 7 for place, family in enumerate(sorted(FAMILIES))}
    steps = reweighted(block["steps"], wanted)
    params = {**PARAMS, "recipes": {name: {**block, "steps": steps}}}
    loaded = Recipe.load(params, name, None)
    assert all(0 <= one.probability <= 1 for one in loaded.flat_steps())
    paths = [place for place, _ in walk(steps)]
    assert len(paths) == len(list(loaded.flat_steps())) == len(set(paths))


def test_each_cost_is_of_a_sample_that_has_the_family() -> None:
    """A rare family that costs much is drawn more, though its share of all error is small."""
    samples = planted(
        3, {**NOTHING, "rare": 8.0, "common": 1.0}, photos=60,
        chances={"rare": 0.08, "common": 0.9},
    )  # fmt: skip
    wanted = factors(rank(samples, 7))
    assert wanted["rare"] == max(wanted.values()) > 1.1
    assert factors(replace(rank(samples, 7), num_photos=5)) == {}
