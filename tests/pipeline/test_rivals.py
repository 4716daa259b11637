"""What is told of the input and of baselines that do better is true, and no surer than it is."""

import numpy as np
import pytest

from pipeline.breakdown import in_words, lead, losses, worst_family
from pipeline.seeds import rng
from tests.pipeline.measured import WHOLE, many, row

TELEA = ["telea"]


def told(rows, baselines=TELEA):
    """What is said of rivals."""
    words = in_words(rows, 7, baselines).split(". Hardest")[0].split("over the input; ")[-1]
    return words[0].lower() + words[1:].rstrip(".")


def test_the_worst_family_and_the_rivals_that_win():
    rows = many(dust=6.0, folds=0.3, shapes=1.0)
    assert worst_family(rows) == ("folds", pytest.approx(0.3, abs=0.2))
    assert [(one.family, one.rival) for one in losses(rows, 7, TELEA)] == [
        ("folds", "telea"), ("shapes", "telea"),
    ]  # fmt: skip
    assert in_words(rows, 7, TELEA) == (
        "Worst on folds: +0.3 dB over the input; loses to telea on folds (−1.7 dB) and on shapes "
        "(−1.0 dB). Hardest photo: 9.png, +2.1 dB over the input."
    )


def test_families_that_every_sample_has_are_told_as_all_and_none_is_the_worst():
    rows = [one | {"families": "grain texture"} for one in many(dust=1.0)]
    assert [(one.family, one.rival) for one in losses(rows, 7, TELEA)] == [("all", "telea")]
    assert in_words(rows, 7, TELEA).startswith("Loses to telea (−1.0 dB). Hardest photo: ")
    some = [one | {"families": f"grain {one['families']}"} for one in many(dust=6.0, folds=0.3)]
    assert in_words(some, 7, []).startswith("Worst on folds: +0.2 dB over the input; ahead of its ")


def test_the_hardest_photo_is_named_where_there_are_two():
    rows = [row(f"{n}", "ab"[n % 2] + ".png", psnr=(20.0, 21.0, 22.0 + n % 2)) for n in range(8)]
    assert in_words(rows, 7, []).endswith(". Hardest photo: a.png, +2.0 dB over the input.")
    assert "Hardest" not in in_words(rows[::2], 7, [])
    twins = [one | {"photo": "a.png", "source": "xy"[n % 2]} for n, one in enumerate(rows)]
    assert "Hardest photo: x/a.png, " in in_words(twins, 7, []), "two photos of one name"


def test_the_lead_over_a_rival_has_an_interval_and_leaves_undamaged_samples_out():
    rows = many(12, 4, folds=1.0, dust=5.0)  # telea gains 2 dB on each
    found = lead([*rows, row("x", "x.png", psnr=WHOLE, telea=90.0)], 7, "telea")
    assert found.improvement == pytest.approx(1.0, abs=0.2)
    assert (found.num_samples, found.num_photos, found.verdict) == (48, 12, "better")
    low, high = found.improvement_interval
    assert low < found.improvement < high
    assert lead(rows, 7, "input").improvement == pytest.approx(found.improvement + 2)
    assert lead(rows, 7, "nobody").improvement is None


def test_the_order_of_rows_changes_nothing():
    rows = many(dust=3.0, folds=1.0)
    shuffled = [rows[place] for place in rng(1, "order").permutation(len(rows))]
    assert in_words(shuffled, 7, TELEA) == in_words(rows, 7, TELEA)


def test_only_baselines_are_rivals():
    rows = many(dust=1.0)
    for one in rows:
        one["without_skips.psnr"] = 30.0
    assert {one.rival for one in losses(rows, 7, TELEA)} == {"telea"}
    assert told(rows, []) == "ahead of its input on all damage"


def test_a_lead_that_chance_explains_is_not_told_as_a_loss():
    rows = many(12, 4, folds=1.9, dust=8.0)
    for number, one in enumerate(rows):
        one["telea.psnr"] += 3 * (-1) ** (number // 4)
    (loss,) = losses(rows, 7, TELEA)
    assert loss.family == "folds" and loss.paired.verdict == "open"
    assert told(rows).startswith("not told apart from telea on folds (−") and "lose" not in told(
        rows
    )


def test_of_few_photos_the_figure_is_told_and_nothing_is_claimed():
    rows = many(3, 4, folds=-1.5, dust=8.0)
    assert told(rows) == (
        "behind telea on folds (−3.5 dB, 3 photos): too few to be sure; behind its input on folds "
        "(−1.5 dB, 3 photos): too few to be sure"
    )
    assert told(many(1, 4, dust=8.0)) == (
        "ahead of its input and every baseline on all damage (1 photo: too few to be sure)"
    )


def test_the_photos_of_the_family_are_what_counts():
    rows = [*many(10, 2, dust=8.0), *(row(f"x{n}", f"x{n}.png", "folds", telea=30.0)
            for n in range(2))]  # fmt: skip
    assert told(rows) == "behind telea on folds (−4.0 dB, 2 photos): too few to be sure"


def test_a_loss_to_the_input_is_told():
    assert in_words(many(10, 4, folds=-1.5, dust=8.0), 7, TELEA).startswith(
        "Worst on folds: −1.6 dB over the input; loses to telea on folds (−3.6 dB); loses to its "
        "input on folds (−1.6 dB)."
    )


def test_what_rounds_to_nothing_is_no_loss_and_has_no_sign():
    rows = [row(f"{n}", f"{n}.png", psnr=(20.0, 20.0, 19.96), telea=19.97) for n in range(8)]
    assert len(losses(rows, 7, TELEA)) == 2
    assert in_words(rows, 7, TELEA) == (
        "Level with or ahead of its input and every baseline on all damage. Hardest photo: 0.png, "
        "0.0 dB over the input."
    )


def test_undamaged_samples_are_no_family_to_lose_on():
    rows = [*many(dust=6.0), row("x", "x.png", "grayscale", WHOLE, 90.0),
            row("y", "y.png", "undamaged", WHOLE, 90.0)]  # fmt: skip
    assert losses(rows, 7, TELEA) == []
    assert told(rows) == "ahead of its input and every baseline on all damage"
    assert in_words(rows[-2:], 7, TELEA) == in_words([], 7, TELEA) == "Nothing here is damaged."


def test_rows_without_families_are_told_as_a_whole():
    rows = [one | {"families": None} for one in many(dust=1.0)]
    assert told(rows) == "loses to telea (−1.0 dB)" and "orst" not in in_words(rows, 7, TELEA)


def test_a_baseline_without_masks_is_compared_where_it_worked():
    rows = many(dust=1.0)
    for one in rows[::2]:
        one["telea.psnr"] = None
    (loss,) = losses(rows, 7, TELEA)
    assert loss.paired.num_samples == len(rows) // 2 and np.isfinite(loss.paired.difference)
