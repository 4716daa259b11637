"""Means over rows, in closed form."""

import pytest

from pipeline.rows import HEADLINE, mean_table, picture_names, summarize


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
    assert summary["prediction"]["psnr"] == 25.0
    assert summary["composite"]["psnr"] == 38.0
    assert summary["input"]["mse"] == pytest.approx((0.01 + 0.1) / 2, abs=1e-5)


def test_psnr_is_clipped_at_100_and_the_number_told():
    summary = summarize([row("a", (20, 100, 100)), row("b", (20, 30, 140))])
    assert summary["composite"]["psnr"] == 100.0
    assert summary["composite"]["psnr_clipped_count"] == 2
    assert summary["prediction"]["psnr"] == 65.0
    assert summary["prediction"]["psnr_clipped_count"] == 1


def test_undefined_values_are_left_out_and_counted():
    summary = summarize([row("a", masked=10.0), row("b", masked=None), row("c", masked=14.0)])
    assert summary["input"]["psnr_masked"] == 12.0
    assert summary["input"]["psnr_masked_undefined_count"] == 1
    none = summarize([row("a"), row("b")])["input"]
    assert none["psnr_masked"] is None and none["psnr_masked_undefined_count"] == 2


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
    assert summarize([]) == {"num_samples": 0, "num_photos": 0, "covered": 0.0}


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
    assert summary["undamaged_count"] == 1
    assert summary["damaged"]["input"]["psnr"] == 15.0
    assert summary["damaged"]["composite"]["psnr"] == 27.0
    assert summary["input"]["psnr"] == pytest.approx(130 / 3, abs=1e-5)
    for one in (rows[::2], rows[1:2]):  # all damaged; none
        assert not {"damaged", "undamaged_count"} & set(summarize(one))


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
    assert set(summary["input"]) - {"psnr_clipped_count"} <= set(HEADLINE)
    lines = {(line["picture"], line["metric"]): line for line in mean_table([one])}
    assert lines["input", "colorfulness"]["mean"] == 4.0
    assert lines["composite", "colorfulness"]["undefined_count"] == 1
    assert lines["composite", "colorfulness"]["mean"] is None
    assert lines["input", "psnr"]["clipped_count"] == 0
    assert lines["input", "mse"]["clipped_count"] is None
    assert {picture for picture, _ in lines} == {"input", "prediction", "composite"}
