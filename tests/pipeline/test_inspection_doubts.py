"""Warnings of the data report come when and only when something is wrong."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pipeline.corruptions import CORRUPTIONS, Recipe
from pipeline.inspection import doubts
from pipeline.inspection.columns import SplitData
from pipeline.inspection.plan import PlannedStep, plan_steps
from pipeline.samples import Sample
from pipeline.seeds import rng
from pipeline.shards import SPLITS
from tests.conftest import ROOT
from tests.pipeline.inspected import GRAIN, GRAY, SHAPES, STEPS, good, measured, sample, told

# what recipes promise


def recipe(steps, undamaged_share=0.0):
    cut = {"side": 8, "per_photo": 1, "variants": 1}
    block = {
        "sources": ["sample"], "photo_side_range": [100, 200], "undamaged_share": undamaged_share,
        "profile": "png", "train": cut, "val": cut, "test": cut, "steps": steps,
    }  # fmt: skip
    return Recipe.load({"recipes": {"made": block}}, "made", None)


def gray_step(probability, on="input"):
    fields = CORRUPTIONS["grayscale"].at(0.5).model_dump()
    return {"family": "grayscale", "on": on, "probability": probability, **fields}


def group(steps, order="fixed", probability=1.0, repeat_range=(1, 1)):
    return {"order": order, "probability": probability, "repeat_range": list(repeat_range),
            "steps": steps}  # fmt: skip


GROUPS = recipe(
    [
        gray_step(0.3, "both"),
        group([gray_step(0.5), gray_step(0.9)], "one", 0.8, (1, 3)),
        group([gray_step(0.2), group([gray_step(0.4)], "shuffled", 0.5, (2, 2))], "shuffled", 0.9),
    ],
    undamaged_share=0.25,
)


def test_probabilities_of_steps_in_groups_are_worked_out():
    steps = plan_steps(
        recipe([gray_step(0.3), group([gray_step(0.5), gray_step(1.0)], "one", 0.8)])
    )
    assert [step.name for step in steps] == ["grayscale_0", "grayscale_1_0", "grayscale_1_1"]
    assert [step.probability for step in steps] == pytest.approx([0.3, 0.8 * 0.25, 0.8 * 0.5])
    (twice,) = plan_steps(recipe([group([gray_step(0.5)], repeat_range=(1, 2))]))
    assert twice.probability == pytest.approx((0.5 + 0.75) / 2)
    assert twice.name == "grayscale" and twice.path == (0, 0)
    shares = plan_steps(recipe([gray_step(0.4, "both"), gray_step(0.4)], undamaged_share=0.5))
    assert [step.probability for step in shares] == pytest.approx([0.4, 0.2])


def test_what_is_drawn_is_what_was_worked_out():
    steps = plan_steps(GROUPS)
    tile = rng(0, "tile").integers(0, 256, (8, 8, 3), np.uint8)
    data = SplitData("train", steps)
    for number in range(3000):
        made = GROUPS.damage(tile, lambda *step, number=number: rng(7, number, *step))
        data.add(Sample(f"a_{number:04d}_00", made.clean, made.corrupted, made.mask, made.story))
    assert not data.num_strangers
    for number, step in enumerate(steps):
        count = len(data.severities(number))
        assert not doubts.is_surprising(count, 3000, step.probability), step
        assert doubts.is_surprising(count, 3000, 1.35 * step.probability), step


def test_a_step_has_its_familys_extent_and_covered_range():
    from pipeline.config import load_params

    params = load_params(ROOT / "params.yaml")
    (shapes,) = plan_steps(Recipe.load(params, "shapes", None))
    wanted = params["recipes"]["shapes"]["steps"][0]["covered_range"]
    assert (shapes.is_local, shapes.covered_range) == (True, tuple(wanted))
    (gray,) = plan_steps(recipe([gray_step(1.0)]))
    assert (gray.is_local, gray.covered_range) == (False, None)


# chance


def tail(total, probability, alarm):
    """The probability that a count is one of those that `alarm` picks, exactly."""
    return math.fsum(
        math.comb(total, count) * probability**count * (1 - probability) ** (total - count)
        for count in range(total + 1)
        if alarm(count)
    )


@pytest.mark.parametrize("total", [1, 12, 48, 300])
@pytest.mark.parametrize("probability", [0.003, 0.1, 0.5, 0.8, 0.999])
def test_false_alarms_are_no_more_frequent_than_promised(total, probability):
    alarm = tail(total, probability, lambda n: doubts.is_surprising(n, total, probability))
    assert alarm <= doubts.SURPRISE


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("total", [0, 1, 2, 13, 60])
def test_plausible_counts_are_those_that_do_not_surprise(total, probability):
    low, high = doubts.plausible(total, probability)
    calm = [n for n in range(total + 1) if not doubts.is_surprising(n, total, probability)]
    assert (low, high) == (calm[0], calm[-1]) and len(calm) == high - low + 1


def test_certain_steps_must_always_occur_and_impossible_ones_never():
    assert doubts.is_surprising(99, 100, 1.0) and not doubts.is_surprising(100, 100, 1.0)
    assert doubts.is_surprising(1, 100, 0.0) and not doubts.is_surprising(0, 100, 0.0)


def test_a_wrong_share_of_many_samples_is_noticed():
    assert doubts.is_surprising(330, 1000, 0.4) and not doubts.is_surprising(380, 1000, 0.4)


# warnings


def splits_of(**changed):
    """Three good splits, some of them changed, measured."""
    made = {split: good(split) for split in SPLITS} | changed
    return [measured(made[split], split) for split in SPLITS]


def edit(number, change, split="train"):
    """A split with every `number`-th sample changed."""
    made = good(split)
    return [change(one) if not place % number else one for place, one in enumerate(made)]


def mark(one, rows):
    mask = np.zeros_like(one.mask)
    mask[:rows] = 255
    return replace(
        one, mask=mask, corrupted=np.where(mask[:, :, None] > 0, 255, one.clean).astype(np.uint8)
    )


def shaped(one, rows):
    return replace(mark(one, rows), story=one.story | {"steps": [told(GRAY), told(SHAPES)]})


def without_grain(one):
    return replace(one, story=one.story | {"steps": one.story["steps"][:1]})


def strange(one):
    return replace(
        one, story=one.story | {"steps": [*one.story["steps"], told(SHAPES) | {"step": [7]}]}
    )


def flat(one):
    return replace(one, clean=np.full_like(one.clean, 90))


def smeared(one):
    """Local damage alone, and one pixel changed outside of its mask."""
    clean = one.clean.copy()
    clean[-1, -1] = np.where(clean[-1, -1] > 128, clean[-1, -1] - 50, clean[-1, -1] + 50)
    return replace(shaped(one, 2), clean=clean)


WRONG = {
    "strangers": (lambda: {"train": edit(10, strange)}, "train: 5 of 48 samples (10.4%) tell of"),
    "photo": (
        lambda: {"test": edit(48, lambda one: replace(one, key="train1_0099_00"), "test")},
        "train and test share 1 photo",
    ),
    "tile": (
        lambda: {"test": edit(48, lambda one: replace(one, clean=good("train")[3].clean), "test")},
        "train and test share 1 clean tile, pixel",
    ),
    "frequency": (
        lambda: {"train": edit(4, without_grain)},
        "train: step grain occurs in 36 of 48 samples; its probability of 1 makes 48 to 48",
    ),
    "never": (
        lambda: {s: [replace(o, story=o.story | {"steps": o.story["steps"][1:]}) for o in good(s)]
                 for s in SPLITS},
        "step grayscale never occurs, at a probability of 1",
    ),
    "empty": (
        lambda: {"val": edit(24, lambda one: shaped(one, 0), "val")},
        "val: 2 of 48 samples (4.2%) had local damage drawn, yet their mask is empty",
    ),
    "uncovered": (
        lambda: {"test": edit(16, lambda one: shaped(one, 8), "test")},
        "test: 3 of 48 samples (6.2%) have a mask outside of the 5.0% to 30.0%",
    ),
    "outside": (lambda: {"train": edit(48, smeared)}, "train: 1 of 48 samples (2.1%) are changed"),
    "few": (
        lambda: {"val": [one for one in good("val", 96) if one.key[3] in "02"]},
        "val: only 2 photos, ",
    ),
    "flat": (lambda: {"val": edit(12, flat, "val")}, "val: 4 of 48 samples (8.3%) have a nearly"),
}  # fmt: skip


def test_nothing_wrong_is_no_warning():
    assert doubts.find_doubts(splits_of(), STEPS) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_warned_of_in_one_line(case):
    changed, expected = WRONG[case]
    found = doubts.find_doubts(splits_of(**changed()), STEPS)
    assert any(line.startswith(expected) for line in found), found
    assert all("\n" not in line for line in found)
    if case not in ("empty", "never", "uncovered", "outside", "few"):  # they break other rules too
        assert len(found) == 1, found


def test_flat_tiles_of_two_splits_are_no_leak():
    changed = {split: edit(3, flat, split) for split in ("train", "test")}
    found = doubts.find_doubts(splits_of(**changed), STEPS)
    assert len(found) == 2 and all("nearly constant" in line for line in found)


def test_a_mask_may_be_larger_where_other_damage_marks_it_too():
    texture = PlannedStep((3,), "texture", "texture", "input", 0.5, True, None)
    both = [told(SHAPES), told(texture)]
    made = [sample(f"a{n % 4}", n, steps=both, rows=12) for n in range(20)]
    data = measured(made, steps=(*STEPS, texture))
    assert not [line for line in doubts.find_doubts([data], data.steps) if "outside of" in line]
    alone = measured([sample("a", n, steps=[told(SHAPES)], rows=12) for n in range(20)])
    assert [line for line in doubts.find_doubts([alone], STEPS) if "outside of" in line]


def test_pixels_outside_the_mask_count_only_where_it_must_tell_all():
    clean = good("train")[0]
    smear = smeared(clean)
    for steps, lossless, expected in (
        ([told(SHAPES)], True, 1), ([told(GRAY), told(SHAPES)], True, 1),
        ([told(SHAPES), told(GRAY)], True, 0), ([told(SHAPES), told(GRAIN)], True, 0),
        ([told(SHAPES)], False, 0), ([], True, 0),
    ):  # fmt: skip
        one = replace(smear, story=smear.story | {"steps": steps})
        assert measured([one], lossless=lossless)["outside"].tolist() == [expected]
