"""Which samples of an evaluation are shown, and the pictures that show what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.answers import Answer
from pipeline.images import ERROR_GAIN, difference_map, to_gray, to_rgb
from pipeline.rows import Row, counted
from pipeline.samples import Array, Sample
from pipeline.seeds import rng
from pipeline.themes import FALSE, MISSED, RIGHT
from pipeline.validation import fit_channels

DIMMED = 0.45  # of the input's luma, under the marks


class Chosen(NamedTuple):
    """A sample worth showing, why (``worst``, ``best`` or ``random``), and what it gained in dB."""

    key: str
    why: str
    gain: float


def choose(rows: Sequence[Row], seed: int, each: int) -> list[Chosen]:
    """Of the `counted` samples `each` of the worst, the best and, of the rest, some at random. Few
    samples are shown once."""
    gains = gains_of(rows)
    ranked = list(gains)
    each = min(each, -(-len(ranked) // 3))
    worst = ranked[:each]
    best = [key for key in ranked[::-1][:each] if key not in worst]
    rest = [key for key in ranked if key not in {*worst, *best}]
    drawn = rng(seed, "showcase").permutation(len(rest))[:each]
    groups = {"worst": worst, "best": best, "random": [rest[place] for place in sorted(drawn)]}
    return [Chosen(key, why, gains[key]) for why, keys in groups.items() for key in keys]


def gains_of(rows: Sequence[Row]) -> dict[str, float]:
    """What the composite's PSNR gains over the input's, in dB, by the key of each `counted` sample,
    from the least to the most."""
    gains = {str(row["key"]): row["composite.psnr"] - row["input.psnr"] for row in counted(rows)}
    return dict(sorted(gains.items(), key=lambda item: (item[1], item[0])))


def pictures_of(sample: Sample, answer: Answer, threshold: float) -> dict[str, Array]:
    """By name: uint8 H×W×3 or ×1, of the sample's size, in the order in which they are shown."""
    shown = {
        "damaged": fit_channels(sample.corrupted, sample.clean.shape[2]),
        "restored": answer.composite,
        "original": sample.clean,
        f"error ×{ERROR_GAIN}": difference_map(answer.composite, sample.clean),
    }
    marked = answer.marked(threshold)
    if marked is not None:
        shown["damage found"] = overlay(sample, marked)
        shown["raw prediction"] = answer.prediction
    return shown | dict(answer.between)


def pictures_of_undamaged(sample: Sample, answer: Answer, threshold: float) -> dict[str, Array]:
    """Of a tile without damage: what went in, what came out, the difference, and false marks."""
    given = fit_channels(sample.corrupted, sample.clean.shape[2])
    shown = {
        "undamaged": given,
        "returned": answer.composite,
        f"difference ×{ERROR_GAIN}": difference_map(answer.composite, given),
    }
    marked = answer.marked(threshold)
    if marked is not None:
        shown["damage found"] = overlay(sample, marked)
    return shown


def overlay(sample: Sample, marked: Array) -> Array:
    """What was marked (bool H×W) over the dimmed input, H×W×3: rightly, falsely, and what was
    missed; in white where the true mask is not known."""
    dimmed = np.rint(to_rgb(to_gray(sample.corrupted)) * DIMMED).astype(np.uint8)
    if sample.mask_missing:
        dimmed[marked] = 255
        return dimmed
    damaged = sample.mask > 0
    dimmed[marked & damaged] = RIGHT
    dimmed[marked & ~damaged] = FALSE
    dimmed[~marked & damaged] = MISSED
    return dimmed
