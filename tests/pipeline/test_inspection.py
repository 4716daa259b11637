"""The data report's numbers are those of the shards, its warnings come when and only when
something is wrong."""

import csv
import io
import json
import math
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pipeline import inspection, shards
from pipeline.corruptions import CORRUPTIONS, Recipe
from pipeline.errors import ShardError
from pipeline.files import sha256_bytes, to_json
from pipeline.images import encode_png
from pipeline.inspection import doubts
from pipeline.inspection.columns import SplitData, hash_of
from pipeline.inspection.page import build, shrink, tell
from pipeline.inspection.plan import PlannedStep, plan_steps
from pipeline.inspection.plots import DARK, LIGHT, plot_frequencies, plot_panels
from pipeline.inspection.report import Report, numbers, panels, photo_sizes, sizes_of
from pipeline.seeds import rng
from pipeline.shards import SPLITS, Sample
from tests.conftest import ROOT
from tests.pipeline.test_pages import check_page

SHAPES = PlannedStep((0,), "shapes", "shapes", "input", 0.5, True, (0.05, 0.3))
GRAIN = PlannedStep((1,), "grain", "grain", "input", 1.0, False, None)
GRAY = PlannedStep((2, 1), "grayscale", "grayscale", "both", 1.0, False, None)
STEPS = (SHAPES, GRAIN, GRAY)


def told(step, severity=0.5, turn=0):
    path = [step.path[0], *(part for number in step.path[1:] for part in (turn, number))]
    return {"step": path, "family": step.family, "on": step.on, "severity": severity}


def sample(photo, tile=0, variant=0, steps=(), rows=2, side=16, salt=""):
    """A tile of noise whose first `rows` rows are white in the input and in the mask."""
    clean = rng(0, photo, tile, salt).integers(40, 200, (side, side, 3), np.uint8)
    corrupted, mask = clean.copy(), np.zeros((side, side), np.uint8)
    corrupted[:rows], mask[:rows] = 255, 255
    story = {"steps": list(steps), "photo_side": 300 + tile,
             "photo": {"source": "sample", "name": f"{photo}.png"}}  # fmt: skip
    return Sample(f"{photo}_{tile:04d}_{variant:02d}", clean, corrupted, mask, story)


def good(split, count=48):
    """Samples with nothing wrong: every second one has shapes, all have grain and gray."""
    made = []
    for number in range(count):
        steps = [told(GRAY, 1.0), told(GRAIN, number / count)]
        steps += [told(SHAPES, 0.25 + number / count / 2)] if number % 2 else []
        photo = f"{split}{number % 4}"
        made.append(sample(photo, number, steps=steps, rows=2 if number % 2 else 0))
    return made


def measured(samples, split="train", steps=STEPS, lossless=True):
    data = SplitData(split, steps, lossless)
    for one in samples:
        data.add(one)
    return data


def write(folder, samples_of, per_shard=5, profile="png"):
    """Shards as synth writes them."""
    rows = []
    for split, samples in samples_of.items():
        for start in range(0, len(samples), per_shard):
            data, count, content = shards.pack(samples[start : start + per_shard], profile)
            name = f"{split}-{start // per_shard:05d}.tar"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            rows.append(
                shards.ShardRow(
                    name=name, split=split, num_samples=count, num_bytes=len(data),
                    sha256=sha256_bytes(data), content_sha256=content,
                )
            )  # fmt: skip
    return shards.write_manifest(folder, "made", "5", rows, profile)


def read(folder, manifest, split, steps=STEPS, redraw=None):
    return inspection.read_split(folder, manifest, split, steps, redraw, lambda: None)


# the numbers


def test_counts_of_photos_tiles_variants_and_pictures():
    made = [sample(p, t, v) for p in ("a", "b", "c") for t in (0, 1) for v in (0, 1, 2)]
    found = inspection.summarize(measured(made))
    names = ("samples", "photos", "tiles", "variants", "distinct_clean", "undamaged")
    assert [found[name] for name in names] == [18, 3, 6, 3, 6, 18]


