"""Figures of groups are those of their samples, groups come in the order that a reader expects, and
the words tell the truth."""

import csv
import io

import numpy as np
import pytest

from pipeline.breakdown import breakdown, groups, in_words, losses, worst_family
from pipeline.report import to_csv
from pipeline.seeds import rng

COLUMNS = ["by", "group", "num_samples", "num_photos", "picture", "metric", "mean", "median",
           "worst_decile", "low", "high"]  # fmt: skip


def row(key, photo="a.png", families="dust", psnr=(20.0, 25.0, 26.0), telea=None, **more):
    """A row of an evaluation; `psnr` of input, prediction and composite."""
    made = {"key": key, "photo": photo, "source": "sample", "families": families, "covered": 0.02,
            "severity": 0.5, "width": 600, "height": 400}  # fmt: skip
    own = dict(zip(("input", "prediction", "composite"), psnr, strict=True))
    for name, value in (own if telea is None else own | {"telea": telea}).items():
        made |= {f"{name}.psnr": value, f"{name}.ssim": 0.9, f"{name}.psnr_masked": None}
    return made | {"harm.psnr": 50.0} | more


def many(num_photos=10, tiles=3, **gains):
    """Rows of photos whose composite gains so many dB on each family, in turn, give or take 0.5."""
    random, rows = rng(5, "rows"), []
    for number in range(num_photos * tiles):
        family = sorted(gains)[number % len(gains)]
        after = 20 + gains[family] + random.uniform(-0.5, 0.5)
        rows.append(
            row(f"{number:03d}", f"{number // tiles}.png", family, (20.0, 21.0, after), 22.0)
        )
    return rows


def lines_of(rows, **wanted):
    found = breakdown(rows, 7)
    return [line for line in found if all(line[name] == value for name, value in wanted.items())]


def names(rows, by):
    return [group.name for group in groups(rows) if group.by == by]


# figures


def test_figures_are_those_of_the_samples():
    rows = [row(f"{n:02d}", f"{n % 5}.png", psnr=(20.0, 25.0, 20.0 + n)) for n in range(21)]
    (line,) = lines_of(rows, by="all", group="all", picture="composite", metric="gain")
    assert list(line) == COLUMNS
    assert (line["num_samples"], line["num_photos"]) == (21, 5)
    assert (line["mean"], line["median"], line["worst_decile"]) == (10.0, 10.0, 2.0)
    assert line["low"] < 10 < line["high"]
    (photo,) = lines_of(rows, by="photo", group="sample/0.png", picture="composite", metric="psnr")
    assert photo["low"] is None and photo["high"] is None, "one photo tells nothing of others"


def test_input_and_baselines_stand_beside_and_the_input_gains_nothing():
    rows = many(dust=3.0)
    pictures = {(line["picture"], line["metric"]) for line in breakdown(rows, 7)}
    assert {("input", "psnr"), ("telea", "gain"), ("composite", "ssim")} <= pictures
    assert ("input", "gain") not in pictures
    assert not any(metric == "psnr_masked" or name == "harm" for name, metric in pictures)


def test_the_order_of_rows_changes_nothing():
    rows = many(dust=3.0, folds=1.0)
    shuffled = [rows[place] for place in rng(1, "order").permutation(len(rows))]
    assert breakdown(shuffled, 7) == breakdown(rows, 7)
    assert in_words(shuffled, 7) == in_words(rows, 7)


def test_what_is_undefined_is_counted_out():
    rows = [row("a"), row("b", "b.png") | {"composite.psnr_masked": 12.0}]
    (line,) = lines_of(rows, by="all", picture="composite", metric="psnr_masked")
    assert (line["num_samples"], line["mean"], line["low"]) == (1, 12.0, None)


def test_csv_reads_back():
    found = breakdown(many(dust=3.0, folds=1.0), 7)
    again = list(csv.DictReader(io.StringIO(to_csv(found))))
    assert list(again[0]) == COLUMNS and len(again) == len(found)
    assert again[0]["mean"] == str(found[0]["mean"]) and again[-1]["low"] == ""


def test_lpips_is_there_where_it_was_measured():
    rows = [row("a", **{"composite.lpips": 0.2}), row("b", "b.png", **{"composite.lpips": 0.4})]
    (line,) = lines_of(rows, by="all", picture="composite", metric="lpips")
    assert line["mean"] == 0.3 and line["worst_decile"] == pytest.approx(0.38)


# groups


