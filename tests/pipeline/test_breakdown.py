"""Figures of groups are those of their samples, and groups come in the order that a reader
expects."""

import csv
import io

import pytest

from pipeline.breakdown import breakdown, groups
from pipeline.report import to_csv
from pipeline.seeds import rng
from tests.pipeline.measured import WHOLE, many, row

COLUMNS = ["by", "group", "num_samples", "num_photos", "picture", "metric", "mean", "median",
           "worst_decile", "low", "high"]  # fmt: skip


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
    rows = [row("a", families="dust folds"), row("b", families="undamaged", psnr=WHOLE),
            row("c", families="given"), row("d", families="folds")]  # fmt: skip
    found = {group.name: group.places for group in groups(rows) if group.by == "family"}
    assert list(found) == ["dust", "folds", "given", "undamaged"]
    assert found["folds"] == [0, 3] and found["undamaged"] == [1]


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


def test_undamaged_samples_are_a_family_and_in_no_other_group():
    """Also where a family was drawn and changed nothing, as grayscale on a gray photo."""
    rows = [row("a"), row("b", "b.png", "grayscale", WHOLE), row("c", "c.png", "undamaged", WHOLE)]
    assert {group.name: group.places for group in groups(rows) if group.by == "family"} == {
        "dust": [0], "undamaged": [1, 2],
    }  # fmt: skip
    others = [group for group in groups(rows) if group.name != "undamaged"]
    assert all(group.places == [0] for group in others) and len(others) == 7
    for by in ("all", "severity", "covered", "source"):
        (line,) = lines_of(rows, by=by, picture="composite", metric="gain")
        assert line["mean"] == 6.0, by
    (line,) = lines_of(rows, group="undamaged", picture="composite", metric="gain")
    assert (line["mean"], line["num_samples"]) == (-40.0, 2)


def test_where_nothing_is_damaged_groups_are_of_all():
    rows = [row("a", families="grayscale", psnr=WHOLE), row("b", families="undamaged", psnr=WHOLE)]
    assert names(rows, "family") == []
    assert {tuple(group.places) for group in groups(rows)} == {(0, 1)}


def test_no_rows_have_no_figures():
    assert breakdown([], 7) == []
