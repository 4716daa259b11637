"""Which samples are shown, and how what happened to them is drawn."""

import numpy as np
import pytest

from pipeline import showcase
from pipeline.images import difference_map
from pipeline.showcase import choose, overlay
from tests.pipeline.test_answers import CPU, Brightener, restore_sample, sample


def rows(gains):
    return [
        {"key": f"k{place:02}", "input.psnr": 20.0, "composite.psnr": 20.0 + gain}
        for place, gain in enumerate(gains)
    ]


def test_the_worst_the_best_and_some_of_the_others():
    gains = [float(n) for n in range(30)]
    chosen = choose(rows(gains), 7, 4)
    whys = ("worst", "best", "random")
    by = {why: [one.gain for one in chosen if one.why == why] for why in whys}
    assert by["worst"] == [0, 1, 2, 3] and by["best"] == [29, 28, 27, 26]
    assert len(by["random"]) == 4 and all(4 <= gain <= 25 for gain in by["random"])
    assert choose(rows(gains)[::-1], 7, 4) == chosen, "in any order of rows"
    assert [c.key for c in choose(rows(gains), 8, 4)][8:] != [c.key for c in chosen][8:]


@pytest.mark.parametrize("count", range(1, 12))
def test_few_samples_are_shown_once_each(count):
    keys = [one.key for one in choose(rows([float(n) for n in range(count)]), 7, 4)]
    assert len(keys) == len(set(keys)) == count


def test_marks_are_right_false_or_missed():
    one = sample(4 * 2)
    marked = np.zeros((8, 8), bool)
    marked[:, 2:6] = True  # true damage: columns 0 to 3
    drawn = overlay(one, marked)
    assert (drawn[:, 2:4] == showcase.RIGHT).all() and (drawn[:, 4:6] == showcase.FALSE).all()
    assert (drawn[:, :2] == showcase.MISSED).all()
    assert drawn[:, 6:].max() < one.corrupted[:, 6:].max(), "the rest is dimmed"


def test_the_pictures_of_a_sample():
    one = sample()
    answer = restore_sample(Brightener(4), one, CPU)
    shown = showcase.pictures_of(one, answer, 0.5)
    assert list(shown) == [
        "damaged", "restored", "original", "error ×4", "damage found", "raw prediction", "half",
    ]  # fmt: skip
    assert all(picture.shape[:2] == (20, 20) for picture in shown.values())
    error = difference_map(answer.composite, one.clean)
    np.testing.assert_array_equal(shown["error ×4"], error)
    plain = showcase.pictures_of_undamaged(one, answer._replace(mask=None), 0.5)
    assert list(plain) == ["undamaged", "returned", "difference ×4"]


def test_samples_without_damage_are_not_among_the_worst():
    some = rows([3.0, 5.0, 4.0])
    whole = {"key": "whole", "input.psnr": 100.0, "composite.psnr": 60.0}
    assert list(showcase.gains_of([*some, whole])) == ["k00", "k02", "k01"]
    assert {one.key for one in choose([*some, whole], 7, 4)} == {"k00", "k01", "k02"}
    assert [one.gain for one in choose([whole], 7, 4)] == [-40.0], "where nothing else is there"
