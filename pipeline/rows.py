"""What an evaluation row holds, and the means over rows.

A row is flat: ``key``, ``photo`` and ``source`` (where the tile is from), ``families`` (of the
damage to undo), ``covered`` (share of damaged pixels), ``severity`` (0 to 1), ``width`` and
``height`` of the photo (px), ``<picture>.<metric>`` for each picture and metric, the pixel counts
of the mask where a system predicts one, ``altered_outside``, and ``harm.…``: what the system did to
the same tile undamaged. Where a sample's mask is missing, all that needs it is null.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline import fidelity
from pipeline.metrics import GOOD_LPIPS

Row = dict[str, Any]
OWN = ("input", "prediction", "composite")  # the pictures of the system itself
TOLD = ("key", "photo", "source", "families", "covered", "severity", "width", "height")
WORDS = {*TOLD[:4], "by", "group", "picture", "metric", "family"}  # columns that hold no numbers
COUNTS = ("mask.tp", "mask.fp", "mask.fn")
# What metrics.json has of each picture; means.csv has all.
HEADLINE = ("psnr", "ssim", "mse", "psnr_masked", "ssim_masked", "psnr_outside", "lpips")
WHOLE = ("psnr", "ssim", "mse", "lpips")  # are of every sample, or nothing worth
HARM = ("psnr", "marked", "altered", "altered_outside")


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """What ``metrics.json`` tells, numbers alone: means over the `counted` rows for each picture
    name, micro-averaged mask scores over all rows, means of what was done to the same tiles
    undamaged (`harm`), and how many rows there are."""
    counted_rows = counted(rows)
    summary: dict[str, Any] = {
        "num_samples": len(rows),
        "num_photos": len({photo_of(row) for row in rows}),
        "undamaged_count": len(rows) - len(damaged_of(rows)),
        "mask_missing_count": sum(row["covered"] is None for row in rows),
        "covered": mean_of(rows, "covered"),
    }
    for name in picture_names(rows):
        if name != "prediction" or finds_masks(rows):  # else the composite tells the same
            summary[name] = _headline(counted_rows, name)
    if finds_masks(rows):
        known = [row for row in rows if row[COUNTS[0]] is not None]
        counts = [fidelity.MaskCounts(*(row[name] for name in COUNTS)) for row in known]
        summary["mask"] = {k: _rounded(v) for k, v in fidelity.mask_scores(counts).items()}
    return summary | _conduct(rows)


def counted(rows: Sequence[Row]) -> list[Row]:
    """The rows that means are over: the damaged ones, or all if none is.

    An undamaged input has the clip of PSNR, 100 dB, and nothing to gain: a few of them would carry
    every mean. What happens to undamaged tiles is told apart, for every tile.
    """
    return damaged_of(rows) or list(rows)


def damaged_of(rows: Sequence[Row]) -> list[Row]:
    """The rows whose input is not equal to its original."""
    return [row for row in rows if is_damaged(row)]


def is_damaged(row: Row) -> bool:
    """Does the input differ from the original?"""
    return bool(row["input.psnr"] < fidelity.PSNR_CLIP)


def finds_masks(rows: Sequence[Row]) -> bool:
    """Did the system that was measured tell where damage is?"""
    return bool(rows) and COUNTS[0] in rows[0]


def photo_of(row: Row) -> str:
    """The photo that a sample's tile is from, by name: samples of one are alike."""
    return f"{row['source']}/{row['photo']}"


def picture_names(rows: Sequence[Row]) -> list[str]:
    """The pictures that rows measure: the system's own first, then the others in their order."""
    found = dict.fromkeys(
        key.split(".")[0] for row in rows[:1] for key in row if key.endswith(".psnr")
    )
    found.pop("harm", None)
    return [*(name for name in OWN if name in found), *(name for name in found if name not in OWN)]


def mean_table(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """All means over the `counted` rows: one line for each picture and metric, with how many
    samples have it not, and of how many it was clipped; then, over all rows, those that concern no
    picture."""
    for name in picture_names(rows):
        means = _means(counted(rows), name)
        for metric in (key for key in means if not key.endswith("_count")):
            yield {
                "picture": name,
                "metric": metric,
                "mean": means[metric],
                "undefined_count": means[f"{metric}_undefined_count"],
                "clipped_count": means.get(f"{metric}_clipped_count"),
            }
    for name in _extras(rows):
        missing = sum(row[name] is None for row in rows)
        mean = mean_of(rows, name)
        line = {"picture": None, "metric": name, "mean": mean, "undefined_count": missing}
        yield line | {"clipped_count": None}


def read_csv(text: str) -> list[Row]:
    """Rows of a CSV file of ours again: numbers are int or float, empty cells None."""
    rows = csv.DictReader(io.StringIO(text))
    return [{name: _value(name, cell) for name, cell in row.items()} for row in rows]


def mean_of(rows: Sequence[Row], name: str) -> float | None:
    """The mean of one column over the rows that have it."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return _mean(values) if values else None


def _extras(rows: Sequence[Row]) -> list[str]:
    """Columns of numbers that are no picture's: what a system tells of itself, and its conduct."""
    pictures = tuple(f"{name}." for name in picture_names(rows))
    names = rows[0] if rows else ()
    return [n for n in names if n not in {*TOLD, *COUNTS} and not n.startswith(pictures)]


def _value(name: str, cell: str) -> str | float | None:
    if name in WORDS or not cell:
        return cell or None
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)


def _headline(rows: Sequence[Row], name: str) -> dict[str, float | None]:
    """The means that matter most; with LPIPS, the share of samples that look right. Means of the
    whole picture are None if a sample lacks them: means over other samples compare with nothing."""
    means = _means(rows, name)
    found = {
        metric: None if metric in WHOLE and means[f"{metric}_undefined_count"] else means[metric]
        for metric in HEADLINE
        if metric in means
    }
    known = [row[f"{name}.lpips"] for row in rows if row.get(f"{name}.lpips") is not None]
    if known:
        found["share_good"] = _mean([float(distance <= GOOD_LPIPS) for distance in known])
    return found


def _conduct(rows: Sequence[Row]) -> dict[str, Any]:
    """Does the system leave alone what is whole? Means over samples; `identical_count` undamaged
    tiles came back byte for byte."""
    if not rows or "harm.psnr" not in rows[0]:
        return {}
    told: dict[str, Any] = {name: mean_of(rows, f"harm.{name}") for name in HARM}
    told["psnr_lowest"] = _rounded(min(row["harm.psnr"] for row in rows))
    known = [row["harm.altered"] for row in rows if row["harm.altered"] is not None]
    told["identical_count"] = sum(share == 0 for share in known) if known else None
    return {"harm": told, "altered_outside": mean_of(rows, "altered_outside")}


def _means(rows: Sequence[Row], name: str) -> dict[str, float | None]:
    """Over the columns of one picture."""
    prefix = f"{name}."
    columns = [
        {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
        for row in rows
    ]
    return {key: _rounded(value) for key, value in fidelity.aggregate(columns).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / max(1, len(values)), 5)
