"""Rows become CSV that reads back exactly, and one leaderboard for machines and for people."""

import csv
import io
import json

import pytest

from pipeline.report import CONVENTION, leaderboard, leaderboard_text, to_csv
from pipeline.rows import read_csv, summarize
from tests.pipeline.test_rows import row


def pair(system, recipe, psnr, tuned=None, counts=(8, 1, 1), masked=15.0, **baselines):
    """What the leaderboard command gathers for a system on a recipe."""
    rows = [row(key, psnr, masked=masked, counts=counts, **baselines) for key in "ab"]
    for one in rows:
        names = {key.split(".")[0] for key in one if key.endswith(".psnr")}
        one |= {f"{name}.ssim": 0.9 for name in names}
    tuned = {name: {} for name in baselines} if tuned is None else tuned
    return {"system": system, "recipe": recipe, "summary": summarize(rows), "tuned": tuned}


def board():
    """Two recipes; `median` is measured beside both systems of the first."""
    return leaderboard({
        "one-aged": pair("one", "aged", (20, 25, 25), median=23.0, counts=None),
        "two-aged": pair(
            "two", "aged", (20, 28, 29), {"median": {"kernel": 5}}, median=23.0, counts=None
        ),
        "one-shapes": pair("one", "shapes", (15, 22, 30), telea=31.0),
    })  # fmt: skip


def tables(text):
    """Markdown tables: heading → rows of cells."""
    found = {}
    for line in text.splitlines():
        if line.startswith("## "):
            found[line] = []
        elif line.startswith("| ") and not line.startswith("| |"):
            found[list(found)[-1]].append([cell.strip() for cell in line.strip("|").split("|")])
    return list(found.values())


# CSV


def test_csv_reads_back_to_the_same_rows():
    rows = [
        row("a", (20.1, 1 / 3, 1e-17), masked=None),
        row("b", (100.0, 0.1 + 0.2, 5), masked=7.5),
    ]
    again = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(again) == 2
    for found, source in zip(again, rows, strict=True):
        assert list(found) == list(source)
        for key, value in source.items():
            assert found[key] == "" if value is None else type(value)(found[key]) == value


def test_csv_keeps_columns_that_only_some_rows_have():
    text = to_csv([{"key": "a", "x": 1}, {"key": "b", "y": 2}])
    assert text == "key,x,y\na,1,\nb,,2\n"


def test_csv_quotes_what_would_break_it():
    rows = [{"key": 'a,"b"\nc', "x": 0.5}]
    assert list(csv.DictReader(io.StringIO(to_csv(rows)))) == [{"key": 'a,"b"\nc', "x": "0.5"}]


def test_no_rows_give_an_empty_header():
    assert to_csv([]) == "\n"


# the leaderboard's rows


def test_the_best_composite_comes_first_within_each_recipe():
    order = [(one["recipe"], one["system"], one["kind"]) for one in board()]
    assert order == [
        ("aged", "two", "system"), ("aged", "one", "system"), ("aged", "median", "baseline"),
        ("shapes", "telea", "baseline"), ("shapes", "one", "system"),
    ]  # fmt: skip


def test_equal_scores_are_ordered_by_name():
    made = leaderboard({name: pair(name, "aged", (20, 25, 25)) for name in ("b", "c", "a")})
    assert [one["system"] for one in made] == ["a", "b", "c"]


def test_a_baseline_of_two_pairs_stands_there_once():
    assert [one["system"] for one in board()].count("median") == 1


def test_the_order_of_pairs_does_not_change_the_order_of_rows():
    pairs = {
        "a": pair("one", "aged", (20, 25, 25)), "b": pair("two", "aged", (20, 28, 29)),
        "c": pair("one", "shapes", (15, 22, 30)),
    }  # fmt: skip
    assert leaderboard(pairs) == leaderboard(dict(reversed(pairs.items())))


def test_every_row_holds_what_scripts_rely_on_and_is_plain_json():
    for one in json.loads(json.dumps(board(), allow_nan=False)):
        assert {"system", "recipe", "kind", "input", "prediction", "composite", "mask"} <= set(one)
        for picture in ("input", "prediction", "composite"):
            assert {"psnr", "ssim", "mse"} <= set(one[picture])
        assert one["num_samples"] == 2 and one["covered"] == 0.1


def test_a_baselines_prediction_is_its_composite_and_it_finds_no_mask():
    (telea,) = [one for one in board() if one["system"] == "telea"]
    assert telea["prediction"] == telea["composite"] and telea["composite"]["psnr"] == 31.0
    assert telea["mask"] is None and telea["strength"] == {}
    assert telea["input"]["psnr"] == 15.0


def test_a_system_that_finds_no_mask_predicts_its_composite():
    pairs = {"one": pair("one", "aged", (20, 25, 25), counts=None)}
    assert "prediction" not in pairs["one"]["summary"]
    (line,) = leaderboard(pairs)
    assert line["prediction"] == line["composite"]


