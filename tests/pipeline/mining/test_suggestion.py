"""The recipe that is suggested, and the params that try it."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.corruptions import Recipe
from pipeline.mining.ranking import Ranking, rank
from pipeline.mining.suggestion import patch, suggest
from pipeline.mining.words import change_cells, why_nothing
from tests.conftest import ROOT, load_yaml
from tests.pipeline.mining.planted import planted

PARAMS = load_yaml(ROOT / "params.yaml")


def steep(*families: str) -> Ranking:
    """A ranking where these families, always drawn, cost more the worse they are."""
    costs = dict.fromkeys(families, 0.0)
    return rank(planted(1, costs, dict.fromkeys(families, 8.0), photos=40,
                        chances=dict.fromkeys(families, 1.0)), 7)  # fmt: skip


def changes(name: str, found: Ranking) -> dict[str, tuple[Any, Any]]:
    made = suggest(found, Recipe.load(PARAMS, name, None), PARAMS["recipes"][name], 7)
    return {f"{one.place}.{one.key}": (one.before, one.after) for one in made.changes}


def test_the_mild_end_of_the_range_that_tells_is_left_out() -> None:
    assert changes("aged", steep("grain")) == {"steps.1.sigma_range": ([5.0, 50.0], [16.25, 50.0])}
    assert changes("shapes", steep("shapes")) == {
        "steps.0.covered_range": ([0.02, 0.35], [0.1025, 0.35])
    }


def test_where_small_numbers_are_worse_the_upper_end_goes() -> None:
    found = changes("second_order", steep("jpeg"))
    assert found == {
        "steps.0.steps.3.quality_range": ([30, 95], [30, 79]),
        "steps.2.steps.1.quality_range": ([30, 95], [30, 79]),
    }
    assert all(isinstance(value, int) for value in found["steps.2.steps.1.quality_range"][1])


def test_nothing_is_suggested_without_evidence() -> None:
    assert not changes("aged", replace(steep("grain"), num_photos=5))
    assert "5 photos are too few" in why_nothing(replace(steep("grain"), num_photos=5))
    assert not changes("aged", steep("tears"))


def test_what_is_drawn_on_both_pictures_stays() -> None:
    assert not [place for place in changes("defects", steep("defects")) if "steps.0" in place]


@pytest.mark.parametrize("name", ["aged", "everything", "second_order", "distorted"])
def test_the_old_recipe_stays_and_held_out_tiles_are_few(name: str) -> None:
    before = load_yaml(ROOT / "params.yaml")["recipes"][name]
    families = {step.family for step in Recipe.load(PARAMS, name, None).flat_steps()}
    families -= {"texture"}  # whose draws need a bank of overlays
    made = suggest(steep(*sorted(families)[:3]), Recipe.load(PARAMS, name, None), before, 7)
    assert before == PARAMS["recipes"][name]
    assert made.name == f"{name}_mined" and made.block["train"] == before["train"]
    assert made.block["val"] == {**before["val"], "per_photo": 1, "variants": 1}
    Recipe.load({**PARAMS, "recipes": {made.name: made.block}}, made.name, None)
    head, rows = change_cells(made)
    assert len(rows) == len(made.changes) and {len(row) for row in rows} <= {len(head)}


def test_the_patch_takes_a_free_place_of_the_mix() -> None:
    made = suggest(steep("grain"), Recipe.load(PARAMS, "aged", None), PARAMS["recipes"]["aged"], 7)
    reads = PARAMS["synth"]["aged"]["reads"]
    free, taken = {"recipe": "aged", "weight": 0.0}, {"recipe": "shapes", "weight": 1.0}
    own = {"recipe": "aged_mined", "weight": 2.0}
    new = {"recipe": "aged_mined", "weight": 3.0}
    for mix, wanted in (
        ([free, free], [new, free]),
        ([taken, free], [taken, new]),
        ([free, own], [free, new]),
    ):
        found = patch(made, "aged_unet", reads, mix, 3.0)
        assert found == {
            "recipes": {"aged_mined": made.block},
            "synth": {"aged_mined": {"reads": reads}},
            "train": {"aged_unet": {"mix": wanted}},
        }
    assert patch(made, "aged_unet", reads, [taken, taken], 3.0) is None
