"""A system and the classical baselines on the same held-out samples: one row a sample, then the
means."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pipeline import metrics
from pipeline.config import Section
from pipeline.files import write_json
from pipeline.rows import COUNTS, Row
from pipeline.samples import Array, Sample
from pipeline.shards import read_manifest, read_samples
from pipeline.systems import System
from pipeline.systems.baselines import BASELINES
from pipeline.validation import batch_of, fit_channels, to_pictures

Progress = Callable[[int, int], None]


class EvaluateSection(Section):
    """A pair to measure: a trained `system`, its `kind` (its file in pipeline/systems), shards; and
    the classical `baselines` measured on the same samples."""

    system: str
    kind: str
    recipe: str
    baselines: tuple[str, ...]


class Pictures(NamedTuple):
    """What came of one sample. `mask`: float H×W probability of damage, or None; `stages`: the
    pictures in between, of chained systems."""

    prediction: Array
    composite: Array
    mask: Array | None
    stages: dict[str, Array]


@dataclass
class Evaluation:
    """One system on the test split of one shard folder; finished photos are kept in `work`."""

    system: System
    shards: Path
    baselines: tuple[str, ...]
    work: Path
    device: torch.device

    def run(self, progress: Progress) -> dict[str, Any]:
        """``{"rows": …, "tuned": …}``: every test sample's row, by key, and the baselines'
        strengths."""
        tuned = self._tune()
        manifest = read_manifest(self.shards)
        total, done = manifest.num_samples("test"), 0
        rows: list[Row] = []
        for photo, samples in by_photo(read_samples(self.shards, "test")):
            rows += self._photo_rows(photo, samples, tuned)
            done += len(samples)
            progress(done, total)
        return {"rows": sorted(rows, key=lambda row: str(row["key"])), "tuned": tuned}

    def _tune(self) -> dict[str, dict[str, float]]:
        path = self.work / "tuned.json"
        if not path.is_file():
            samples = list(read_samples(self.shards, "val"))
            write_json(path, {name: tune(name, samples) for name in self.baselines})
        tuned: dict[str, dict[str, float]] = json.loads(path.read_text())
        return tuned

    def _photo_rows(
        self, photo: str, samples: Sequence[Sample], tuned: dict[str, dict[str, float]]
    ) -> list[Row]:
        """Rows of one photo: the unit of resume."""
        path = self.work / "rows" / f"{photo}.json"
        if not path.is_file():
            write_json(path, [self._row(sample, tuned) for sample in samples])
        rows: list[Row] = json.loads(path.read_text())
        return rows

    def _row(self, sample: Sample, tuned: dict[str, dict[str, float]]) -> Row:
        restored = restore_sample(self.system, sample, self.device)
        corrupted = fit_channels(sample.corrupted, sample.clean.shape[2])
        pictures: dict[str, Array | None] = {
            "input": corrupted,
            "prediction": restored.prediction,
            "composite": restored.composite,
        }
        for name, strength in tuned.items():
            baseline, mask = BASELINES[name](), sample.known_mask
            usable = mask is not None or not baseline.needs_mask
            pictures[name] = baseline.restore(corrupted, mask, strength) if usable else None
        steps = sample.story.get("steps", [])
        row: Row = {
            "key": sample.key,
            "photo": sample.story["photo"]["name"],
            "source": sample.story["photo"]["source"],
            "covered": _covered(sample),
            "severity": max((float(step["severity"]) for step in steps), default=0.0),
        }
        for name, picture in pictures.items():
            values = _measure(picture, sample)
            row |= {f"{name}.{metric}": _finite(value) for metric, value in values.items()}
        if restored.mask is not None:
            row |= self._counts(restored.mask, sample)
        return row

    def _counts(self, found: Array, sample: Sample) -> dict[str, int | None]:
        if sample.mask_missing:
            return dict.fromkeys(COUNTS)
        counts = metrics.mask_counts(found, sample.mask, self.system.threshold)
        return dict(zip(COUNTS, counts, strict=True))


def tune(name: str, samples: Sequence[Sample]) -> dict[str, float]:
    """A baseline's strengths by the samples that it can work on; its customary ones without any."""
    baseline = BASELINES[name]()
    usable = [one for one in samples if not (baseline.needs_mask and one.mask_missing)]
    if samples and not usable:
        return {}
    return baseline.tune(
        (one.clean, fit_channels(one.corrupted, one.clean.shape[2]), one.mask) for one in usable
    )


@torch.no_grad()
def restore_sample(system: System, sample: Sample, device: torch.device) -> Pictures:
    """A system's answer to one sample, in float32; gray or RGB as the original is."""
    batch = batch_of([sample], system).to(device)
    restored = system.restore(batch.corrupted, keep=batch.keep)
    mask = None if restored.mask is None else restored.mask[0, 0].float().cpu().numpy()
    made = [to_pictures(one)[0] for one in (restored.prediction, restored.composite)]
    prediction, composite = (fit_channels(one, sample.clean.shape[2]) for one in made)
    stages = {name: to_pictures(one)[0] for name, one in restored.stages.items()}
    return Pictures(prediction, composite, mask, stages)


def by_photo(samples: Iterable[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Samples gathered by the photo that their key names."""
    gathered: dict[str, list[Sample]] = {}
    for sample in samples:
        gathered.setdefault(sample.key.split("_")[0], []).append(sample)
    yield from sorted(gathered.items())


def _measure(picture: Array | None, sample: Sample) -> dict[str, float | None]:
    """The metrics of a picture; of none, all are undefined."""
    if picture is None:
        return dict.fromkeys(metrics.METRICS)
    return metrics.measure(picture, sample.clean, sample.known_mask)


def _covered(sample: Sample) -> float | None:
    if sample.mask_missing:
        return None
    return round(float(np.count_nonzero(sample.mask)) / sample.mask.size, 6)


def _finite(value: float | None) -> float | None:
    """JSON has no infinity; equal pictures count as the clip that averages use."""
    if value is None or math.isfinite(value):
        return None if value is None else round(value, 6)
    return metrics.PSNR_CLIP
