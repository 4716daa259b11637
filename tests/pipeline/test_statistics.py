"""Intervals hold the truth as often as they say, whole photos are what is drawn, and the sign test
is exact."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.metrics import METRICS
from pipeline.seeds import rng
from pipeline.statistics import (
    FEW,
    Bootstrap,
    has_direction,
    is_lower_better,
    mean,
    paired,
    sign_test,
    to_column,
    worst_decile,
)

TILES = 8


def tiles(num_photos: int, num_columns: int, seed: int = 1) -> tuple[list[str], np.ndarray]:
    """Photos of 8 tiles and columns of values whose true mean is 0; half of the variance is between
    photos."""
    random = rng(seed, "tiles")
    values = random.normal(size=(num_photos, 1, num_columns))
    values = values + random.normal(size=(num_photos, TILES, num_columns))
    names = [f"{number:03d}" for number in range(num_photos) for _ in range(TILES)]
    return names, values.reshape(-1, num_columns)


def held(intervals) -> float:
    return float(np.mean([one.low <= 0 <= one.high for one in intervals]))


# intervals


@pytest.mark.parametrize(("num_photos", "low", "high"), [(30, 0.92, 0.96), (100, 0.93, 0.965)])
def test_intervals_hold_the_true_mean_as_often_as_they_say(num_photos, low, high):
    photos, values = tiles(num_photos, 2000)
    assert low <= held(Bootstrap(photos, 7).intervals(photos, values)) <= high


def test_intervals_of_a_group_among_others_hold_it_too():
    photos, values = tiles(30, 2000)
    everyone = [*photos, *(f"other {number}" for number in range(90))]
    assert 0.92 <= held(Bootstrap(everyone, 7).intervals(photos, values)) <= 0.96


def test_tiles_counted_as_photos_would_make_intervals_too_narrow():
    photos, values = tiles(30, 2000)
    alone = [f"{photo}/{number}" for number, photo in enumerate(photos)]
    assert held(Bootstrap(alone, 7).intervals(alone, values)) < 0.75


def test_an_interval_is_scipys_where_every_photo_has_one_tile():
    values = rng(3, "lone").normal(5, 2, 60)
    photos = [str(number) for number in range(60)]
    ours = Bootstrap(photos, 7).interval(photos, values)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.Generator(
            np.random.PCG64(1))).confidence_interval  # fmt: skip
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)


def test_an_interval_of_two_photos_in_closed_form():
    """A replicate is (a, a), (b, b) or both, weighted by their tiles: 1/4, 1/4, 1/2."""
    interval = Bootstrap("ab", 7).interval(["a", "b", "b"], [0.0, 3.0, 3.0])
    assert interval == (0.0, 3.0)
    assert Bootstrap("a", 7).interval(["a", "a"], [1.0, 2.0]) is None
    assert Bootstrap("ab", 7).interval(["a", "b"], [1.0, None]) is None
    assert Bootstrap([], 7).interval([], []) is None


def test_what_is_missing_is_left_out():
    photos, values = tiles(20, 1)
    holes = [None if number % 3 == 0 else value for number, value in enumerate(values[:, 0])]
    kept = [place for place, value in enumerate(holes) if value is not None]
    bootstrap = Bootstrap(photos, 7)
    ours = bootstrap.interval(photos, holes)
    assert ours == bootstrap.interval([photos[p] for p in kept], [holes[p] for p in kept])


def test_the_order_of_samples_changes_nothing_and_the_seed_does():
    photos, values = tiles(12, 3)
    order = rng(2, "order").permutation(len(photos))
    shuffled = [photos[place] for place in order]
    first = Bootstrap(photos, 7).intervals(photos, values)
    assert Bootstrap(shuffled, 7).intervals(shuffled, values[order]) == first
    assert Bootstrap(photos, 8).intervals(photos, values) != first


def test_very_many_photos_take_little_memory():
    photos = [str(number) for number in range(20_000)]
    values = rng(1, "many").random((20_000, 12))
    tracemalloc.start()
    (first, *_) = Bootstrap(photos, 7).intervals(photos, values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first.low < values[:, 0].mean() < first.high and peak < 150e6


# the sign test


@pytest.mark.parametrize(("better", "worse"), [*itertools.product((0, 1, 4, 9, 30), repeat=2)])
def test_the_sign_test_is_scipys_binomial_test(better, worse):
    expected = stats.binomtest(better, better + worse).pvalue if better + worse else 1.0
    assert sign_test(better, worse) == pytest.approx(expected, rel=1e-12)


def test_the_sign_test_of_very_many_photos_is_a_number():
    assert 0 < sign_test(5200, 4800) < 1e-4
    assert sign_test(5000, 5000) == 1.0


def test_fewer_photos_than_few_cannot_be_significant():
    assert sign_test(FEW - 1, 0) > 0.05 > sign_test(FEW, 0)


# pairs


def test_pairs_in_closed_form():
    photos = ["a", "a", "b", "c"]
    result = paired(Bootstrap(photos, 7), photos, [1.0, 2.0, 3.0, None], [2.0, 1.5, 3.0, 9.0])
    assert (result.a, result.b, result.difference) == (2.0, 6.5 / 3, pytest.approx(0.5 / 3))
    assert (result.better, result.worse, result.equal) == (1, 1, 1)
    assert (result.better_photos, result.worse_photos) == (1, 0)
    assert (result.num_samples, result.num_photos, result.p) == (3, 2, 1.0)
    assert result.verdict == "few"


def test_where_less_is_better_less_is_better():
    photos, values = tiles(10, 1)
    after = values[:, 0] - 5
    less = paired(Bootstrap(photos, 7), photos, values[:, 0], after, lower_is_better=True)
    more = paired(Bootstrap(photos, 7), photos, values[:, 0], after)
    assert (less.verdict, more.verdict) == ("better", "worse")
    assert less.difference == more.difference == pytest.approx(-5)
    assert less.improvement == -more.improvement == pytest.approx(5)
    assert (less.better, less.better_photos) == (80, 10) == (more.worse, more.worse_photos)
    assert less.improvement_interval.low == -less.interval.high


def test_a_shift_in_every_sample_is_certain_though_photos_differ_far_more():
    photos, values = tiles(10, 1)
    result = paired(Bootstrap(photos, 7), photos, 100 * values[:, 0], 100 * values[:, 0] + 0.5)
    assert result.interval == pytest.approx((0.5, 0.5)) and result.verdict == "better"
    assert result.p == pytest.approx(2 / 2**10)


def test_no_change_is_equal_and_chance_is_mostly_open():
    photos, values = tiles(40, 400)
    bootstrap = Bootstrap(photos, 7)
    assert paired(bootstrap, photos, values[:, 0], values[:, 0]).verdict == "equal"
    pairs = [paired(bootstrap, photos, a, b) for a, b in zip(*[iter(values.T)] * 2, strict=True)]
    assert np.mean([one.verdict == "open" for one in pairs]) > 0.88
    assert np.mean([one.p > 0.05 for one in pairs]) > 0.93
    nothing = paired(bootstrap, photos[:1], [None], [1.0])
    assert (nothing.difference, nothing.interval, nothing.num_samples) == (None, None, 0)


def test_differences_that_cancel_are_a_tie_of_the_photo():
    before, after = [0.1, 0.2, 0.3], [0.4, 0.1, 0.1]
    assert paired(Bootstrap("a", 7), ["a"] * 3, before, after).better_photos == 0


# the rest


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.randoms())
def test_means_do_not_depend_on_order(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    assert mean(values) == mean(shuffled) == pytest.approx(np.mean(values), abs=1e-6)


def test_nine_in_ten_are_better_than_the_worst_decile():
    values = rng(1, "decile").permutation(np.arange(101.0))
    assert worst_decile(values, "psnr") == 10.0 and (values > 10).mean() > 0.88
    assert worst_decile(values, "mse_masked") == 90.0
    assert worst_decile([], "psnr") is None and mean([]) is None


def test_directions_of_all_metrics_are_told_by_their_names():
    known = set(METRICS)
    neither = {name for name in known if not has_direction(name)}
    assert neither == {"colorfulness", "colorfulness_ratio", "contrast_masked"}
    lower = {name for name in known if is_lower_better(name)}
    assert lower == {name for name in known if name.startswith(("mse", "mae"))} | {
        "lpips", "ciede2000",
    }  # fmt: skip
    assert all(map(is_lower_better, ("composite.mse_luma", "harm.marked", "altered_outside")))
    assert not any(map(is_lower_better, ("gain", "harm.psnr", "composite.ssim_rim")))
    assert np.isnan(to_column([None, 1])).tolist() == [True, False]
