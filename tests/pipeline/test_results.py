"""The results table: its figures against plain numpy and against the other reports, its aims, what
is not there."""

import numpy as np
import pytest

from pipeline.comparison import compare
from pipeline.comparison.sides import Side
from pipeline.results import Pair, build
from pipeline.results.aims import AIMS
from pipeline.results.figures import (
    Measured,
    colorfulness,
    difference,
    mask_f1,
    mask_iou,
    mean,
    share_below,
)
from pipeline.results.text import to_markdown
from pipeline.rows import photo_of
from pipeline.seeds import rng
from pipeline.statistics import Bootstrap
from tests.pipeline.compared import restore, rows_of
from tests.pipeline.measured import many, row

SEED = 7


def pair(name="one-shapes", kind="dual_decoder", rows=None, settings=None, test="0" * 64, **more):
    subject = {"recipe": name.split("-")[1], "test_sha256": test}
    side = Side(name, name, None, subject, rows or rows_of(restore(20)))
    return Pair(side, name.split("-")[0], kind, settings or {}, **more)


def aims_of(one):
    return {line["name"]: line for line in build([one], SEED)["aims"]}


def with_masks(num_photos=8):
    """Rows with counts of their masks' pixels."""
    random, rows = rng(3, "masks"), many(num_photos, dust=6)
    for one in rows:
        one["mask.tp"], one["mask.fp"], one["mask.fn"] = map(int, random.integers(1, 90, 3))
    return rows


# figures


def test_means_and_their_intervals_are_those_of_statistics():
    rows = [*many(dust=6, folds=3), row("whole", "z.png", "undamaged", (100.0, 40.0, 60.0))]
    found = difference("composite.psnr", "input.psnr")(Measured(rows, SEED))
    damaged = rows[:-1]
    gains = [one["composite.psnr"] - one["input.psnr"] for one in damaged]
    photos = [photo_of(one) for one in damaged]
    expected = Bootstrap(map(photo_of, rows), SEED).interval(photos, gains)
    assert (found.low, found.high) == tuple(expected)
    assert found.value == pytest.approx(np.mean(gains)) and found.low < found.value < found.high
    assert mean("composite.lpips")(Measured(rows, SEED)) is None


def test_one_photo_gives_a_value_without_an_interval():
    rows = with_masks(1)
    for measure in (mean("composite.psnr"), mask_f1):
        found = measure(Measured(rows, SEED))
        assert found.value > 0 and found.low is found.high is None


@pytest.mark.parametrize(("measure", "weight"), [(mask_f1, 2), (mask_iou, 1)])
def test_scores_of_masks_are_ratios_of_sums_in_each_drawing_of_photos(measure, weight):
    rows = with_masks()
    found, bootstrap = measure(Measured(rows, SEED)), Bootstrap(map(photo_of, rows), SEED)
    photos = sorted({photo_of(one) for one in rows})
    replicates = []
    for drawn in bootstrap.draws:
        own = [one for one in rows for _ in range(drawn[photos.index(photo_of(one))])]
        right = weight * sum(one["mask.tp"] for one in own)
        replicates.append(right / (right + sum(one["mask.fp"] + one["mask.fn"] for one in own)))
    ends = np.quantile(replicates, [0.025, 0.975])
    assert [found.low, found.high] == pytest.approx(ends, abs=1e-12)


def test_masks_count_the_samples_whose_truth_is_known_undamaged_ones_too():
    known = row("a", **{"mask.tp": 6, "mask.fp": 1, "mask.fn": 1})
    whole = row(
        "b", "b.png", "undamaged", (100.0,) * 3, **{"mask.tp": 0, "mask.fp": 2, "mask.fn": 2}
    )
    gone = row("c", "c.png", **dict.fromkeys(("mask.tp", "mask.fp", "mask.fn")))
    assert mask_f1(Measured([known, whole, gone], SEED)).value == pytest.approx(12 / 18)


def test_colorfulness_is_that_of_all_results_by_that_of_all_originals():
    made = [(30.0, 0.5), (1.0, 10.0), (40.0, None)]  # the second's original has next to no color
    rows = [
        row(
            str(n), f"{n}.png", **{"composite.colorfulness": own, "composite.colorfulness_ratio": r}
        )
        for n, (own, r) in enumerate(made)
    ]
    assert colorfulness(Measured(rows, SEED)).value == pytest.approx(31 / 60.1)


def test_a_share_counts_the_samples_that_are_good_enough():
    rows = [row(str(n), f"{n}.png", **{"composite.lpips": n / 20}) for n in range(4)]
    assert share_below("composite.lpips", 0.05)(Measured(rows, SEED)).value == 0.5


# the restorer against the others


