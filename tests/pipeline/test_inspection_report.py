"""The data report as a page and as plots: every number told, every sample shown."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline import inspection
from pipeline.files import sha256_bytes, to_json
from pipeline.images import encode_png
from pipeline.inspection import doubts
from pipeline.inspection.columns import hash_of
from pipeline.inspection.page import build, shrink, tell
from pipeline.inspection.plan import PlannedStep
from pipeline.inspection.plots import plot_frequencies, plot_panels
from pipeline.inspection.report import Report, numbers, panels, photo_sizes, sizes_of
from pipeline.shards import SPLITS
from pipeline.themes import DARK, LIGHT
from tests.pipeline.inspected import (
    GRAIN,
    GRAY,
    SHAPES,
    STEPS,
    good,
    measured,
    read,
    sample,
    told,
    write,
)
from tests.pipeline.test_pages import check_page

# the report


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    manifest = write(folder, {split: good(split, 12) for split in SPLITS})
    return make_report(folder, manifest)


def make_report(folder, manifest, steps=STEPS):
    splits = [read(folder, manifest, split, steps) for split in SPLITS]
    shown = {}
    for data in splits:
        places = inspection.pick(data)
        found = inspection.read_places(folder, manifest, data.split, list(places.values()), None)
        shown[data.split] = {label: found[place] for label, place in places.items()}
    sizes = photo_sizes({"train0": (640, 480), "train1": (30, 40), "val2": (9, 9)})
    return Report(manifest, steps, splits, doubts.find_doubts(splits, steps), sizes, shown)


def test_the_page_tells_the_numbers_and_shows_the_samples(report):
    read = check_page(build(report))
    for expected in ("Recipe made: the data", "36 samples of 12 photos in 9 shards", "No warnings",
                     "Nothing that was looked for is wrong", "30×40 to 640×480", "shapes",
                     report.shown["test"]["highest"].key):  # fmt: skip
        assert expected in read.text, expected
    rows = [attrs for attrs in read.all("img") if "class" not in attrs]
    assert len(rows) == 3 * sum(len(samples) for samples in report.shown.values())
    assert read.text.count("highest severity") == 3
    lights = [attrs for attrs in read.all("img") if attrs.get("class") == "light"]
    assert len(lights) == 1 + 3 + 1 + 2 + 1  # frequencies; severities; masks; tones; sizes


@pytest.fixture
def quick(monkeypatch):
    """One plot for all, where the plots do not matter."""
    plot = encode_png(np.zeros((2, 2), np.uint8))
    for name in ("plot_panels", "plot_frequencies"):
        monkeypatch.setattr(f"pipeline.inspection.page.{name}", lambda *_: plot)


def test_warnings_stand_first_and_photo_names_are_escaped(report, quick):
    nasty = {"lowest": replace(report.shown["val"]["lowest"], story={
        "steps": [], "photo": {"name": "<img src=x onerror=alert(1)>.png"}
    })}  # fmt: skip
    made = report._replace(doubts=["a < b", "two"], shown={"val": nasty})
    read = check_page(build(made))
    first = read.all("section")[0]
    assert (first["id"], first["class"]) == ("warnings", "alarm")
    assert (
        "2 warnings" in read.text and "a < b" in read.text and "onerror=alert(1)>.png" in read.text
    )


def test_a_recipe_without_local_damage_has_no_masks_to_plot(tmp_path, quick):
    made = {split: [sample(f"{split}{n}", n, steps=[told(GRAIN)], rows=0) for n in range(4)]
            for split in SPLITS}  # fmt: skip
    page = build(make_report(tmp_path, write(tmp_path, made), (GRAIN,)))
    assert "every mask is empty by design" in check_page(page).text


def test_covered_range_is_marked_only_where_it_is_all_there_is(report):
    texture = PlannedStep((3,), "texture", "texture", "input", 0.5, True, None)
    for steps, expected in (
        (STEPS, (0.05, 0.3)), ((*STEPS, texture), ()), ((GRAIN, texture), ()), ((GRAIN,), ()),
    ):  # fmt: skip
        made = report._replace(steps=steps, splits=[measured(good("train"), steps=steps)])
        assert panels(made)["covered"][0].marks == expected


def test_splits_without_samples_do_not_stop_the_report(tmp_path):
    made = make_report(tmp_path, write(tmp_path, {"train": good("train", 1)}))
    assert "val: only 0 photos" in check_page(build(made)).text
    assert numbers(made)["splits"]["val"]["covered"] == {}
    to_json(numbers(made))


def test_what_must_be_kept_is_shown(report, quick):
    one = report.shown["train"]["highest"]
    made = report._replace(shown={"train": {"median": replace(one, keep=one.mask)}})
    page = check_page(build(made))
    assert "Mask of what to keep" in [attrs["alt"] for attrs in page.all("img")]
    assert "Share of the tile to keep" not in page.text
    kept = measured([replace(one, keep=one.mask), one])
    page = check_page(build(made._replace(splits=[kept, *report.splits[1:]])))
    assert "Share of the tile to keep" in page.text and "train 6.2% 6.2% 0.0% 12.5%" in page.text


def test_numbers_are_plain_finite_and_rounded(report):
    found = json.loads(to_json(numbers(report)))
    assert found["num_warnings"] == 0 and found["warnings"] == []
    train = found["splits"]["train"]
    assert train["steps"]["shapes"] == {
        "samples": 6, "share": 0.5,
        "severity": {"mean": 0.5, "median": 0.5, "low": 0.29167, "high": 0.70833},
    }  # fmt: skip
    assert train["covered"]["high"] == 0.125


def test_photo_sizes_are_found_by_the_photos_of_the_split(report):
    train, val, test = report.splits
    assert sizes_of(report, train) == [(30, 40), (640, 480)]
    assert (sizes_of(report, val), sizes_of(report, test)) == ([(9, 9)], [])
    assert hash_of(b"train0") in train.distinct("photo")


def test_a_sample_is_told_by_what_was_drawn_on_its_input():
    one = sample("a", steps=[told(GRAY, 1.0), told(SHAPES, 0.25), told(GRAIN, 1.0)])
    assert tell(one) == "shapes 0.25, grain 1.00; mask 12.5%"
    assert tell(sample("a", rows=0)) == "undamaged; mask 0.0%"


def test_large_tiles_are_shown_small_and_small_ones_as_they_are():
    wide = np.zeros((40, 4000, 1), np.uint8)
    assert shrink(wide, 400).shape == (4, 400, 1)
    assert shrink(wide[:, :30], 400).shape == (40, 30, 1)
    assert shrink(wide[:1, :, 0], 400).shape == (1, 400)


# the plots


def every_plot(report):
    drawn = panels(report)
    plots = {name: plot_panels(found) for name, found in drawn.items()}
    plots["dark"] = plot_panels(drawn["severity"], DARK)
    plots["frequencies"] = plot_frequencies(report.splits, report.steps)
    return plots


def test_plots_are_pictures_of_their_own_that_name_no_library(report):
    plots = every_plot(report)
    assert set(plots) >= {"covered", "severity", "brightness", "contrast", "sides", "frequencies"}
    assert len({sha256_bytes(data) for data in plots.values()}) == len(plots)
    for name, data in plots.items():
        assert b"matplotlib" not in data.lower() and b"tEXt" not in data
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image.convert("RGBA"))
        alpha = pixels[:, :, 3]
        assert (alpha.min() == 0) == (name == "dark")
        drawn = (pixels[:, :, :3] < 250).any(2) & (alpha > 0)
        assert 0.005 < drawn.mean() < 0.6, name


def test_many_panels_go_into_rows_of_three(report):
    (panel,) = panels(report)["covered"]
    sizes = []
    for count in (1, 3, 7):
        with Image.open(io.BytesIO(plot_panels([panel] * count))) as image:
            sizes.append(image.size)
    (width, height), three, seven = sizes
    assert three == (3 * width, height) and seven == (3 * width, 3 * height)


def test_an_implausible_frequency_has_the_color_of_alarm(report):
    def has_alarm(steps):
        with Image.open(io.BytesIO(plot_frequencies(report.splits, steps))) as image:
            pixels = np.asarray(image.convert("RGB")).astype(int)
        alarm = [int(LIGHT.alarm[at : at + 2], 16) for at in (1, 3, 5)]
        return bool((np.abs(pixels - alarm).max(2) < 8).any())

    assert not has_alarm(STEPS)
    assert has_alarm((SHAPES, GRAIN._replace(probability=0.2), GRAY))


def test_the_same_shards_are_the_same_plots(report):
    one, other = every_plot(report), every_plot(report)
    assert one == other
