"""A planted cause is found and its interval holds it; where nothing was planted, nothing is
claimed."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import ParamsError
from pipeline.mining.estimate import Estimate, is_clear, student
from pipeline.mining.plot import plot_ranking
from pipeline.mining.ranking import rank
from pipeline.mining.tables import flat_rows, to_json
from pipeline.mining.words import explained, family_cells, look_cells, sentence
from pipeline.themes import DARK
from tests.pipeline.mining.planted import names, planted

TRIES = 25
NOTHING = dict.fromkeys(names(8), 0.0)


@pytest.mark.parametrize("each", [12, 3])
def test_a_planted_cause_is_found_first_and_its_intervals_hold_it(each: int) -> None:
    held = first = alone = 0
    for seed in range(TRIES):
        samples = planted(seed, {**NOTHING, "family3": 4.0}, photos=240 // each, each=each)
        found = rank(samples, 7)
        cause = found.causes[0]
        first += cause.name == "family3" and cause.clear
        cost = next(one.cost for one in found.causes if one.name == "family3")
        held += cost.low <= 4.0 <= cost.high
        alone += not any(one.clear for one in found.causes if one.name != "family3")
    assert first == TRIES
    assert held >= 0.8 * TRIES
    assert alone >= 0.85 * TRIES


def test_where_nothing_was_planted_nothing_is_claimed() -> None:
    claims = rank_claims = held = 0
    for seed in range(TRIES):
        found = rank(planted(seed, NOTHING), 7)
        claims += any(one.clear or one.steep for one in found.causes)
        rank_claims += any(one.clear for one in found.looks)
        held += sum(one.cost.low <= 0 <= one.cost.high for one in found.causes)
    assert claims <= 0.2 * TRIES and rank_claims <= 0.2 * TRIES
    assert held >= 0.85 * TRIES * len(NOTHING)


def test_shares_tell_how_much_error_would_go() -> None:
    samples = planted(1, {**NOTHING, "family0": 5.0}, photos=200)
    found = {one.name: one for one in rank(samples, 7).causes}["family0"]
    there = np.array(["family0" in one.families for one in samples])
    squares = np.array([one.mse for one in samples])
    wanted = squares[there].sum() * (1 - 10**-0.5) / squares.sum()
    assert found.share.low <= wanted <= found.share.high
    assert found.each.value == pytest.approx(found.share.value * len(samples) / there.sum())


def test_slopes_of_severity_and_of_looks_are_found() -> None:
    held = looked = 0
    for seed in range(TRIES):
        samples = planted(seed, NOTHING, {"family2": 8.0}, photos=30, by_looks=20.0)
        found = rank(samples, 7)
        slope = {one.name: one for one in found.causes}["family2"]
        assert slope.steep
        held += slope.slope.low <= 0.8 <= slope.slope.high
        (look,) = (one for one in found.looks if one.name == "covered")
        assert look.clear and found.looks[0].name == "covered"
        looked += look.slope.low <= 2.0 <= look.slope.high
    assert held >= 0.8 * TRIES and looked >= 0.8 * TRIES


def test_what_is_always_drawn_is_told_against_its_mildest() -> None:
    found = rank(planted(2, {"grain": 0.0}, {"grain": 6.0}, chances={"grain": 1.0}), 7)
    (cause,) = found.causes
    assert cause.drawn.always and cause.cost is None and cause.clear and cause.steep
    assert cause.slope.low <= 0.6 <= cause.slope.high
    assert "goes with grain (above its mildest)" in sentence(found, "a", "b", "val")
    assert family_cells(found)[1][0][0] == "grain°"


def test_photos_that_differ_much_are_no_cause() -> None:
    """Damage that happens to fall on hard photos is not blamed for them."""
    samples = planted(3, {"unlucky": 0.0, "other": 0.0}, photos=12, chances={"unlucky": 0.2})
    hard = {f"sample/{number:03d}" for number in range(4)}
    moved = [
        replace(one, mse=one.mse * (100 if one.photo in hard else 1),
                families={**one.families, **({"unlucky": 0.5} if one.photo in hard
                                             and int(one.key.split("_")[1]) % 4 else {})})
        for one in samples
    ]  # fmt: skip
    cause = {one.name: one for one in rank(moved, 7).causes}["unlucky"]
    assert cause.cost.low <= 0 <= cause.cost.high and abs(cause.cost.value) < 2.5
    plain = np.array(["unlucky" in one.families for one in moved])
    errors = np.array([one.decibels for one in moved])
    assert errors[plain].mean() - errors[~plain].mean() > 5  # what a naive look would say


def test_the_order_of_samples_does_not_matter() -> None:
    samples = planted(4, {**NOTHING, "family1": 3.0})
    first, second = (to_json(rank(one, 7)) for one in (samples, samples[::-1]))
    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_how_much_is_foretold() -> None:
    r2 = rank(planted(5, {**NOTHING, "family1": 8.0}, photos=60), 7).r2
    assert r2["families"] > r2["content"] + 0.2 and r2["all"] > r2["content"] + 0.2
    assert abs(rank(planted(5, NOTHING, photos=60), 7).r2["families"] - r2["content"]) < 0.15


def test_few_photos_are_ranked_and_not_trusted() -> None:
    found = rank(planted(6, {**NOTHING, "family1": 6.0}, photos=4), 7)
    assert not found.trusted and not any(one.clear or one.steep for one in found.causes)
    assert "4 photos tell nothing sure: 6 is the least" in sentence(found, "a", "b", "val")
    alone = rank(planted(6, {**NOTHING, "family1": 6.0}, photos=1, each=60), 7)
    assert alone.causes[0].name == "family1" and alone.causes[0].share.low is None
    assert alone.r2["content"] is None and "One photo" in explained(alone)
    assert plot_ranking(alone, "one photo").startswith(b"\x89PNG")


def test_what_cannot_be_ranked_is_told() -> None:
    with pytest.raises(ParamsError, match="19 damaged samples; 20 is the least"):
        rank(planted(7, NOTHING, photos=19, each=1), 7)
    same = [
        replace(one, families={"shapes": 0.5}, whole=dict.fromkeys(one.whole, 0.5))
        for one in planted(7, NOTHING)
    ]
    with pytest.raises(ParamsError, match="every sample has the same damage"):
        rank(same, 7)


def test_without_masks_or_varied_families_the_rest_is_ranked() -> None:
    samples = planted(8, NOTHING, by_looks=20.0)
    found = rank([replace(one, families={"shapes": 0.5}) for one in samples], 7)
    assert not found.causes and found.constant == ("shapes",) and found.looks[0].clear
    assert "only its looks are ranked" in sentence(found, "a", "b", "val")
    unknown = {"covered": None, "size": None, "pieces": None}
    blind = rank([replace(one, whole=one.whole | unknown) for one in samples], 7)
    assert [one.name for one in blind.looks] == ["steps"] and blind.causes


def test_damage_of_the_target_is_taken_into_account_and_not_ranked() -> None:
    samples = planted(9, {**NOTHING, "family1": 6.0}, photos=40)
    moved = [
        replace(one, kept={k: v for k, v in one.families.items() if k == "family1"},
                families={k: v for k, v in one.families.items() if k != "family1"})
        for one in samples
    ]  # fmt: skip
    found = rank(moved, 7)
    assert "family1" not in {one.name for one in found.causes}
    assert found.r2["families"] > found.r2["content"] + 0.1


def test_tables_and_plots_tell_every_cause() -> None:
    found = rank(planted(10, {**NOTHING, "family1": 4.0}), 7)
    head, rows = family_cells(found)
    assert len(rows) == len(found.causes) and {len(row) for row in rows} == {len(head)}
    assert [row[0] for row in look_cells(found)[1]] == [one.name for one in found.looks]
    flat = flat_rows(found)
    assert {row["by"] for row in flat} == {"family", "look"}
    assert flat[0]["share.value"] == pytest.approx(found.causes[0].share.value, abs=1e-5)
    light, dark = plot_ranking(found, "a $ b"), plot_ranking(found, "a $ b", DARK)
    assert light == plot_ranking(found, "a $ b") and light != dark


def test_student_and_clearness() -> None:
    assert student(0.975, 5) == pytest.approx(2.571, rel=0.005)
    assert student(0.9975, 10) == pytest.approx(3.581, rel=0.005)
    apart = Estimate(1.0, 0.3, 1.7, 0.36)
    assert is_clear(apart, 30, 1) and not is_clear(apart, 30, 20)
    assert not is_clear(apart, 5, 1) and not is_clear(Estimate(1.0, None, None, None), 30, 1)
