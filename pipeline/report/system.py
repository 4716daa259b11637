"""All that the page of a system tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.images import Array
from pipeline.report.numbers import Gain, gain_between, gains_of_all
from pipeline.rows import OWN, Row, counted, damaged_of, photo_of, picture_names

OWN_NAMES = {"input": "the input, untouched", "prediction": "raw prediction"}


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

    `metrics`: metrics.json; `tuned`: each classical baseline → its strengths; `given_masks`: those
    that were told where the damage is; `seed` of the bootstrap; `threshold` of the system's masks;
    `rows`, `breakdown`, `thresholds`, `calibration`: the rows of the csv files of those names (the
    last two None where no masks are found); `colors`: it makes color of gray, and its conduct is
    that of the luma; `lpips`: whose weights that sees with, ``reference`` or ``official``;
    `history` of the training, empty for weights from elsewhere; `params`: name of a block → the
    block; `fingerprints`: what it is of → hash; `files` beside the page that are worth a link;
    `rivals`: a sentence on who is better on which damage, or none.
    """

    pair: str
    system: str
    kind: str
    recipe: str
    metrics: Mapping[str, Any]
    tuned: Mapping[str, Mapping[str, float]]
    threshold: float
    rows: Sequence[Row]
    breakdown: Sequence[Row]
    samples: Sequence[Shown]
    seed: int
    given_masks: Sequence[str] = ()
    thresholds: Sequence[Row] | None = None
    calibration: Sequence[Row] | None = None
    colors: bool = False
    lpips: str | None = None
    history: Sequence[dict[str, Any]] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[str] = ()
    rivals: str = ""

    @property
    def measured(self) -> Sequence[Row]:
        """The rows that means are over."""
        return counted(self.rows)

    @property
    def num_measured_photos(self) -> int:
        """The photos that these are from."""
        return len({photo_of(row) for row in self.measured})

    @property
    def is_damaged(self) -> bool:
        """Is there anything to gain?"""
        return bool(damaged_of(self.rows))

    @property
    def baselines(self) -> list[str]:
        """The classical ones that were measured, the best PSNR first; those that lack a sample come
        last, since they compare with nothing."""
        found = {name: self.metrics[name]["psnr"] for name in self.tuned if name in self.metrics}
        return sorted(found, key=lambda name: (found[name] is None, -(found[name] or 0.0), name))

    @property
    def ablations(self) -> list[str]:
        """The pictures of the system itself without some part of it."""
        return [one for one in picture_names(self.rows) if one not in {*OWN, *self.tuned}]

    @property
    def finds_masks(self) -> bool:
        """Does the system say where damage is?"""
        return "mask" in self.metrics

    def name(self, picture: str) -> str:
        """How people call a picture: the composite is what the system is for."""
        if picture == "composite":
            return self.system
        words = OWN_NAMES.get(picture, picture.replace("_", " "))
        return words if picture in {*OWN, *self.tuned} else f"{self.system}, {words}"

    def gain(self, picture: str) -> Gain | None:
        """What a picture gains in PSNR over the input (dB); None where that lacks a sample, or
        nothing is damaged."""
        if not self.is_damaged:
            return None
        known = gains_of_all(self.breakdown).get(picture)
        return gain_between(self.metrics["input"], self.metrics[picture], known)
