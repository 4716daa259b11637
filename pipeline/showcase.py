"""Which samples of an evaluation are shown, and the pictures that show what happened to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.answers import Answer
from pipeline.images import to_gray, to_rgb
from pipeline.rows import Row
from pipeline.samples import Array, Sample
from pipeline.seeds import rng
from pipeline.validation import fit_channels

ERROR_GAIN = 4  # errors are shown this much larger, clipped at white
# Right, false and missed marks: told apart also by color-blind eyes (Okabe & Ito 2008).
RIGHT, FALSE, MISSED = (0, 158, 115), (230, 159, 0), (86, 180, 233)
DIMMED = 0.45  # of the input's luma, under the marks


class Chosen(NamedTuple):
    """A sample worth showing, why (``worst``, ``best`` or ``random``), and what it gained in dB."""

    key: str
    why: str
    gain: float


def choose(rows: Sequence[Row], seed: int, each: int) -> list[Chosen]:
    """Of the samples `each` of the worst, the best and, of the rest, some at random: by what the
    composite's PSNR gains over the input's. Few samples are shown once."""
    gains = {str(row["key"]): row["composite.psnr"] - row["input.psnr"] for row in rows}
    ranked = sorted(gains, key=lambda key: (gains[key], key))
    each = min(each, -(-len(ranked) // 3))
    worst = ranked[:each]
    best = [key for key in ranked[::-1][:each] if key not in worst]
    rest = [key for key in ranked if key not in {*worst, *best}]
    drawn = rng(seed, "showcase").permutation(len(rest))[:each]
    groups = {"worst": worst, "best": best, "random": [rest[place] for place in sorted(drawn)]}
    return [Chosen(key, why, gains[key]) for why, keys in groups.items() for key in keys]


def pictures_of(sample: Sample, answer: Answer, threshold: float) -> dict[str, Array]:
    """By name: uint8 H×W×3 or ×1, of the sample's size, in the order in which they are shown."""
    shown = {
        "damaged": fit_channels(sample.corrupted, sample.clean.shape[2]),
        "restored": answer.composite,
        "original": sample.clean,
        f"error ×{ERROR_GAIN}": error_map(answer.composite, sample.clean),
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
        f"difference ×{ERROR_GAIN}": error_map(answer.composite, given),
    }
    marked = answer.marked(threshold)
    if marked is not None:
        shown["damage found"] = overlay(sample, marked)
    return shown


def error_map(restored: Array, original: Array) -> Array:
    """Mean absolute error of the channels × `ERROR_GAIN`, H×W×1: black where nothing differs."""
    error = np.abs(restored.astype(np.int16) - original).mean(axis=2, keepdims=True)
    levels: Array = np.minimum(np.rint(error * ERROR_GAIN), 255).astype(np.uint8)
    return levels


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
