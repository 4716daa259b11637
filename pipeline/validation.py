"""How good a system is while it trains: losses and metrics on held-out samples, and a picture to
look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline import fidelity, images
from pipeline.samples import Array, Sample
from pipeline.stream import Batch, to_batch
from pipeline.systems import System

BATCH = 8
METRICS = ("psnr", "ssim", "mse")
KEPT = ("psnr_keep", "ssim_keep")  # over what must be preserved, where samples tell
SHOWN = 4


@dataclass
class Validation:
    """The held-out samples, in memory; all of one size, as a recipe's split has them."""

    samples: Sequence[Sample]

    @torch.no_grad()
    def measure(
        self, system: System, phase: str, device: torch.device
    ) -> tuple[dict[str, float], Array]:
        """``val/…`` values, and rows of corrupted, composite and clean."""
        sums: dict[str, float] = {}
        rows: list[dict[str, float | None]] = []
        counts: list[fidelity.MaskCounts] = []
        shown: list[list[Array]] = []
        for start in range(0, len(self.samples), BATCH):
            group = self.samples[start : start + BATCH]
            batch = batch_of(group, system).to(device)
            for name, value in _terms(system, phase, batch).items():
                sums[name] = sums.get(name, 0.0) + value * len(group) / len(self.samples)
            color = wants_color(group[0])
            restored = system.restore(batch.corrupted, keep=batch.keep, color=color)
            found = None if restored.mask is None else restored.mask[:, 0].float().cpu().numpy()
            for number, picture in enumerate(to_pictures(restored.composite)):
                sample = group[number]
                picture = fit_channels(picture, sample.clean.shape[2])
                rows.append(_row(picture, sample))
                if found is not None and not sample.mask_missing:
                    scores = fidelity.mask_counts(found[number], sample.mask, system.threshold)
                    counts.append(scores)
                if len(shown) < SHOWN:
                    shown.append([sample.corrupted, picture, sample.clean])
        values = {f"val/{name}": value for name, value in sums.items()}
        values["val/loss"] = sum(sums.values())
        means = fidelity.aggregate(rows)
        values |= {f"val/{name}": means[name] or 0.0 for name in METRICS}
        if self.keeps:
            values |= {f"val/{name}": means[name] or 0.0 for name in KEPT}
        if counts:
            values["val/mask_f1"] = fidelity.mask_scores(counts)["f1"] or 0.0
        return values, images.sheet(shown)

    @property
    def masks(self) -> bool:
        """Is of any sample known what is damaged?"""
        return any(not sample.mask_missing for sample in self.samples)

    @property
    def keeps(self) -> bool:
        """Has any sample something to preserve?"""
        return any(sample.keep is not None for sample in self.samples)


def value_names(terms: Iterable[str], keeps: bool, masks: bool) -> list[str]:
    """What `Validation.measure` will name for a system with these loss terms, on samples with a
    `keep`, and if it finds masks."""
    more = (*(KEPT if keeps else ()), *(("mask_f1",) if masks else ()))
    return [f"val/{name}" for name in (*terms, "loss", *METRICS, *more)]


def batch_of(samples: Sequence[Sample], system: System) -> Batch:
    """Samples of one size as a uint8 batch, gray or RGB as the system wants them."""
    inputs, targets = system.channels, system.target_channels
    return to_batch(
        [
            (fit_channels(one.clean, targets), fit_channels(one.corrupted, inputs), one.mask)
            for one in samples
        ],
        keeps=[one.keep for one in samples],
    )


def wants_color(sample: Sample) -> bool | None:
    """True for a gray picture whose original has colors; else nobody says."""
    return True if sample.clean.shape[2] > sample.corrupted.shape[2] else None


def fit_channels(picture: Array, channels: int) -> Array:
    """Gray repeated, or RGB reduced to its luma, where the number of channels asks for it."""
    if picture.shape[2] == channels:
        return picture
    return images.to_rgb(picture) if channels == 3 else images.to_gray(picture)


def _row(picture: Array, sample: Sample) -> dict[str, float | None]:
    row = fidelity.measure(picture, sample.clean, sample.known_mask)
    if sample.keep is not None:
        kept = fidelity.measure(picture, sample.clean, sample.keep)
        row |= {"psnr_keep": kept["psnr_masked"], "ssim_keep": kept["ssim_masked"]}
    return row


def to_pictures(x: torch.Tensor) -> list[Array]:
    """float NCHW in [0, 1] → rounded uint8 H×W×C arrays."""
    levels = (x.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return list(np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy()))


def _terms(system: System, phase: str, batch: Batch) -> dict[str, float]:
    return {
        name: term.item()
        for _, terms in system.updates(phase, batch)
        for name, term in terms.items()
    }
