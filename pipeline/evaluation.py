"""A system and the classical baselines on the same held-out samples: a row a sample, and what the
system does to the same tiles undamaged."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from pipeline import fidelity, metrics
from pipeline.answers import (
    Answer,
    altered,
    family_names,
    harm,
    look_aside,
    restore_sample,
    undamaged,
)
from pipeline.config import Section
from pipeline.files import write_bytes, write_json
from pipeline.images import encode_jpeg
from pipeline.rows import COUNTS, Row
from pipeline.samples import Array, Sample
from pipeline.shards import read_manifest, read_samples
from pipeline.systems import System
from pipeline.systems.baselines import BASELINES
from pipeline.validation import fit_channels

Progress = Callable[[int, int], None]

JPEG_QUALITY = 92  # of the pictures that are kept for comparisons; metrics see the lossless ones
MAX_TUNED = 256  # validation samples that baselines are tuned on, at most
KEPT = ("psnr", "ssim", "contrast")  # also measured over what must be preserved
MODEL = "model"  # the name of its own time among those of metrics


class EvaluateSection(Section):
    """A pair to measure: a trained `system`, its `kind` (its file in pipeline/systems), shards; the
    classical `baselines` measured on the same samples; and whose weights `lpips` sees with: those
    of PATINA_REFERENCE_WEIGHTS, the official files, or none (null: it is not measured)."""

    system: str
    kind: str
    recipe: str
    baselines: tuple[str, ...]
    lpips: Literal["reference", "official"] | None


class Measured(NamedTuple):
    """Rows by key; the baselines' strengths; pixels by predicted probability of damage, of truly
    whole and truly damaged ones, None where the system finds no masks or none is known; seconds of
    the model and of each group of metrics, in this process."""

    rows: list[Row]
    tuned: dict[str, dict[str, float]]
    probabilities: tuple[Array, Array] | None
    seconds: dict[str, float]


@dataclass
class Evaluation:
    """One system on the test split of one shard folder; finished photos are kept in `work`.

    `lpips`: its network, or None.
    """

    system: System
    shards: Path
    baselines: tuple[str, ...]
    work: Path
    device: torch.device
    lpips: Any = None
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, progress: Progress) -> Measured:
        """Measure every test sample; composites are left in ``restored/<key>.jpg`` of `work`."""
        tuned = self._tune()
        total, rows = read_manifest(self.shards).num_samples("test"), list[Row]()
        sums: Any = None
        for photo, samples in runs_of_photos(read_samples(self.shards, "test")):
            made = self._photo(photo, samples, tuned)
            rows += made["rows"]
            if made["probabilities"] is not None:
                sums = np.array(made["probabilities"]) + (0 if sums is None else sums)
            progress(len(rows), total)
        rows.sort(key=lambda row: str(row["key"]))
        probabilities = None if sums is None else (sums[0], sums[1])
        return Measured(rows, tuned, probabilities, self.seconds)

    def _tune(self) -> dict[str, dict[str, float]]:
        """On validation samples, evenly chosen where there are many: all are held in memory."""
        path = self.work / "tuned.json"
        if not path.is_file():
            total = read_manifest(self.shards).num_samples("val")
            places = set(np.linspace(0, total - 1, min(total, MAX_TUNED)).round().astype(int))
            samples = enumerate(read_samples(self.shards, "val"))
            chosen = [sample for place, sample in samples if place in places]
            write_json(path, {name: tune(name, chosen) for name in self.baselines})
        tuned: dict[str, dict[str, float]] = json.loads(path.read_text())
        return tuned

    def _photo(
        self, photo: str, samples: Sequence[Sample], tuned: dict[str, dict[str, float]]
    ) -> dict[str, Any]:
        """Rows of one photo and its pixels by probability: the unit of resume."""
        path = self.work / "rows" / f"{photo}.json"
        if not path.is_file():
            rows, counted = [], []
            for sample in samples:
                answer = self._restore(sample)
                rows.append(self._row(sample, answer, tuned))
                picture = encode_jpeg(answer.composite, JPEG_QUALITY)
                write_bytes(self.work / "restored" / f"{sample.key}.jpg", picture)
                if answer.mask is not None and not sample.mask_missing:
                    counted.append(metrics.masks.histogram(answer.mask, sample.mask))
            sums = np.array(counted).sum(axis=0).tolist() if counted else None
            write_json(path, {"rows": rows, "probabilities": sums})
        made: dict[str, Any] = json.loads(path.read_text())
        return made

    def _restore(self, sample: Sample) -> Answer:
        """The answer to a sample; its time is noted."""
        started = time.perf_counter()
        answer = restore_sample(self.system, sample, self.device)
        self._spend({MODEL: time.perf_counter() - started})
        return answer

    def _row(self, sample: Sample, answer: Answer, tuned: dict[str, dict[str, float]]) -> Row:
        threshold = self.system.threshold
        row = self._told(sample)
        beside, numbers = look_aside(self.system, sample, self.device)
        pictures = self._pictures(sample, answer, tuned) | beside
        for name, values in self._measure(sample, pictures).items():
            row |= {f"{name}.{metric}": _finite(value) for metric, value in values.items()}
        row |= {name: _finite(value) for name, value in numbers.items()}
        if answer.mask is not None:
            row |= self._counts(answer.mask, sample)
        row["altered_outside"] = _finite(altered(answer, threshold)[1])
        done = harm(restore_sample(self.system, undamaged(sample), self.device), threshold)
        return row | {f"harm.{name}": _finite(value) for name, value in done.items()}

    def _told(self, sample: Sample) -> Row:
        """What the sample is, before anything is measured."""
        steps = [step for step in sample.story.get("steps", []) if step["on"] == "input"]
        photo = sample.story["photo"]
        return {
            "key": sample.key,
            "photo": photo["name"],
            "source": photo["source"],
            "families": family_names(sample),
            "covered": _covered(sample),
            "severity": max((float(step["severity"]) for step in steps), default=0.0),
            "width": photo.get("width"),
            "height": photo.get("height"),
        }

    def _pictures(
        self, sample: Sample, answer: Answer, tuned: dict[str, dict[str, float]]
    ) -> dict[str, Array | None]:
        """All that is measured against the original; None where a baseline lacks its mask."""
        corrupted = fit_channels(sample.corrupted, sample.clean.shape[2])
        pictures: dict[str, Array | None] = {
            "input": corrupted,
            "prediction": answer.prediction,
            "composite": answer.composite,
        }
        for name, strength in tuned.items():
            baseline, mask = BASELINES[name](), sample.known_mask
            usable = mask is not None or not baseline.needs_mask
            pictures[name] = baseline.restore(corrupted, mask, strength) if usable else None
        return pictures

    def _measure(
        self, sample: Sample, pictures: Mapping[str, Array | None]
    ) -> dict[str, dict[str, float | None]]:
        """The metrics of each picture; of none, all are undefined."""
        names = [name for name in metrics.METRICS if name != "lpips" or self.lpips is not None]
        ruler = metrics.Ruler(sample.clean, sample.known_mask, names, self.lpips)
        there = {name: picture for name, picture in pictures.items() if picture is not None}
        values = ruler.measure_all(there)
        self._spend(ruler.seconds)
        if sample.keep is not None:
            kept = metrics.Ruler(sample.clean, sample.keep, [f"{name}_masked" for name in KEPT])
            for name, found in kept.measure_all(there).items():
                values[name] |= {f"{one}_keep": found[f"{one}_masked"] for one in KEPT}
            self._spend(kept.seconds)
            names += [f"{name}_keep" for name in KEPT]
        return {name: values.get(name, dict.fromkeys(names)) for name in pictures}

    def _spend(self, seconds: Mapping[str, float]) -> None:
        for name, more in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + more

    def _counts(self, found: Array, sample: Sample) -> dict[str, int | None]:
        if sample.mask_missing:
            return dict.fromkeys(COUNTS)
        counts = fidelity.mask_counts(found, sample.mask, self.system.threshold)
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


def runs_of_photos(samples: Iterable[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Neighbouring samples of one photo, that their keys name, and a name for each such run: one
    photo's samples are held at a time."""
    seen: Counter[str] = Counter()
    for photo, run in groupby(samples, key=lambda sample: sample.key.split("_")[0]):
        seen[photo] += 1
        yield photo if seen[photo] == 1 else f"{photo}-{seen[photo]}", list(run)


def _covered(sample: Sample) -> float | None:
    if sample.mask_missing:
        return None
    return round(float(np.count_nonzero(sample.mask)) / sample.mask.size, 6)


def _finite(value: float | None) -> float | None:
    """JSON has no infinity; equal pictures count as the clip that averages use."""
    if value is None or math.isfinite(value):
        return None if value is None else round(value, 6)
    return fidelity.PSNR_CLIP
