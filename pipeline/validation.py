"""How good a system is while it trains: losses and metrics on held-out samples, and a picture to
look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline import images, metrics
from pipeline.samples import Array, Sample
from pipeline.stream import Batch, to_batch
from pipeline.systems import System

BATCH = 8
METRICS = ("psnr", "ssim", "mse")
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
        shown: list[list[Array]] = []
        for start in range(0, len(self.samples), BATCH):
            group = self.samples[start : start + BATCH]
            batch = to_batch([(one.clean, one.corrupted, one.mask) for one in group]).to(device)
            for name, value in _terms(system, phase, batch).items():
                sums[name] = sums.get(name, 0.0) + value * len(group) / len(self.samples)
            for sample, picture in zip(
                group, to_pictures(system.restore(batch.corrupted).composite), strict=True
            ):
                rows.append(metrics.measure(picture, sample.clean, sample.known_mask))
                if len(shown) < SHOWN:
                    shown.append([sample.corrupted, picture, sample.clean])
        values = {f"val/{name}": value for name, value in sums.items()}
        values["val/loss"] = sum(sums.values())
        means = metrics.aggregate(rows)
        values |= {f"val/{name}": means[name] or 0.0 for name in METRICS}
        return values, images.sheet(shown)


def value_names(terms: Iterable[str]) -> list[str]:
    """What `Validation.measure` will name for a system with these loss terms."""
    return [f"val/{name}" for name in (*terms, "loss", *METRICS)]


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
