"""What is better is told as far as it is certain."""

import pytest

from pipeline.comparison import differences, most_changed, report
from pipeline.comparison.page import Looks, build
from pipeline.comparison.words import metric_table, samples_told, sentence
from pipeline.files import to_json
from pipeline.report import to_csv
from tests.pipeline.compared import compared, restore, rows_of, samples, side


@pytest.fixture(scope="module")
def better():
    """B halves the noise of A, on dust; on folds it doubles it."""
    return compared(side(), side("b", dust=5, folds=30))


# sentences


def test_what_is_better_is_told_with_its_interval():
    found = compared(side(), side("b", strength=10))
    told = sentence(found)
    main = found.main
    assert told == f"B is better by {main.difference:.2f} dB, 95 % interval " \
        f"{main.interval.low:.2f}–{main.interval.high:.2f}"  # fmt: skip
    assert main.difference == pytest.approx(6, abs=0.5), "half the noise is 6 dB"
    assert samples_told(found) == "16 samples of 8 photos; 8 undamaged apart"
    back = compared(side(strength=10), side("b", strength=20))
    assert sentence(back) == told.replace("better", "worse")


def test_where_a_family_goes_the_other_way_it_is_named(better):
    assert sentence(better).startswith("B is better by ")
    assert sentence(better).endswith("; worse on folds")
    assert {name: one.verdict for name, one in better.families.items()} == {
        "dust": "better", "folds": "worse", "undamaged": "equal",
    }  # fmt: skip


def test_less_is_better_where_it_is():
    found = compared(side(), side("b", strength=10), metric="mse")
    assert found.main.difference < 0 and found.main.verdict == "better"
    assert sentence(found).startswith("B is better by 0.004") and "(mse)" in sentence(found)
    assert [row[0] for row in metric_table(found)[1]] == ["mse ↓", "psnr", "ssim"]


def test_what_chance_explains_is_not_told_as_a_difference():
    rows = rows_of(restore(20))
    changed = [one | {"composite.psnr": one["composite.psnr"] + (1 if n % 4 < 2 else -1)}
               for n, one in enumerate(rows)]  # fmt: skip
    told = sentence(compared(side(rows=rows), side("b", rows=changed)))
    assert told.startswith("No difference can be told: B is ") and " to " in told


def test_few_photos_are_too_few_however_much_they_agree():
    first, second = (rows_of(restore(sigma))[:9] for sigma in (20, 5))
    told = sentence(compared(side(rows=first), side("b", rows=second)))
    assert told.startswith("B is ahead by 12.03 dB here, 95 % interval 12.0")
    assert told.endswith(", on all 3 photos: too few to be sure of others")
    back = sentence(compared(side(rows=second), side("b", rows=first)))
    assert back == told.replace("ahead", "behind"), "the interval is of how far it is behind"
    moved = [one | {"composite.psnr": one["composite.psnr"] + (9 if n < 6 else -1)}
             for n, one in enumerate(first)]  # fmt: skip
    assert ", on 2 of 3 photos: too few" in sentence(compared(side(rows=first), side(rows=moved)))
    alone = compared(side(rows=first[:2]), side("b", rows=second[:2]))
    assert sentence(alone).endswith(" dB here, on 1 photo: too few to be sure of others")
    assert "interval" not in sentence(alone)


def test_equal_sides_are_equal():
    assert sentence(compared(side(), side("b"))) == "No sample differs in psnr: A and B are equal"


def test_a_metric_without_values_is_not_compared():
    rows = [one | {"composite.lpips": None} for one in rows_of(restore(20))]
    found = compared(side(rows=rows), side("b", rows=rows), metric="lpips")
    assert sentence(found) == "Nothing to compare: no sample has lpips"
    assert build(found, Looks())


def test_a_tiny_difference_keeps_its_digits():
    rows = rows_of(restore(20))
    moved = [one | {"composite.psnr": one["composite.psnr"] + 0.0012 + n * 1e-5}
             for n, one in enumerate(rows)]  # fmt: skip
    assert "better by 0.0013 dB, 95 % interval 0.0013–0.0014" in sentence(
        compared(side(rows=rows), side("b", rows=moved))
    )


