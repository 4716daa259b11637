"""What an evaluation row holds, and the means over rows.

A row is flat: ``key``, ``photo`` and ``source`` (where the tile is from), ``families`` (of the
damage to undo), ``covered`` (share of damaged pixels), ``severity`` (0 to 1), ``width`` and
``height`` of the photo (px), ``<picture>.<metric>`` for each picture and metric, the pixel counts
of the mask where a system predicts one, ``altered_outside``, and ``harm.…``: what the system did to
the same tile undamaged. Where a sample's mask is missing, all that needs it is null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from pipeline import fidelity

Row = dict[str, Any]
OWN = ("input", "prediction", "composite")  # the pictures of the system itself
COUNTS = ("mask.tp", "mask.fp", "mask.fn")
# What metrics.json has of each picture; means.csv has all.
HEADLINE = ("psnr", "ssim", "mse", "psnr_masked", "ssim_masked", "psnr_outside", "lpips")
GOOD_LPIPS = 0.05  # a restoration looks right up to this distance
HARM = ("psnr", "marked", "altered", "altered_outside")


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over samples for each picture name, micro-averaged mask scores, and how many there
    were. Samples without a mask are counted in `mask_missing_count`, which is there if they are.

    An undamaged input has the clip of PSNR, 100 dB, which a few of carry the mean: where there are
    some, `damaged` holds the means over the others, and `undamaged_count` how many there are.
    `harm`: means over the same tiles undamaged.
    """
    covered = [row["covered"] for row in rows if row["covered"] is not None]
    summary: dict[str, Any] = {
        "num_samples": len(rows),
        "num_photos": len({photo_of(row) for row in rows}),
        "covered": _mean(covered) if covered or not rows else None,
    }
    if len(covered) < len(rows):
        summary["mask_missing_count"] = len(rows) - len(covered)
    for name in picture_names(rows):
        summary[name] = _headline(rows, name)
    damaged = damaged_of(rows)
    if 0 < len(damaged) < len(rows):
        summary["damaged"] = {name: _headline(damaged, name) for name in picture_names(rows)}
        summary["undamaged_count"] = len(rows) - len(damaged)
    if rows and COUNTS[0] in rows[0]:
        known = [row for row in rows if row[COUNTS[0]] is not None]
        counts = [fidelity.MaskCounts(*(row[name] for name in COUNTS)) for row in known]
        summary["mask"] = {k: _rounded(v) for k, v in fidelity.mask_scores(counts).items()}
    return summary | _conduct(rows)


def damaged_of(rows: Sequence[Row]) -> list[Row]:
    """The rows whose input is not equal to its original."""
    return [row for row in rows if row["input.psnr"] < fidelity.PSNR_CLIP]


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
    """All means: one line for each picture and metric, with how many samples have it not, and of
    how many it was clipped; then those of what concerns no picture."""
    for name in picture_names(rows):
        means = _means(rows, name)
        for metric in (key for key in means if not key.endswith("_count")):
            yield {
                "picture": name,
                "metric": metric,
                "mean": means[metric],
                "undefined_count": means[f"{metric}_undefined_count"],
                "clipped_count": means.get(f"{metric}_clipped_count"),
            }


def mean_of(rows: Sequence[Row], name: str) -> float | None:
    """The mean of one column over the rows that have it."""
    values = [row[name] for row in rows if row.get(name) is not None]
    return _mean(values) if values else None


def _headline(rows: Sequence[Row], name: str) -> dict[str, float | None]:
    """The means that matter most; how many PSNRs were clipped, and how many samples lack a value
    where any does; with LPIPS, the share of samples that look right."""
    means = _means(rows, name)
    found: dict[str, float | None] = {}
    for metric in (metric for metric in HEADLINE if metric in means):
        found[metric] = means[metric]
        if means[f"{metric}_undefined_count"]:
            found[f"{metric}_undefined_count"] = means[f"{metric}_undefined_count"]
    known = [row[f"{name}.lpips"] for row in rows if row.get(f"{name}.lpips") is not None]
    if known:
        found["share_good"] = _mean([float(distance <= GOOD_LPIPS) for distance in known])
    return found | {"psnr_clipped_count": means["psnr_clipped_count"]}


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
