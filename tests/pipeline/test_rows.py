"""Means over rows, in closed form."""

import pytest

from pipeline.report import to_csv
from pipeline.rows import HEADLINE, counted, mean_table, picture_names, read_csv, summarize


def row(key, psnr=(20.0, 30.0, 32.0), covered=0.1, masked=None, counts=None, **more):
    """A row of the three pictures of a system; `more`: PSNR by baseline name."""
    made = {"key": key, "photo": f"{key}.png", "source": "sample", "covered": covered}
    made |= {"severity": 0.5}
    own = dict(zip(("input", "prediction", "composite"), psnr, strict=True))
    for name, value in (own | more).items():
        made |= {f"{name}.mse": 10 ** (-value / 10), f"{name}.psnr": value}
        made[f"{name}.psnr_masked"] = masked
    if counts is not None:
        made |= dict(zip(("mask.tp", "mask.fp", "mask.fn"), counts, strict=True))
    return made


def test_means_are_those_of_the_rows():
    summary = summarize([row("a", (20, 30, 40), 0.1), row("b", (10, 20, 36), 0.3)])
    assert summary["num_samples"] == 2 and summary["covered"] == 0.2
    assert summary["input"]["psnr"] == 15.0
    assert "prediction" not in summary, "without masks it is the composite"
    assert summary["composite"]["psnr"] == 38.0
    assert summary["input"]["mse"] == pytest.approx((0.01 + 0.1) / 2, abs=1e-5)


def lines_of(rows):
    return {(line["picture"], line["metric"]): line for line in mean_table(rows)}


def test_psnr_is_clipped_at_100_and_the_number_told():
    rows = [row(key, psnr, counts=(1, 0, 0)) for key, psnr in
            (("a", (20, 100, 100)), ("b", (20, 30, 140)))]  # fmt: skip
    assert summarize(rows)["composite"]["psnr"] == 100.0
    assert summarize(rows)["prediction"]["psnr"] == 65.0
    assert lines_of(rows)["composite", "psnr"]["clipped_count"] == 2
    assert lines_of(rows)["prediction", "psnr"]["clipped_count"] == 1


def test_undefined_values_are_left_out_and_counted():
    rows = [row("a", masked=10.0), row("b", masked=None), row("c", masked=14.0)]
    assert summarize(rows)["input"]["psnr_masked"] == 12.0
    assert lines_of(rows)["input", "psnr_masked"]["undefined_count"] == 1
    none = [row("a"), row("b")]
    assert summarize(none)["input"]["psnr_masked"] is None
    assert lines_of(none)["input", "psnr_masked"]["undefined_count"] == 2


def test_a_mean_of_some_samples_alone_is_no_headline():
    """As of a baseline that needs masks, where one sample has none."""
    rows = [row("a", telea=25.0), row("b", telea=27.0)]
    assert summarize(rows)["telea"]["psnr"] == 26.0
    rows[1]["telea.psnr"] = None
    assert summarize(rows)["telea"]["psnr"] is None
    line = lines_of(rows)["telea", "psnr"]
    assert line["mean"] == 25.0 and line["undefined_count"] == 1


def test_mask_scores_are_micro_averages_over_all_pixels():
    """Sums: tp 30, fp 10, fn 20. A mean of the rows' own F1 would be 0.5 · (2/3 + 2/5) or so."""
    mask = summarize([row("a", counts=(20, 10, 10)), row("b", counts=(10, 0, 10))])["mask"]
    assert mask["precision"] == 0.75 and mask["recall"] == 0.6
    assert mask["f1"] == pytest.approx(60 / 90, abs=1e-5)
    assert mask["iou"] == 0.5
    assert mask["empty_count"] == 0


def test_empty_masks_are_counted_apart():
    mask = summarize([row("a", counts=(0, 3, 0)), row("b", counts=(0, 0, 0))])["mask"]
    assert mask["empty_count"] == 2 and mask["empty_marked_count"] == 1
    assert mask["recall"] is None and mask["f1"] == 0.0


def test_samples_without_a_mask_are_left_out_of_mask_scores_and_counted():
    unknown = row("c", covered=None, counts=(None, None, None))
    made = summarize(
        [row("a", covered=0.2, counts=(8, 2, 2)), row("b", covered=0.0, counts=(0, 0, 0)), unknown]
    )
    assert made["mask_missing_count"] == 1 and made["covered"] == 0.1
    assert made["mask"]["f1"] == 0.8 and made["mask"]["empty_count"] == 1
    none = summarize([unknown])
    assert none["covered"] is None and none["mask_missing_count"] == 1
    assert none["mask"]["f1"] is None and none["mask"]["empty_count"] == 0


def test_a_system_that_finds_no_mask_has_no_mask_scores():
    assert "mask" not in summarize([row("a")])


def test_the_order_of_rows_does_not_matter():
    rows = [row(str(n), (20 + n / 7, 30 + n / 3, 31 + n / 11), n / 13, n / 3) for n in range(20)]
    assert summarize(rows) == summarize(rows[::-1])