def test_a_key_of_another_form_is_a_photo_of_its_own():
    made = [replace(sample("a"), key=key) for key in ("one", "two", "three_four")]
    found = inspection.summarize(measured(made))
    assert (found["photos"], found["tiles"]) == (3, 3)


def test_tones_and_coverage_are_those_of_the_pixels():
    made = [sample("a", number, rows=number) for number in range(9)]
    data = measured(made)
    weights = np.array([0.299, 0.587, 0.114])
    for name in ("clean", "corrupted"):
        lumas = [getattr(one, name) @ weights for one in made]
        np.testing.assert_allclose(data[f"brightness_{name}"], [x.mean() for x in lumas], atol=0.5)
        np.testing.assert_allclose(data[f"contrast_{name}"], [x.std() for x in lumas], atol=0.5)
    assert data["covered"].tolist() == [number / 16 for number in range(9)]
    assert data["photo_side"].tolist() == [300 + number for number in range(9)]


def test_severity_is_that_of_the_worst_step_on_the_input():
    made = [
        sample("a", 0, steps=[told(GRAY, 1.0)]),
        sample("a", 1, steps=[told(GRAIN, 0.2), told(SHAPES, 0.7), told(GRAY, 1.0)]),
        sample("a", 2, steps=[told(SHAPES, 0.1), told(SHAPES, 0.4, turn=1)]),
    ]
    data = measured(made)
    assert data["severity"].tolist() == [0.0, 0.7, 0.4]
    assert data["num_input"].tolist() == [0, 2, 2]
    assert [data.severities(number).tolist() for number in range(3)] == [
        [0.7, 0.4], [0.2], [1.0, 1.0],
    ]  # fmt: skip


def test_a_step_in_a_repeated_group_counts_once_a_sample():
    steps = [told(GRAY, 0.3, turn) for turn in range(3)]
    data = measured([sample("a", steps=steps), sample("a", 1)])
    assert inspection.summarize(data)["steps"]["grayscale"]["share"] == 0.5
    assert not data.num_strangers


def test_histograms_are_shares_in_the_right_bins():
    values = np.array([0.0, 0.01, 0.5, 0.99, 1.0])
    shares = inspection.histogram(values, 1.0)
    assert shares.sum() == pytest.approx(1)
    assert {int(n): round(float(shares[n]), 3) for n in np.flatnonzero(shares)} == {
        0: 0.4, 20: 0.2, 39: 0.4,
    }  # fmt: skip
    assert not inspection.histogram(np.array([]), 1.0).any()


def test_the_csv_has_a_row_a_bin_and_a_column_a_histogram():
    splits = [measured(good(split), split) for split in SPLITS]
    rows = list(csv.DictReader(io.StringIO(inspection.to_csv(inspection.histograms(splits)))))
    assert len(rows) == inspection.BINS
    assert [float(row["bin"]) for row in rows[:2]] == [0.0125, 0.0375]
    for name in (
        "covered_train",
        "severity_val",
        "contrast_corrupted_test",
        "severity_of_grain_val",
    ):
        assert sum(float(row[name]) for row in rows) == pytest.approx(1, abs=1e-3)
    assert len(rows[0]) == 1 + 3 * (len(inspection.RANGES) + len(STEPS))


# reading


@pytest.mark.parametrize("profile", ["png", "jpeg"])
def test_shards_are_read_whole_and_in_order(tmp_path, profile):
    made = {"train": good("train", 12), "test": good("test", 3)}
    manifest = write(tmp_path, made, profile=profile)
    for split, samples in made.items():
        data, expected = read(tmp_path, manifest, split), measured(samples, split)
        assert data.num_samples == len(samples)
        for name in ("covered", "severity", "photo_side"):
            assert data[name].tolist() == expected[name].tolist()
    assert read(tmp_path, manifest, "val").num_samples == 0


