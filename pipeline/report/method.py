"""How what a system's page tells was measured."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline import pages
from pipeline.metrics import DEFINITIONS, define_lpips
from pipeline.pages import Markup
from pipeline.report.harm import HARMLESS
from pipeline.report.system import SystemReport
from pipeline.statistics import FEW

COMMON = (
    "Means are over damaged samples, or over all where none is; what is done to undamaged ones is "
    "told apart.",
    *DEFINITIONS,
    "Precision, recall, F1 and IoU of masks are micro-averages over all held-out pixels at the "
    "system's threshold; empty masks are counted apart.",
    "Intervals are 95 % bootstrap intervals of the mean, drawn over photos: tiles of one photo are "
    "not independent. Where there is one photo only, there is none; of fewer than "
    f"{FEW} it is too narrow, and nothing is claimed.",
    "The composite is the input with the prediction where damage was found; a system without a "
    "mask has composite = prediction. Named after the system, it is what the system answers with.",
    "Do no harm: the same tiles, undamaged, are the input. One counts as left as good as it was "
    f"when the PSNR of output against input is {HARMLESS:g} dB or more.",
    "Classical baselines were tuned on the validation split; those that need a mask were given the "
    "true one, which no system was.",
)


def method(report: SystemReport) -> Markup:
    """What stands in the page's section of that name."""
    return pages.bullets([*COMMON, *_own(report)])


def _own(report: SystemReport) -> Iterator[str]:
    """What is true of this system or evaluation."""
    if report.lpips is not None:
        yield define_lpips(report.lpips)
    if report.colors:
        yield (
            "This system makes color of gray: undamaged photos are compared by their luma alone, "
            "which is all that it was given."
        )
    if report.finds_masks:
        yield f"The threshold of this system's mask is {report.threshold:g}."