def test_another_picture_or_metric_is_named():
    found = compared(side(), side("b", strength=10), "prediction", "ssim")
    assert "(prediction.ssim)" in sentence(found)


# figures


def test_all_undamaged_samples_are_compared_where_there_are_no_others():
    rows = [one for one in rows_of(restore(20)) if one["families"] == "undamaged"]
    found = compared(side(rows=rows), side("b", rows=rows))
    assert (found.main.num_samples, found.num_undamaged) == (8, 0)


def test_the_order_of_rows_changes_nothing(better):
    turned = compared(side(rows=better.a.rows[::-1]), side("b", rows=better.b.rows[::-1]))
    assert to_json(report(turned)) == to_json(report(better))
    assert to_csv(differences(turned)) == to_csv(differences(better))
    assert build(turned, Looks()) == build(better, Looks())


def test_differences_are_b_minus_a_sample_by_sample(better):
    rows = differences(better)
    assert [row["key"] for row in rows] == sorted(one.key for one in samples())
    for row, before, after in zip(rows, better.a.rows, better.b.rows, strict=True):
        assert (
            row["a.psnr"] == before["composite.psnr"] and row["b.ssim"] == after["composite.ssim"]
        )
        assert row["difference.psnr"] == pytest.approx(row["b.psnr"] - row["a.psnr"], abs=1e-6)


def test_the_samples_that_changed_most_come_first(better):
    gained, lost = most_changed(better, 3)
    changes = sorted(row["difference.psnr"] for row in differences(better))
    assert [row["difference.psnr"] for row in gained] == changes[:-4:-1]
    assert [row["difference.psnr"] for row in lost] == changes[:3]
    assert {row["families"] for row in gained} == {"dust"}
    less = compared(better.a, better.b, metric="mse")
    assert [row["key"] for row in most_changed(less, 1)[0]] != [lost[0]["key"]]
    assert most_changed(less, 1)[0][0]["difference.mse"] < 0


def test_undamaged_samples_are_not_among_those_that_changed_most():
    """They would be ahead of all: a little harm is many dB below the clip."""
    first = rows_of(restore(20))
    second = [one | {"composite.psnr": 45.0} if one["families"] == "undamaged" else one
              for one in rows_of(restore(18))]  # fmt: skip
    found = compared(side(rows=first), side("b", rows=second))
    gained, lost = most_changed(found, 6)
    assert gained and "undamaged" not in {row["families"] for row in [*gained, *lost]}
    assert found.families["undamaged"].verdict == "worse"
    assert sentence(found).endswith("; worse on undamaged")
    whole = [row for row in second if row["families"] == "undamaged"]
    alone = compared(
        side(rows=[row for row in first if row["families"] == "undamaged"]), side("b", rows=whole)
    )
    assert len(most_changed(alone, 6)[1]) == 6, "there are no others"


def test_what_both_do_to_undamaged_photos_is_compared():
    rows = rows_of(restore(20))
    first, second = (
        [one | {"harm.psnr": value, "harm.altered": 1 - value / 100} for one in rows]
        for value in (40.0, 50.0)
    )
    found = compared(side(rows=first), side("b", rows=second))
    assert found.harm["harm.psnr"].num_samples == 24
    assert {found.harm[name].verdict for name in ("harm.psnr", "harm.altered")} == {"better"}
    assert any(row[0] == "harm.altered ↓" for row in metric_table(found)[1])
    assert "Rows named harm" in build(found, Looks())
    other = compared(side(rows=first), side("b", rows=second), "prediction")
    assert not other.harm and "named harm" not in build(other, Looks()), (
        "it is of the composite alone"
    )


def test_the_report_is_json_with_every_figure(better):
    told = report(better)
    assert set(told["metrics"]) == {"psnr", "mse", "ssim"} and told["undamaged_count"] == 8
    psnr = told["metrics"]["psnr"]
    assert psnr["better"] + psnr["worse"] + psnr["equal"] == psnr["num_samples"] == 16
    assert psnr["low"] < psnr["difference"] < psnr["high"] and 0 < psnr["p"] <= 1
    assert "NaN" not in to_json(told)