def test_no_rows_give_no_means():
    assert summarize([]) == {
        "num_samples": 0, "num_photos": 0, "undamaged_count": 0, "mask_missing_count": 0,
        "covered": None,
    }  # fmt: skip
    assert list(mean_table([])) == []


def test_the_systems_own_pictures_come_first_whatever_the_order_of_the_row():
    made = row("a", telea=25.0, median=24.0)
    assert picture_names([made]) == ["input", "prediction", "composite", "telea", "median"]
    shuffled = dict(sorted(made.items()))
    assert picture_names([shuffled])[:3] == ["input", "prediction", "composite"]
    assert set(picture_names([shuffled])) == {"input", "prediction", "composite", "telea", "median"}


def test_only_what_has_a_psnr_is_a_picture():
    assert picture_names([row("a", counts=(1, 2, 3))]) == ["input", "prediction", "composite"]
    assert picture_names([]) == []


def test_numbers_are_rounded_for_people():
    summary = summarize([row("a", (20, 30, 31), 1 / 3), row("b", (20, 30, 32.1234567), 0)])
    assert summary["covered"] == 0.16667
    assert summary["composite"]["psnr"] == 31.56173


def test_undamaged_inputs_do_not_hide_what_was_gained_on_the_others():
    rows = [row("a", (20, 30, 30)), row("b", (100, 50, 90)), row("c", (10, 20, 24))]
    summary = summarize(rows)
    assert (summary["num_samples"], summary["undamaged_count"]) == (3, 1)
    assert summary["input"]["psnr"] == 15.0 and summary["composite"]["psnr"] == 27.0
    assert lines_of(rows)["composite", "psnr"]["mean"] == 27.0
    assert [one["key"] for one in counted(rows)] == ["a", "c"]
    whole = summarize(rows[1:2])
    assert whole["undamaged_count"] == 1 and whole["composite"]["psnr"] == 90.0, "all there is"


def harmed(key, psnr, altered, marked=None, outside=None):
    made = row(key, (100, 90, 95)) | {"altered_outside": outside}
    told = {"psnr": psnr, "marked": marked, "altered": altered, "altered_outside": outside}
    return made | {f"harm.{name}": value for name, value in told.items()}


def test_what_happens_to_undamaged_tiles_is_summed_up():
    rows = [harmed("a", 100, 0.0, 0.0, 0.0), harmed("b", 40, 0.5, 0.2, 0.1)]
    told = summarize(rows)["harm"]
    assert told == {
        "psnr": 70.0, "psnr_lowest": 40, "marked": 0.1, "altered": 0.25, "altered_outside": 0.05,
        "identical_count": 1,
    }  # fmt: skip
    assert "harm" not in picture_names(rows)
    maskless = summarize([harmed("a", 60, 1.0), harmed("b", 50, 1.0)])
    assert maskless["harm"]["marked"] is None and maskless["altered_outside"] is None
    assert maskless["harm"]["identical_count"] == 0
    colored = summarize([harmed("a", 60, None)])["harm"]
    assert colored["identical_count"] is None and colored["altered"] is None


def test_metrics_json_has_the_headline_and_the_table_of_means_all():
    one = row("a", masked=10.0) | {"input.colorfulness": 4.0, "composite.colorfulness": None}
    summary = summarize([one, row("b", masked=12.0)])
    assert set(summary["input"]) <= set(HEADLINE)
    lines = lines_of([one])
    assert lines["input", "colorfulness"]["mean"] == 4.0
    assert lines["composite", "colorfulness"]["undefined_count"] == 1
    assert lines["composite", "colorfulness"]["mean"] is None
    assert lines["input", "psnr"]["clipped_count"] == 0
    assert lines["input", "mse"]["clipped_count"] is None
    assert {picture for picture, _ in lines} == {"input", "prediction", "composite"}


def test_the_table_has_what_concerns_no_picture():
    rows = [harmed("a", 60, 1.0) | {"kl": 3.0}, harmed("b", 50, 0.0) | {"kl": 5.0}]
    lines = lines_of(rows)
    assert lines[None, "kl"]["mean"] == 4.0
    assert lines[None, "harm.psnr"]["mean"] == 55.0
    assert lines[None, "harm.marked"]["mean"] is None
    assert lines[None, "harm.marked"]["undefined_count"] == 2
    assert not {"covered", "severity", "key"} & {metric for _, metric in lines}


def test_rows_come_back_from_their_file():
    rows = [row("007", masked=None, counts=(1, 2, 3)) | {"photo": "12", "families": "dust"}]
    assert read_csv(to_csv(rows)) == rows


def test_with_lpips_the_share_that_looks_right():
    rows = [row(key) | {"composite.lpips": distance} for key, distance in zip("abc", (0.05, 0.2, 0),
            strict=True)]  # fmt: skip
    made = summarize(rows)["composite"]
    assert made["share_good"] == pytest.approx(2 / 3, abs=1e-5)
    assert "share_good" not in summarize(rows)["input"]