def test_who_was_given_the_true_mask_is_told():
    made = pair("one", "aged", (20, 25, 25), {"telea": {"radius": 5}, "median": {}},
                telea=24.0, median=23.0) | {"given_masks": ["telea"]}  # fmt: skip
    board = leaderboard({"one": made})
    assert {line["system"]: line["given_mask"] for line in board} == {
        "one": False, "telea": True, "median": False,
    }  # fmt: skip
    text = leaderboard_text(board)
    assert "| telea (radius 5; given the true mask) |" in text and "| median |" in text


# the leaderboard's text


def test_the_text_has_a_row_a_system_and_the_input_last_in_each_table():
    aged, shapes = tables(leaderboard_text(board()))
    assert [cells[0].split(" (")[0] for cells in aged] == [
        "**two**", "**one**", "median", "the input, untouched",
    ]  # fmt: skip
    assert [cells[0] for cells in shapes] == ["telea", "**one**", "the input, untouched"]


def test_the_text_shows_the_gain_over_the_input():
    aged, _ = tables(leaderboard_text(board()))
    assert [cells[1:3] for cells in aged] == [
        ["29.00", "+9.00"], ["25.00", "+5.00"], ["23.00", "+3.00"], ["20.00", "–"],
    ]  # fmt: skip
    assert aged[0][6] == "29.00"  # no mask: the prediction is the composite


def test_the_text_shows_mask_scores_where_there_are_some():
    aged, shapes = tables(leaderboard_text(board()))
    assert all(cells[7:] == ["–", "–", "–"] for cells in aged)
    assert shapes[1][7:] == ["0.889", "0.800", "–"]
    assert shapes[0][7:] == shapes[2][7:] == ["–", "–", "–"]


def test_each_table_names_its_recipe_its_samples_and_how_much_is_covered():
    text = leaderboard_text(board())
    assert "## Recipe `aged` (2 held-out samples, 10.0% covered by damage)" in text
    assert CONVENTION in text


def test_every_line_of_a_table_has_as_many_cells_as_its_head():
    lines = [line for line in leaderboard_text(board()).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {11}


@pytest.mark.parametrize("masked", [15.0, None])
def test_a_baseline_shows_the_strength_it_was_tuned_to(masked):
    tuned = {"median": {"kernel": 5}}
    made = leaderboard(
        {"one": pair("one", "aged", (20, 25, 25), tuned, masked=masked, median=23.0)}
    )
    assert "| median (kernel 5) |" in leaderboard_text(made)


def test_undefined_values_are_dashes():
    made = leaderboard({"one": pair("one", "aged", (20, 25, 25), masked=None)})
    (table,) = tables(leaderboard_text(made))
    assert [cells[5] for cells in table] == ["–", "–"]


def test_an_empty_board_is_a_title_and_the_convention():
    assert leaderboard({}) == [] and tables(leaderboard_text([])) == []
    assert leaderboard_text([]).startswith("# Leaderboard\n")


def test_the_same_rows_are_the_same_text():
    assert leaderboard_text(board()) == leaderboard_text(board())


# rows again, and intervals


def test_csv_reads_back_to_rows():
    rows = [{"key": "12_0000_00", "group": "1", "x": 0.1, "n": 3, "none": None, "neg": -2}]
    assert read_csv(to_csv(rows)) == rows
    assert read_csv(to_csv([], ["a", "b"])) == [] and to_csv([], ["a", "b"]) == "a,b\n"


def breakdown_rows(low, high):
    head = {"by": "all", "group": "all", "metric": "gain", "mean": 5.0, "low": low, "high": high}
    return [head | {"picture": name} for name in ("composite", "median")]


def test_gains_have_intervals_where_a_breakdown_knows_them():
    made = {"one": pair("one", "aged", (20, 25, 25), median=25.0)}
    assert leaderboard(made)[0]["gain"] == {"mean": 5.0, "low": None, "high": None}
    known = {"one": made["one"] | {"breakdown": breakdown_rows(-4.0, 6.5)}}
    lines = leaderboard(known)
    assert [line["gain"] for line in lines] == [{"mean": 5.0, "low": -4.0, "high": 6.5}] * 2
    (table,) = tables(leaderboard_text(lines))
    assert [cells[2] for cells in table] == ["+5.00 (−4.00 to 6.50)"] * 2 + ["–"]
    alone = {"one": made["one"] | {"breakdown": breakdown_rows(None, None)}}
    assert "+5.00 |" in leaderboard_text(leaderboard(alone))


def test_a_systems_line_names_its_pair():
    assert [line.get("pair") for line in board()] == ["two-aged", "one-aged", None, None,
                                                      "one-shapes"]  # fmt: skip