def test_stories_are_drawn_again(tmp_path):
    made = [replace(one, tile=one.clean) for one in good("train", 6)]
    manifest = write(tmp_path, {"train": made}, profile="story")
    drawn = {to_json(one.story): one for one in made}
    data = read(tmp_path, manifest, "train", redraw=lambda tile, story: drawn[to_json(story)])
    assert data["covered"].tolist() == measured(made)["covered"].tolist()


def test_a_flipped_byte_is_refused(tmp_path):
    manifest = write(tmp_path, {"train": good("train", 12)})
    path = tmp_path / manifest.shards[1].name
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    with pytest.raises(ShardError, match="not those of the manifest"):
        read(tmp_path, manifest, "train")


def test_memory_does_not_grow_with_the_number_of_shards(tmp_path):
    peaks = []
    for count in (24, 96):
        made = [sample("a", number, side=64) for number in range(count)]
        manifest = write(tmp_path / str(count), {"train": made}, per_shard=8)
        read(tmp_path / str(count), manifest, "train")  # imports and caches
        tracemalloc.start()
        read(tmp_path / str(count), manifest, "train")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0], peaks


def test_samples_to_look_at_go_from_the_lowest_to_the_highest(tmp_path):
    made = good("train", 48)
    manifest = write(tmp_path, {"train": made, "test": good("test", 7)})
    data = read(tmp_path, manifest, "train")
    places = inspection.pick(data)
    assert list(places) == ["lowest", "lower quartile", "median", "upper quartile", "highest"]
    severities = [data["severity"][place] for place in places.values()]
    assert severities == sorted(severities)
    assert (severities[0], severities[-1]) == (data["severity"].min(), data["severity"].max())
    found = inspection.read_places(tmp_path, manifest, "train", list(places.values()), None)
    assert {place: one.key for place, one in found.items()} == {
        place: made[place].key for place in places.values()
    }


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (2, 2), (4, 4)])
def test_few_samples_are_each_shown_once(count, shown):
    places = inspection.pick(measured(good("train", count)))
    assert len(places) == len(set(places.values())) == shown


# what recipes promise


def recipe(steps, undamaged_share=0.0):
    cut = {"side": 8, "per_photo": 1, "variants": 1}
    block = {
        "sources": ["sample"], "photo_side_range": [100, 200], "undamaged_share": undamaged_share,
        "profile": "png", "train": cut, "val": cut, "test": cut, "steps": steps,
    }  # fmt: skip
    return Recipe.load({"recipes": {"made": block}}, "made", None)


def gray_step(probability, on="input"):
    fields = CORRUPTIONS["grayscale"].at(0.5).model_dump()
    return {"family": "grayscale", "on": on, "probability": probability, **fields}


def group(steps, order="fixed", probability=1.0, repeat_range=(1, 1)):
    return {"order": order, "probability": probability, "repeat_range": list(repeat_range),
            "steps": steps}  # fmt: skip


GROUPS = recipe(
    [
        gray_step(0.3, "both"),
        group([gray_step(0.5), gray_step(0.9)], "one", 0.8, (1, 3)),
        group([gray_step(0.2), group([gray_step(0.4)], "shuffled", 0.5, (2, 2))], "shuffled", 0.9),
    ],
    undamaged_share=0.25,
)


def test_probabilities_of_steps_in_groups_are_worked_out():
    steps = plan_steps(
        recipe([gray_step(0.3), group([gray_step(0.5), gray_step(1.0)], "one", 0.8)])
    )
    assert [step.name for step in steps] == ["grayscale_0", "grayscale_1_0", "grayscale_1_1"]
    assert [step.probability for step in steps] == pytest.approx([0.3, 0.8 * 0.25, 0.8 * 0.5])
    (twice,) = plan_steps(recipe([group([gray_step(0.5)], repeat_range=(1, 2))]))
    assert twice.probability == pytest.approx((0.5 + 0.75) / 2)
    assert twice.name == "grayscale" and twice.path == (0, 0)
    shares = plan_steps(recipe([gray_step(0.4, "both"), gray_step(0.4)], undamaged_share=0.5))
    assert [step.probability for step in shares] == pytest.approx([0.4, 0.2])


