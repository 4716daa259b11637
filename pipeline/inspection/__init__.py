"""What a set of shards holds: the columns of each split, summed up, and samples to look at."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.inspection.columns import RANGES, SplitData
from pipeline.inspection.plan import PlannedStep
from pipeline.samples import Array, Redraw, Sample, unpack
from pipeline.shards import ShardManifest, read_shard

BINS = 40
FLAT = 2.0  # gray levels: a clean tile of less contrast teaches nothing but its own level
SHOWN = {"lowest": 0.0, "lower quartile": 0.25, "median": 0.5, "upper quartile": 0.75,
         "highest": 1.0}  # fmt: skip


def read_split(
    folder: Path,
    manifest: ShardManifest,
    split: str,
    steps: Sequence[PlannedStep],
    redraw: Redraw,
    on_sample: Callable[[], None],
) -> SplitData:
    """Measure every sample of a split, a verified shard at a time."""
    data = SplitData(split, steps, lossless=manifest.profile != "jpeg" or split != "train")
    for row in manifest.of_split(split):
        for member in read_shard(folder, row):
            data.add(unpack(member, redraw))
            on_sample()
    return data


def pick(data: SplitData) -> dict[str, int]:
    """Samples from the lowest severity to the highest: label → place in the split. Equally severe
    samples are ranked by their covered share; what is not known ranks last."""
    ranked = np.lexsort((data["covered"], data["severity"]))
    places = {label: int(ranked[round(at * (len(ranked) - 1))]) for label, at in SHOWN.items()
              if len(ranked)}  # fmt: skip
    chosen: dict[int, str] = {}
    for label, place in places.items():
        chosen.setdefault(place, label)
    return {label: place for place, label in chosen.items()}


def read_places(
    folder: Path, manifest: ShardManifest, split: str, places: Sequence[int], redraw: Redraw
) -> dict[int, Sample]:
    """The samples at some places of a split; only their shards are read."""
    found, start = {}, 0
    for row in manifest.of_split(split):
        inside = [place for place in places if start <= place < start + row.num_samples]
        members = read_shard(folder, row) if inside else []
        found.update({place: unpack(members[place - start], redraw) for place in inside})
        start += row.num_samples
    return found


def histogram(values: Array, high: float) -> Array:
    """The shares of `values` in even bins from 0 to `high`; all zero where there are none."""
    counts, _ = np.histogram(values, BINS, (0.0, high))
    shares: Array = counts / max(1, len(values))
    return shares


def histograms(splits: Sequence[SplitData]) -> dict[str, Array]:
    """``<quantity>_<split>`` and ``severity_of_<step>_<split>`` → shares of the samples."""
    found = {
        f"{name}_{data.split}": histogram(data.known(name), high)
        for name, high in RANGES.items()
        for data in splits
    }
    for data in splits:
        for number, step in enumerate(data.steps):
            shares = histogram(data.severities(number), 1.0)
            found[f"severity_of_{step.name}_{data.split}"] = shares
    return found


def to_csv(columns: Mapping[str, Array]) -> str:
    """Histograms as CSV, a row a bin; ``bin`` is its middle, as a share of the quantity's range."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["bin", *columns])
    for number in range(BINS):
        shares = (f"{round(float(column[number]), 5):g}" for column in columns.values())
        writer.writerow([f"{(number + 0.5) / BINS:g}", *shares])
    return out.getvalue()


def summarize(data: SplitData) -> dict[str, Any]:
    """The numbers of one split for ``data.json``."""
    photos, tiles = len(data.distinct("photo")), len(data.distinct("tile"))
    return {
        "samples": data.num_samples,
        "photos": photos,
        "tiles": tiles,
        "variants": round(data.num_samples / max(1, tiles), 3),
        "distinct_clean": len(data.distinct("picture")),
        "flat": int((data["contrast_clean"] < FLAT).sum()),
        "undamaged": int(data["undamaged"].sum()),
        "empty": int((data["covered"] == 0).sum()),
        "unmasked": int(unmasked(data).sum()),
        "outside": int(data["outside"].sum()),
        **({"mask_missing": data.num_missing} if data.num_missing else {}),
        **{name: spread(data.known(name)) for name in RANGES},
        "kept": spread(data["kept"]),
        "photo_side": spread(data["photo_side"]),
        "steps": {step.name: _sum_up_step(data, number) for number, step in enumerate(data.steps)},
    }


def unmasked(data: SplitData) -> Array:
    """In which samples local damage was drawn and nothing is in the mask."""
    found: Array = (data["num_local"] > 0) & (data["covered"] == 0)
    return found


def spread(values: Array) -> dict[str, float]:
    """Mean, lowest, median and highest; empty where there are no values."""
    if not len(values):
        return {}
    found = {"mean": math.fsum(values) / len(values), "median": float(np.median(values)),
             "low": float(values.min()), "high": float(values.max())}  # fmt: skip
    return {name: round(value, 5) for name, value in found.items()}


def _sum_up_step(data: SplitData, number: int) -> dict[str, Any]:
    severities = data.severities(number)
    share = len(severities) / max(1, data.num_samples)
    return {"samples": len(severities), "share": round(share, 5), "severity": spread(severities)}