def test_duels_are_the_comparisons_of_patina_compare():
    weak, strong = rows_of(restore(20)), rows_of(restore(10))
    pairs = [pair("one-shapes", rows=weak), pair("best-shapes", "restorer", strong)]
    (duel,) = build(pairs, SEED)["duels"]
    main = compare(pairs[0].side, pairs[1].side, "composite", "psnr", SEED).main
    assert duel["difference"] == pytest.approx([main.difference, *main.interval], abs=1e-6)
    assert duel["verdict"] == main.verdict == "better"
    assert (duel["challenger"], duel["rival"], duel["recipe"]) == ("best", "one", "shapes")
    assert (duel["psnr"], duel["psnr_rival"]) == (main.b, main.a)


def test_only_the_same_samples_are_compared():
    best = pair("best-shapes", "restorer")
    assert build([best, pair("one-aged")], SEED)["duels"] == []
    assert build([best, pair("more-shapes", "restorer")], SEED)["duels"] == []
    found = build([best, pair("one-shapes", test="1" * 64)], SEED)
    assert not found["duels"] and "were measured on other test shards" in found["unmatched"][0]
    assert "Not compared: one-shapes and best-shapes" in to_markdown(found)


# aims


def test_aims_are_asked_of_the_variants_that_they_concern():
    gain, bare = "gain with skips (dB)", "gain without skips (dB)"
    for skips, name in (([True, True], gain), ([False, False], bare)):
        found = aims_of(pair("x-defects", "defect_unet", many(dust=6), {"skips": skips}))
        assert [one for one in found if one.startswith("gain")] == [name]
    assert not aims_of(pair("x-aged", "defect_unet"))
    tinted = [one | {"tint.psnr": one["composite.psnr"] - 1} for one in many(dust=6)]
    for loss, count in (("regression", 1), ("rebalanced", 0)):
        settings = {"color": "lab", "color_loss": loss}
        assert len(aims_of(pair("x-aged_color", "aged_unet", tinted, settings))) == count
    gray = {"color": "gray", "color_loss": "regression"}
    assert not aims_of(pair("x-aged", "aged_unet", tinted, gray))


def test_an_aim_is_reached_surely_when_the_whole_interval_says_so():
    told = {}
    for gain in (2, 4, 6):
        rows = many(folds=gain, dust=gain)
        found = aims_of(pair("x-defects", "defect_unet", rows, {"skips": [True]}))
        (told[gain],) = [(one["reached"], one["sure"]) for one in found.values()]
    assert told[2] == (False, True) and told[6] == (True, True) and told[4][1] is False


def test_bounds_belong_to_what_is_asked():
    one = next(aim for aim in AIMS if aim.name.startswith("colorfulness"))
    assert [one.reached(value) for value in (0.59, 0.6, 1.4, 1.41)] == [False, True, True, False]
    assert {aim.reached(1.0) for aim in AIMS if aim.least is aim.most is None} == {None}
    assert {aim.kind for aim in AIMS} == {
        "dual_decoder", "defect_unet", "skip_vae", "three_stage", "aged_unet",
    }  # fmt: skip


# the text


def test_costs_are_told_and_a_missing_one_is_a_dash():
    cost = {"cpu_seconds": 90.0, "wall_seconds": 60.0, "processor": "Some CPU", "threads": 2,
            "accelerator": None, "processes": 1}  # fmt: skip
    known = pair("one-shapes", num_parameters=1234, num_steps=10, training=cost)
    other = pair("two-shapes", "restorer")
    lines = to_markdown(build([known, other], SEED)).splitlines()
    assert "| `one` | dual_decoder | 1,234 | 10 | 1.5 | 1.0 |" in lines
    assert "| `two` | restorer | – | – | – | – |" in lines
    assert "Trained on Some CPU, 2 threads." in lines
    assert any("–\u00a0:\u00a01.5" in line for line in lines), "the two budgets of a duel"
    assert "patina train one && patina evaluate one-shapes" in lines


def test_in_damage_a_system_stands_beside_what_knows_the_mask():
    rows = [
        one | {"composite.psnr_masked": 24.5, "telea.psnr_masked": 25.0 + n % 3}
        for n, one in enumerate(many(dust=6))
    ]
    found = build([pair(rows=rows)], SEED)["pairs"][0]
    assert found["in_damage"][0] == 24.5 and found["in_damage_difference"][0] == pytest.approx(-1.5)
    line = next(x for x in to_markdown(build([pair(rows=rows)], SEED)).splitlines() if "−1.50" in x)
    assert "| no |" in line
    bare = to_markdown(build([pair(rows=many(dust=6))], SEED), ["gone-shapes"])
    assert "## In the damage" not in bare and "left out: `gone-shapes`" in bare


def test_rows_in_any_order_make_the_same_table():
    rows = with_masks()
    one, other = (build([pair(rows=x)], SEED) for x in (rows, rows[::-1]))
    assert one == other
