"""All that the page of a system tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.images import Array
from pipeline.report.numbers import Gain, gains_of_all, psnr_of_all, ranked
from pipeline.rows import Row, damaged_of, picture_names


@dataclass(frozen=True)
class Shown:
    """A sample on the page: `why` is ``worst``, ``best``, ``random`` or ``undamaged`` (its input
    was its own clean tile); `row`: its evaluation; `pictures`: name → uint8 H×W×3 or H×W×1, of one
    size, the two to look at first in front."""

    key: str
    photo: str
    why: str
    row: Row
    pictures: Mapping[str, Array] = field(repr=False)


@dataclass(frozen=True)
class SystemReport:
    """A pair's evaluation as its page tells it.

    `metrics`: metrics.json; `rows`, `breakdown`, `thresholds`, `calibration`: the rows of the csv
    files of those names (the last two None where no masks are found); `history` of the training,
    empty for weights from elsewhere; `params`: name of a block → the block; `fingerprints`: what
    it is of → hash; `files` beside the page that are worth a
    link; `rivals`: a sentence on who is better on which damage, or none.
    """

    pair: str
    system: str
    kind: str
    recipe: str
    metrics: Mapping[str, Any]
    rows: Sequence[Row]
    breakdown: Sequence[Row]
    samples: Sequence[Shown]
    thresholds: Sequence[Row] | None = None
    calibration: Sequence[Row] | None = None
    history: Sequence[dict[str, Any]] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    rivals: str = ""

    @property
    def means(self) -> Mapping[str, Any]:
        """Picture → its means: over damaged samples alone, where some are undamaged."""
        found: Mapping[str, Any] = self.metrics.get("damaged", self.metrics)
        return found

    @property
    def measured(self) -> Sequence[Row]:
        """The rows that `means` are made of."""
        return damaged_of(self.rows) if "damaged" in self.metrics else self.rows

    @property
    def baselines(self) -> list[str]:
        """The classical ones that were measured, the best first."""
        return ranked(picture_names(self.rows), self.means)

    @property
    def finds_masks(self) -> bool:
        """Does the system say where damage is?"""
        return "mask" in self.metrics

    @property
    def num_photos(self) -> int:
        """Photos that the samples are from."""
        return len({f"{row['source']}/{row['photo']}" for row in self.rows})

    def gain(self, picture: str) -> Gain | None:
        """What a picture gains in PSNR over the input (dB); with an interval only where that was
        made of the same samples as the means."""
        psnr, before = psnr_of_all(self.means[picture]), psnr_of_all(self.means["input"])
        if psnr is None or before is None:
            return None
        known = gains_of_all(self.breakdown).get(picture)
        same = known is not None and abs(known.mean - (psnr - before)) < 0.006
        return known if known is not None and same else Gain(psnr - before)