def test_what_is_drawn_is_what_was_worked_out():
    steps = plan_steps(GROUPS)
    tile = rng(0, "tile").integers(0, 256, (8, 8, 3), np.uint8)
    data = SplitData("train", steps)
    for number in range(3000):
        made = GROUPS.damage(tile, lambda *step, number=number: rng(7, number, *step))
        data.add(Sample(f"a_{number:04d}_00", made.clean, made.corrupted, made.mask, made.story))
    assert not data.num_strangers
    for number, step in enumerate(steps):
        count = len(data.severities(number))
        assert not doubts.is_surprising(count, 3000, step.probability), step
        assert doubts.is_surprising(count, 3000, 1.35 * step.probability), step


def test_a_step_has_its_familys_extent_and_covered_range():
    from pipeline.config import load_params

    params = load_params(ROOT / "params.yaml")
    (shapes,) = plan_steps(Recipe.load(params, "shapes", None))
    wanted = params["recipes"]["shapes"]["steps"][0]["covered_range"]
    assert (shapes.is_local, shapes.covered_range) == (True, tuple(wanted))
    (gray,) = plan_steps(recipe([gray_step(1.0)]))
    assert (gray.is_local, gray.covered_range) == (False, None)


# chance


def tail(total, probability, alarm):
    """The probability that a count is one of those that `alarm` picks, exactly."""
    return math.fsum(
        math.comb(total, count) * probability**count * (1 - probability) ** (total - count)
        for count in range(total + 1)
        if alarm(count)
    )


@pytest.mark.parametrize("total", [1, 12, 48, 300])
@pytest.mark.parametrize("probability", [0.003, 0.1, 0.5, 0.8, 0.999])
def test_false_alarms_are_no_more_frequent_than_promised(total, probability):
    alarm = tail(total, probability, lambda n: doubts.is_surprising(n, total, probability))
    assert alarm <= doubts.SURPRISE


