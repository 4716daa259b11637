"""The first page of reports: links to all others, and gains with intervals."""

from pathlib import Path

from pipeline.report import leaderboard
from pipeline.report.board import build
from tests.pipeline.reported import report
from tests.pipeline.test_pages import check_page


def lines(**changes):
    made = report()
    pair = {"system": "one", "recipe": "worn", "summary": made.metrics, "tuned": {"telea": {}}}
    return leaderboard({"one-worn": pair | {"breakdown": made.breakdown} | changes})


def test_systems_lead_to_their_pages_and_recipes_to_their_data():
    read = check_page(build(lines(), ["worn", "shapes"]))
    links = [Path(attrs["href"]).parent for attrs in read.all("a") if attrs["href"][0] != "#"]
    assert [link.as_posix() for link in links] == ["systems/one-worn", "data/worn", "data/shapes"]
    assert (
        "patina compare HEAD~1 HEAD --pair PAIR " in read.text
        and "24 held-out samples" in read.text
    )


def test_gains_have_the_intervals_of_the_breakdown():
    line, baseline = lines()
    assert line["gain"]["low"] < line["gain"]["mean"] < line["gain"]["high"]
    told = f"{line['gain']['mean']:+.2f} ({line['gain']['low']:.2f} to {line['gain']['high']:.2f})"
    assert told in check_page(build([line, baseline])).text
    assert baseline["kind"] == "baseline" and baseline["gain"]["low"] is not None


def test_without_a_breakdown_gains_are_told_alone():
    text = check_page(build(lines(breakdown=()))).text
    line = lines()[0]
    assert (
        f"{line['gain']['mean']:+.2f} 0.9000" in text and f"{line['gain']['low']:.2f}" not in text
    )


def test_names_that_are_no_plain_words_lead_to_their_folders():
    made = report()
    pair = {"system": "one", "recipe": "#3 +2", "summary": made.metrics, "tuned": {}}
    read = check_page(build(leaderboard({"three +2 <é>": pair}), ["#3 +2"]))
    links = [attrs["href"] for attrs in read.all("a")]
    assert "systems/three%20%2B2%20%3C%C3%A9%3E/index.html" in links
    assert "data/%233%20%2B2/index.html" in links and "#recipe-%233%20%2B2" in links


def test_who_was_given_the_true_mask_is_told():
    text = check_page(build(lines(tuned={"telea": {"radius": 5}}, given_masks=["telea"]))).text
    assert "telea (radius 5; given the true mask)" in text
    assert "given the true" not in check_page(build(lines())).text


def test_undamaged_photos_have_a_column():
    read = check_page(build(lines()))
    assert "undamaged photos ↑ (dB)" in read.text and "45.00" in read.text
    assert "24 held-out samples, 13.5% covered by damage." in read.text


def test_an_empty_board_tells_what_to_do():
    read = check_page(build([]))
    assert "patina evaluate PAIR" in read.text and not read.all("img")


def test_the_same_board_is_the_same_page():
    assert build(lines()) == build(lines()) != build(lines(), ["worn"])