def test_a_sample_counts_in_each_of_its_families():
    rows = [row("a", families="dust folds"), row("b", families="undamaged"),
            row("c", families="given"), row("d", families="folds")]  # fmt: skip
    found = {group.name: group.places for group in groups(rows) if group.by == "family"}
    assert list(found) == ["dust", "folds", "undamaged", "given"]
    assert found["folds"] == [0, 3]


def test_bins_hold_their_upper_end_and_come_in_their_order():
    values = {"severity": (0.81, 0, 0.2, 0.200001, 1.0), "covered": (0.31, 0, 0.01, 0.3, None)}
    pairs = zip(*values.values(), strict=True)
    rows = [row(str(n), severity=s, covered=c) for n, (s, c) in enumerate(pairs)]
    assert names(rows, "severity") == ["0", "0–0.2", "0.2–0.4", "0.8–1"]
    assert names(rows, "covered") == ["none", "≤ 1 %", "15–30 %", "> 30 %", "unknown"]
    sizes = [(512, 4000), (513, 900), (3000, 1025), (4000, 3000), (None, None)]
    rows = [row(str(n), width=w, height=h) for n, (w, h) in enumerate(sizes)]
    assert names(rows, "size") == [
        "≤ 512 px", "513–1024 px", "1025–2048 px", "> 2048 px", "unknown",
    ]  # fmt: skip


def test_every_sample_is_in_one_bin_of_each_kind():
    random = rng(9, "bins")
    rows = [row(str(n), severity=float(s), covered=float(c)) for n, (s, c) in
            enumerate(random.random((200, 2)))]  # fmt: skip
    for by in ("all", "severity", "covered", "source", "size", "photo"):
        places = [place for one in groups(rows) if one.by == by for place in one.places]
        assert sorted(places) == list(range(200)), by


def test_what_no_row_tells_makes_no_groups():
    rows = [{k: v for k, v in row("a").items() if k not in ("families", "width")}]
    assert {group.by for group in groups(rows)} == {"all", "severity", "covered", "source", "photo"}


def test_damaged_ones_stand_apart_where_some_are_whole():
    rows = [row("a"), row("b", "b.png", "undamaged", (100.0, 40.0, 60.0))]
    assert names(rows, "all") == ["all", "damaged"]
    (line,) = lines_of(rows, by="all", group="damaged", picture="composite", metric="gain")
    assert line["mean"] == 6.0
    assert names(rows[:1], "all") == ["all"]


def test_no_rows_have_no_figures():
    assert breakdown([], 7) == [] and in_words([], 7) == "Nothing here is damaged."


# words


def test_the_worst_family_and_the_rivals_that_win():
    rows = many(dust=6.0, folds=0.3, shapes=1.0)
    assert worst_family(rows) == ("folds", pytest.approx(0.3, abs=0.2))
    assert [(one.family, one.rival) for one in losses(rows, 7)] == [
        ("folds", "telea"), ("shapes", "telea"),
    ]  # fmt: skip
    assert in_words(rows, 7) == (
        "Worst on folds: +0.3 dB over the input; loses to telea on folds (−1.7 dB) and on shapes "
        "(−1.0 dB)."
    )


def test_a_lead_that_chance_explains_is_not_told_as_a_loss():
    rows = many(12, 4, folds=1.99, dust=8.0)
    told = in_words(rows, 7)
    (loss,) = losses(rows, 7)
    assert loss.family == "folds" and not loss.certain
    assert "not told apart from telea on folds" in told and "loses" not in told


def test_a_loss_to_the_input_is_told_and_few_photos_are_no_excuse():
    rows = many(2, 3, folds=-1.5) + many(1, 3, dust=8.0)
    assert in_words(rows, 7).startswith(
        "Worst on folds: −1.5 dB over the input; loses to telea on folds (−3.5 dB); loses to its "
        "input on folds (−1.5 dB)"
    )


def test_undamaged_samples_are_no_family_to_lose_on():
    rows = [*many(dust=6.0), row("x", "x.png", "undamaged", (100.0, 50.0, 50.0), 90.0)]
    assert losses(rows, 7) == []
    assert in_words(rows, 7).endswith("ahead of its input and of every baseline on all damage.")


def test_rows_without_families_are_told_as_a_whole():
    rows = [one | {"families": None} for one in many(dust=1.0)]
    assert in_words(rows, 7).startswith("+1.0 dB over the input; loses to telea")
    assert in_words(rows, 7).endswith("loses to telea (−1.0 dB).")


def test_a_baseline_without_masks_is_compared_where_it_worked():
    rows = many(dust=1.0)
    for one in rows[::2]:
        one["telea.psnr"] = None
    (loss,) = losses(rows, 7)
    assert loss.paired.num_samples == len(rows) // 2 and np.isfinite(loss.paired.difference)