@pytest.mark.parametrize("probability", [0.0, 0.01, 0.3, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("total", [0, 1, 2, 13, 60])
def test_plausible_counts_are_those_that_do_not_surprise(total, probability):
    low, high = doubts.plausible(total, probability)
    calm = [n for n in range(total + 1) if not doubts.is_surprising(n, total, probability)]
    assert (low, high) == (calm[0], calm[-1]) and len(calm) == high - low + 1


def test_certain_steps_must_always_occur_and_impossible_ones_never():
    assert doubts.is_surprising(99, 100, 1.0) and not doubts.is_surprising(100, 100, 1.0)
    assert doubts.is_surprising(1, 100, 0.0) and not doubts.is_surprising(0, 100, 0.0)


def test_a_wrong_share_of_many_samples_is_noticed():
    assert doubts.is_surprising(330, 1000, 0.4) and not doubts.is_surprising(380, 1000, 0.4)


# warnings


def splits_of(**changed):
    """Three good splits, some of them changed, measured."""
    made = {split: good(split) for split in SPLITS} | changed
    return [measured(made[split], split) for split in SPLITS]


def edit(number, change, split="train"):
    """A split with every `number`-th sample changed."""
    made = good(split)
    return [change(one) if not place % number else one for place, one in enumerate(made)]


def mark(one, rows):
    mask = np.zeros_like(one.mask)
    mask[:rows] = 255
    return replace(
        one, mask=mask, corrupted=np.where(mask[:, :, None] > 0, 255, one.clean).astype(np.uint8)
    )


def shaped(one, rows):
    return replace(mark(one, rows), story=one.story | {"steps": [told(GRAY), told(SHAPES)]})


def without_grain(one):
    return replace(one, story=one.story | {"steps": one.story["steps"][:1]})


def strange(one):
    return replace(
        one, story=one.story | {"steps": [*one.story["steps"], told(SHAPES) | {"step": [7]}]}
    )


def flat(one):
    return replace(one, clean=np.full_like(one.clean, 90))


def smeared(one):
    """Local damage alone, and one pixel changed outside of its mask."""
    clean = one.clean.copy()
    clean[-1, -1] = np.where(clean[-1, -1] > 128, clean[-1, -1] - 50, clean[-1, -1] + 50)
    return replace(shaped(one, 2), clean=clean)


WRONG = {
    "strangers": (lambda: {"train": edit(10, strange)}, "train: 5 of 48 samples (10.4%) tell of"),
    "photo": (
        lambda: {"test": edit(48, lambda one: replace(one, key="train1_0099_00"), "test")},
        "train and test share 1 photo",
    ),
    "tile": (
        lambda: {"test": edit(48, lambda one: replace(one, clean=good("train")[3].clean), "test")},
        "train and test share 1 clean tile, pixel",
    ),
    "frequency": (
        lambda: {"train": edit(4, without_grain)},
        "train: step grain occurs in 36 of 48 samples; its probability of 1 makes 48 to 48",
    ),
    "never": (
        lambda: {s: [replace(o, story=o.story | {"steps": o.story["steps"][1:]}) for o in good(s)]
                 for s in SPLITS},
        "step grayscale never occurs, at a probability of 1",
    ),
    "empty": (
        lambda: {"val": edit(24, lambda one: shaped(one, 0), "val")},
        "val: 2 of 48 samples (4.2%) had local damage drawn, yet their mask is empty",
    ),
    "uncovered": (
        lambda: {"test": edit(16, lambda one: shaped(one, 8), "test")},
        "test: 3 of 48 samples (6.2%) have a mask outside of the 5.0% to 30.0%",
    ),
    "outside": (lambda: {"train": edit(48, smeared)}, "train: 1 of 48 samples (2.1%) are changed"),
    "few": (
        lambda: {"val": [one for one in good("val", 96) if one.key[3] in "02"]},
        "val: only 2 photos, ",
    ),
    "flat": (lambda: {"val": edit(12, flat, "val")}, "val: 4 of 48 samples (8.3%) have a nearly"),
}  # fmt: skip


def test_nothing_wrong_is_no_warning():
    assert doubts.find_doubts(splits_of(), STEPS) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_warned_of_in_one_line(case):
    changed, expected = WRONG[case]
    found = doubts.find_doubts(splits_of(**changed()), STEPS)
    assert any(line.startswith(expected) for line in found), found
    assert all("\n" not in line for line in found)
    if case not in ("empty", "never", "uncovered", "outside", "few"):  # they break other rules too
        assert len(found) == 1, found


def test_flat_tiles_of_two_splits_are_no_leak():
    changed = {split: edit(3, flat, split) for split in ("train", "test")}
    found = doubts.find_doubts(splits_of(**changed), STEPS)
    assert len(found) == 2 and all("nearly constant" in line for line in found)


def test_a_mask_may_be_larger_where_other_damage_marks_it_too():
    texture = PlannedStep((3,), "texture", "texture", "input", 0.5, True, None)
    both = [told(SHAPES), told(texture)]
    made = [sample(f"a{n % 4}", n, steps=both, rows=12) for n in range(20)]
    data = measured(made, steps=(*STEPS, texture))
    assert not [line for line in doubts.find_doubts([data], data.steps) if "outside of" in line]
    alone = measured([sample("a", n, steps=[told(SHAPES)], rows=12) for n in range(20)])
    assert [line for line in doubts.find_doubts([alone], STEPS) if "outside of" in line]


def test_pixels_outside_the_mask_count_only_where_it_must_tell_all():
    clean = good("train")[0]
    smear = smeared(clean)
    for steps, lossless, expected in (
        ([told(SHAPES)], True, 1), ([told(GRAY), told(SHAPES)], True, 1),
        ([told(SHAPES), told(GRAY)], True, 0), ([told(SHAPES), told(GRAIN)], True, 0),
        ([told(SHAPES)], False, 0), ([], True, 0),
    ):  # fmt: skip
        one = replace(smear, story=smear.story | {"steps": steps})
        assert measured([one], lossless=lossless)["outside"].tolist() == [expected]


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
