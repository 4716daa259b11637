"""Predicted masks: scores at every threshold, and how far their probabilities may be believed.

All from two tables that are summed over samples, of truly whole and of truly damaged pixels: 2×100,
in the first row how many pixels were given each probability (bin n from n / 100 on), in the second
the sum of these probabilities.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity import Mask, MaskCounts, mask_scores
from pipeline.fidelity.pictures import PEAK, misfit

NUM_BINS = 100
STEP = 5  # bins between the thresholds of a sweep
SWEEP = ("threshold", "precision", "recall", "f1", "iou")
CALIBRATION = ("low", "high", "predicted", "damaged", "num_pixels")
EDGES = np.arange(NUM_BINS + 1) / NUM_BINS

Table: TypeAlias = NDArray[np.float64]
Line: TypeAlias = dict[str, Any]


def histogram(probability: NDArray[Any], truth: Mask) -> tuple[Table, Table]:
    """The tables of one sample's whole and damaged pixels, to be added to those of others.

    `probability` H×W is a float in [0, 1], or uint8 that stands for value / 255; `truth` uint8 H×W,
    not 0 where damaged. Bins agree with `fidelity.mask_counts`: a pixel at the threshold counts.
    Raises PipelineError where shapes do not fit.
    """
    if probability.shape != truth.shape or probability.ndim != 2:
        raise misfit(f"masks of {probability.shape} and {truth.shape}", "give both as H×W")
    scale = PEAK if probability.dtype == np.uint8 else 1
    value = probability.reshape(-1) / np.float64(scale)
    edges = EDGES if scale > 1 else EDGES.astype(probability.dtype).astype(np.float64)
    bins = np.clip((value * NUM_BINS).astype(np.intp), 0, NUM_BINS - 1)
    bins -= (value < edges[bins]) & (bins > 0)  # the product may have been rounded over an edge
    bins += (value >= edges[bins + 1]) & (bins < NUM_BINS - 1)
    bins += NUM_BINS * (truth.reshape(-1) > 0)
    counts = np.bincount(bins, minlength=2 * NUM_BINS).astype(np.float64)
    sums = np.bincount(bins, weights=value, minlength=2 * NUM_BINS)
    tables = np.stack((counts, sums)).astype(np.float64).reshape(2, 2, NUM_BINS)
    return tables[:, 0], tables[:, 1]


def sweep(whole: Table, damaged: Table) -> list[Line]:
    """`SWEEP` at the thresholds 0.05, 0.10 … 0.95 and the best if there is one, rising:
    micro-averages over all pixels as in `fidelity.mask_scores`, None where undefined."""
    best = _best(whole, damaged)
    places = {*range(STEP, NUM_BINS, STEP), *([] if best is None else [best])}
    return [
        {"threshold": place / NUM_BINS, **_scores(whole, damaged, place)}
        for place in sorted(places)
    ]


def best_threshold(whole: Table, damaged: Table) -> float | None:
    """The threshold of 0.01, 0.02 … 0.99 with the highest F1, of equals the lowest; None without
    damaged pixels, where none is better than another."""
    best = _best(whole, damaged)
    return None if best is None else best / NUM_BINS


def calibration(whole: Table, damaged: Table, bins: int = 20) -> list[Line]:
    """`CALIBRATION` of each of `bins` equal ranges of probability, a divisor of 100: the mean
    predicted probability, the share that truly is damaged, and of how many pixels; both None where
    there are none. Where masks are well calibrated the two agree."""
    pixels, probabilities = (
        (whole + damaged).reshape(2, bins, NUM_BINS // bins).sum(axis=2).tolist()
    )
    truly = damaged[0].reshape(bins, NUM_BINS // bins).sum(axis=1).tolist()
    return [
        {
            "low": number / bins,
            "high": (number + 1) / bins,
            "predicted": probabilities[number] / count if count else None,
            "damaged": truly[number] / count if count else None,
            "num_pixels": int(count),
        }
        for number, count in enumerate(pixels)
    ]


def expected_calibration_error(whole: Table, damaged: Table, bins: int = 20) -> float | None:
    """Mean over pixels of |predicted - damaged| of their range in `calibration`, in [0, 1]; None
    without pixels. Guo, Pleiss, Sun, Weinberger 2017, "On calibration of modern neural networks".
    """
    rows = [row for row in calibration(whole, damaged, bins) if row["num_pixels"]]
    total = sum(row["num_pixels"] for row in rows)
    if not total:
        return None
    off = (row["num_pixels"] * abs(row["predicted"] - row["damaged"]) for row in rows)
    return float(sum(off) / total)


def _best(whole: Table, damaged: Table) -> int | None:
    if not damaged[0].any():
        return None

    def rank(place: int) -> float:
        return _scores(whole, damaged, place)["f1"] or 0.0

    return max(range(1, NUM_BINS), key=rank)


def _scores(whole: Table, damaged: Table, place: int) -> dict[str, float | None]:
    """Of all pixels from a bin on."""
    tp, fp = (int(table[0, place:].sum()) for table in (damaged, whole))
    scores = mask_scores([MaskCounts(tp, fp, int(damaged[0, :place].sum()))])
    return {name: scores[name] for name in SWEEP[1:]}
