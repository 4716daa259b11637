"""The leaderboard's means, gains and intervals are over the same samples, the damaged ones; what is
done to undamaged photos stands apart."""

import pytest

from pipeline.breakdown import breakdown
from pipeline.report import leaderboard, leaderboard_text
from pipeline.rows import summarize
from tests.pipeline.test_report import breakdown_rows, pair, tables
from tests.pipeline.test_rows import row


def mixed(psnr=(20.0, 24.0, 26.0), median=25.0, count=8):
    """A pair with a row of `psnr` and an undamaged one, in turns, of `count` photos."""
    rows = [row(str(number), psnr, median=median + number / 9) for number in range(count)]
    for number, one in enumerate(rows):
        one["composite.psnr"] += number / 7
        one |= {"families": "folds", "width": 64, "height": 64}
        one |= {f"{name}.ssim": 0.9 for name in ("input", "prediction", "composite", "median")}
        one |= {"harm.psnr": 40.0 + number, "harm.marked": None, "harm.altered": 0.5,
                "harm.altered_outside": None, "altered_outside": None}  # fmt: skip
    for one in rows[1::2]:
        one |= {"input.psnr": 100.0, "families": "undamaged", "composite.psnr": 50.0}
    return {
        "system": "one", "recipe": "some", "summary": summarize(rows), "tuned": {"median": {}},
        "breakdown": breakdown(rows, 7),
    }  # fmt: skip


def test_means_gains_and_intervals_are_of_the_same_damaged_samples():
    for line in leaderboard({"one-some": mixed()}):
        gain = line["gain"]
        assert gain["low"] <= gain["mean"] <= gain["high"]
        assert line["composite"]["psnr"] - line["input"]["psnr"] == pytest.approx(gain["mean"])
        assert line["input"]["psnr"] == 20.0 and gain["mean"] > 5
    text = leaderboard_text(leaderboard({"one-some": mixed()}))
    assert "(8 held-out samples, 4 undamaged, 10.0% covered by damage)" in text


def test_the_board_tells_what_is_done_to_undamaged_photos():
    own, baseline = leaderboard({"one-some": mixed()})
    assert own["harm"]["psnr"] == 43.5 and baseline["harm"] is None
    (table,) = tables(leaderboard_text([own, baseline]))
    assert [cells[-1] for cells in table] == ["43.50", "–", "–"]


def test_the_board_tells_how_many_undamaged_photos_are_the_same_bytes():
    made = mixed()
    made["summary"]["harm"]["identical_count"] = 3
    (table,) = tables(leaderboard_text(leaderboard({"one-some": made})))
    assert [cells[-1] for cells in table] == ["43.50, 3 of 8 equal", "–", "–"]


def test_where_nothing_is_damaged_nothing_is_gained():
    made = leaderboard({"one": pair("one", "clean", (100, 50, 60), median=80.0)})
    assert [line["gain"] for line in made] == [None, None]
    assert "(2 held-out samples, all undamaged," in leaderboard_text(made)


def test_what_lacks_a_sample_has_no_gain_beside_others():
    made = pair("one", "aged", (20, 25, 25), median=23.0)
    made["summary"]["median"]["psnr"] = None
    made["breakdown"] = breakdown_rows(1.0, 6.0)
    assert [line["gain"] is None for line in leaderboard({"one": made})] == [False, True]


def test_losses_have_the_same_minus_in_every_place():
    rows = breakdown_rows(-8.21, 6.77)
    for one in rows:
        one["mean"] = -1.69
    made = pair("one", "aged", (20, 25, 18.31), median=18.31) | {"breakdown": rows}
    text = leaderboard_text(leaderboard({"one": made}))
    assert text.count("−1.69 (−8.21 to 6.77)") == 2 and "-1.69" not in text
