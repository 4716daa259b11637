"""What is told of a recipe's shards, before it is laid out: numbers, and what to plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.inspection import histogram, summarize
from pipeline.inspection.columns import RANGES, SplitData, hash_of
from pipeline.inspection.plan import PlannedStep
from pipeline.inspection.plots import Panel, Row
from pipeline.samples import Array, Sample
from pipeline.shards import ShardManifest

Sizes = Mapping[int, tuple[int, int]]  # hash of a photo's id → its width and height
Shown = Mapping[str, Mapping[str, Sample]]  # split → what is special about a sample → it


class Report(NamedTuple):
    """All that the page tells of. `photo_sizes` may lack photos; `shown`: samples to look at."""

    manifest: ShardManifest
    steps: Sequence[PlannedStep]
    splits: Sequence[SplitData]
    doubts: Sequence[str]
    photo_sizes: Sizes
    shown: Shown


def photo_sizes(photos: Mapping[str, tuple[int, int]]) -> Sizes:
    """Photo id → width and height, as the report looks them up."""
    return {hash_of(name.encode()): size for name, size in photos.items()}


def sizes_of(report: Report, data: SplitData) -> list[tuple[int, int]]:
    """Width and height of a split's photos, the smallest area first."""
    found = [report.photo_sizes.get(int(photo)) for photo in data.distinct("photo")]
    known = [size for size in found if size is not None]
    return sorted(known, key=lambda size: (size[0] * size[1], size))


def numbers(report: Report) -> dict[str, Any]:
    """``data.json``: the summary of every split, and the warnings."""
    return {
        "recipe": report.manifest.recipe,
        "profile": report.manifest.profile,
        "num_warnings": len(report.doubts),
        "warnings": list(report.doubts),
        "splits": {data.split: summarize(data) for data in report.splits},
    }


def panels(report: Report) -> dict[str, list[Panel]]:
    """Every histogram: name of the plot → its panels."""
    ranges = [step.covered_range for step in report.steps if step.is_local and step.on == "input"]
    covered = Panel(
        "mask coverage", "share of the tile", 1.0, _rows(report, "covered"), percent=True
    )
    worst = Panel("worst step on the input", "severity", 1.0, _rows(report, "severity"))
    return {
        "covered": [covered._replace(marks=ranges[0] or ()) if len(ranges) == 1 else covered],
        "severity": [worst, *_step_panels(report)],
        "brightness": [_pair(report, "brightness")],
        "contrast": [_pair(report, "contrast")],
        "sides": [_sides(report)],
    }


def _step_panels(report: Report) -> list[Panel]:
    """The severity of each step where it occurs, but for steps that are always equally severe, or
    the only ones on the input."""
    found = []
    if [step.on for step in report.steps] == ["input"]:
        return []
    for number, step in enumerate(report.steps):
        columns = [data.severities(number) for data in report.splits]
        if len(np.unique(np.concatenate(columns))) > 1:
            pairs = zip(report.splits, columns, strict=True)
            rows = tuple(_row(data, values, 1.0) for data, values in pairs)
            found.append(Panel(step.name, "severity", 1.0, rows))
    return found


def _pair(report: Report, name: str) -> Panel:
    """Clean filled, corrupted as a line."""
    high = RANGES[f"{name}_clean"]
    rows = tuple(
        _row(data, data[f"{name}_clean"], high, data[f"{name}_corrupted"]) for data in report.splits
    )
    return Panel(name, "gray levels", high, rows)


def _sides(report: Report) -> Panel:
    """The nominal short side filled, the photos' own as a line."""
    own = [np.array([float(min(size)) for size in sizes_of(report, d)]) for d in report.splits]
    nominal = [data["photo_side"] for data in report.splits]
    high = 1.02 * max((float(side.max()) for side in (*own, *nominal) if len(side)), default=1.0)
    pairs = zip(report.splits, nominal, own, strict=True)
    rows = tuple(_row(data, filled, high, line) for data, filled, line in pairs)
    return Panel("short side of photos", "pixels", high, rows)


def _rows(report: Report, name: str) -> tuple[Row, ...]:
    return tuple(_row(data, data.known(name), RANGES[name]) for data in report.splits)


def _row(data: SplitData, values: Array, high: float, line: Array | None = None) -> Row:
    drawn = histogram(line, high) if line is not None else None
    return Row(data.split, len(values), histogram(values, high), drawn)
