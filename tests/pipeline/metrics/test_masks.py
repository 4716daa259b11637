"""Scores at thresholds, and calibration, against plain counting and in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import fidelity
from pipeline.errors import PipelineError
from pipeline.metrics import masks
from pipeline.seeds import rng


def sample(number, dtype=np.float32, shape=(60, 70)):
    """A mask that is right more often than not, with many probabilities at the edges of bins."""
    draw = rng(number, "masks")
    truth = np.where(draw.random(shape) < 0.2, 255, 0).astype(np.uint8)
    likely = np.clip(draw.normal(0.2 + 0.5 * (truth > 0), 0.25), 0, 1)
    likely = np.where(draw.random(shape) < 0.5, np.round(likely, 2), likely)
    return (likely * 255).astype(dtype) if dtype == np.uint8 else likely.astype(dtype), truth


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_sums_over_samples_score_like_all_pixels_counted(dtype):
    samples = [sample(number, dtype) for number in range(5)]
    whole, damaged = np.array([masks.histogram(*one) for one in samples]).sum(axis=0)
    assert whole.shape == damaged.shape == (2, 100)
    rows = masks.sweep(whole, damaged)
    assert {0.05, 0.1, 0.3, 0.95} < {row["threshold"] for row in rows}
    for row in rows:
        assert tuple(row) == masks.SWEEP
        counts = [fidelity.mask_counts(*one, row["threshold"]) for one in samples]
        expected = fidelity.mask_scores(counts)
        assert all(row[name] == expected[name] for name in masks.SWEEP[1:])
    best = masks.best_threshold(whole, damaged)
    every = {
        n / 100: fidelity.mask_scores([fidelity.mask_counts(*s, n / 100) for s in samples])["f1"]
        for n in range(1, 100)
    }
    assert best in {row["threshold"] for row in rows}
    assert every[best] == max(every.values())
    assert [row["threshold"] for row in rows] == sorted(row["threshold"] for row in rows)


def test_ranges_tell_how_often_a_probability_is_true():
    likely, truth = sample(1)
    rows = masks.calibration(*masks.histogram(likely, truth), bins=10)
    assert [tuple(row) for row in rows] == [masks.CALIBRATION] * 10
    for row in rows:
        inside = (likely >= np.float32(row["low"])) & (likely < np.float32(row["high"]))
        inside |= (likely == 1) & (row["high"] == 1)
        assert row["num_pixels"] == np.count_nonzero(inside)
        assert row["predicted"] == pytest.approx(likely[inside].mean(), abs=1e-6)
        assert row["damaged"] == pytest.approx((truth[inside] > 0).mean(), abs=1e-12)


def test_calibrated_masks_have_no_error():
    truth = np.zeros((100, 100), np.uint8)
    sure = truth.copy()
    truth[:40] = 255
    sure[:40] = 1
    perfect = masks.histogram(sure.astype(np.float32), truth)
    assert masks.expected_calibration_error(*perfect) == 0
    assert masks.best_threshold(*perfect) == 0.01
    assert masks.sweep(*perfect)[3]["f1"] == masks.sweep(*perfect)[3]["iou"] == 1
    guess = np.full(truth.shape, 0.4, np.float64)  # what is right for two pixels of five
    assert masks.expected_calibration_error(*masks.histogram(guess, truth)) == pytest.approx(0)
    certain = np.full(truth.shape, 0.9)
    found = masks.expected_calibration_error(*masks.histogram(certain, truth))
    assert found == pytest.approx(0.5, abs=1e-12)
    faint = np.full(truth.shape, 1e-4)
    found = masks.expected_calibration_error(*masks.histogram(faint, 0 * truth))
    assert found == pytest.approx(1e-4)  # means, not the middles of ranges


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_chance_that_is_drawn_from_itself_is_calibrated(seed):
    draw = rng(seed, "drawn")
    likely = draw.random((200, 200))
    truth = np.where(draw.random(likely.shape) < likely, 255, 0).astype(np.uint8)
    tables = masks.histogram(likely, truth)
    assert masks.expected_calibration_error(*tables) < 0.03  # 2000 pixels a range
    assert tables[0][0].sum() + tables[1][0].sum() == likely.size


def test_no_threshold_is_the_best_where_nothing_is_damaged():
    tables = masks.histogram(sample(3)[0], np.zeros((60, 70), np.uint8))
    assert masks.best_threshold(*tables) is None
    swept = masks.sweep(*tables)
    assert [round(row["threshold"] * 100) for row in swept] == [*range(5, 100, 5)]
    missed = np.zeros((60, 70), np.uint8)
    missed[:9] = 255
    assert masks.best_threshold(*masks.histogram(np.zeros((60, 70)), missed)) == 0.01


def test_nothing_at_all_and_misfits():
    none = np.zeros((2, 100))
    assert masks.expected_calibration_error(none, none) is None
    assert all(row["f1"] is None for row in masks.sweep(none, none))
    assert masks.best_threshold(none, none) is None
    assert masks.calibration(none, none)[0] == {
        "low": 0.0, "high": 0.05, "predicted": None, "damaged": None, "num_pixels": 0,
    }  # fmt: skip
    with pytest.raises(PipelineError, match="cannot measure masks of"):
        masks.histogram(np.zeros((4, 4)), np.zeros((4, 5), np.uint8))
