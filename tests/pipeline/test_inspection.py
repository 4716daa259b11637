"""The data report's numbers are those of the shards."""

import csv
import io
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from pipeline import inspection
from pipeline.errors import ShardError
from pipeline.files import to_json
from pipeline.shards import SPLITS
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
