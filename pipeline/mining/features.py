"""What is known of a sample before a system sees it, and the error that the system leaves in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from pipeline import fidelity
from pipeline.answers import restore_sample
from pipeline.images import to_gray
from pipeline.rows import photo_of
from pipeline.samples import Array, Redraw, Sample
from pipeline.shards import read_manifest, read_samples
from pipeline.systems import System
from pipeline.validation import fit_channels

ROUNDING = 1 / (12 * 255**2)  # MSE of rounding to 8 bits: a smaller error is none
CONTEXT = ("texture", "contrast", "brightness")
WHOLE = ("covered", "size", "pieces", "steps", "photo_side")  # what damage looks like, in numbers


@dataclass(frozen=True)
class Mined:
    """One sample. `mse` of the composite and `input_mse`, of values in [0, 1]; `context`: the clean
    tile, by `CONTEXT`; `families`: the worst severity of each family to undo, `kept`: of each that
    is in the target too; `whole`: by `WHOLE`, None where the mask is missing."""

    key: str
    photo: str
    mse: float
    input_mse: float
    context: Mapping[str, float]
    families: Mapping[str, float]
    kept: Mapping[str, float]
    whole: Mapping[str, float | None]

    @property
    def decibels(self) -> float:
        """The error, 10·log10 of the MSE: −PSNR, but never below the error of rounding."""
        return 10 * math.log10(self.mse + ROUNDING)

    def row(self) -> dict[str, Any]:
        """Flat, for a CSV file."""
        row: dict[str, Any] = {"key": self.key, "photo": self.photo, "mse": self.mse}
        row |= {"input_mse": self.input_mse, "error_db": round(self.decibels, 5)}
        row |= {name: round(value, 6) for name, value in self.context.items()}
        row |= dict(self.whole)
        row |= {f"severity.{name}": value for name, value in self.families.items()}
        return row | {f"kept.{name}": value for name, value in self.kept.items()}


def measure(
    system: System,
    shards: Path,
    split: str,
    device: torch.device,
    progress: Callable[[int, int], None],
    redraw: Redraw | None = None,
) -> list[Mined]:
    """Restore every sample of a split and tell what came of it; undamaged ones are left out, for
    they have no damage to blame."""
    total = read_manifest(shards).num_samples(split)
    found: list[Mined] = []
    for done, sample in enumerate(read_samples(shards, split, redraw), 1):
        composite = restore_sample(system, sample, device).composite
        one = describe(sample, composite)
        if one.input_mse > 0:
            found.append(one)
        progress(done, total)
    return found


def describe(sample: Sample, composite: Array) -> Mined:
    """A sample and what came of it: `composite` is uint8 of the shape of the original."""
    corrupted = fit_channels(sample.corrupted, sample.clean.shape[2])
    errors = [fidelity.mse(one, sample.clean) for one in (composite, corrupted)]
    photo, steps = sample.story["photo"], list(_steps(sample, "input"))
    return Mined(
        key=sample.key,
        photo=photo_of({"source": photo["source"], "photo": photo["name"]}),
        mse=errors[0] or 0.0,
        input_mse=errors[1] or 0.0,
        context=_context(sample.clean),
        families=_worst(steps),
        kept=_worst(_steps(sample, "both")),
        whole=_look(sample.known_mask) | _told(sample, len(steps)),
    )


def _steps(sample: Sample, on: str) -> Iterator[tuple[str, float]]:
    """Family and severity of each step that did anything to this tile."""
    for step in sample.story.get("steps", []):
        if step["on"] == on and float(step["severity"]) > 0:
            yield step["family"], float(step["severity"])


def _worst(steps: Any) -> dict[str, float]:
    worst: dict[str, float] = {}
    for family, severity in steps:
        worst[family] = max(severity, worst.get(family, 0.0))
    return dict(sorted(worst.items()))


def _context(clean: Array) -> dict[str, float]:
    """Detail is hard to restore whatever befell it: the logarithm of the Laplacian's deviation;
    the deviation and mean of the luma, in [0, 1]."""
    luma = to_gray(clean)[..., 0].astype(np.float32)
    detail = float(cv2.Laplacian(luma, cv2.CV_32F).std())
    values = (math.log10(1 + detail), float(luma.std()) / 255, float(luma.mean()) / 255)
    return dict(zip(CONTEXT, values, strict=True))


def _look(mask: Array | None) -> dict[str, float | None]:
    """Of a mask: the share of the tile covered; the side of the largest connected part, if it were
    a square, as a share of the tile's; how many parts there are."""
    if mask is None:
        return dict.fromkeys(WHOLE[:3])
    count, _, told, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8))
    areas = told[1:, cv2.CC_STAT_AREA]
    largest = float(areas.max()) if len(areas) else 0.0
    return {
        "covered": round(float(areas.sum()) / mask.size, 6),
        "size": round(math.sqrt(largest / mask.size), 6),
        "pieces": float(count - 1),
    }


def _told(sample: Sample, steps: int) -> dict[str, float | None]:
    side = sample.story.get("photo_side")
    return {"steps": float(steps), "photo_side": None if side is None else float(side)}
