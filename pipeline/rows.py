"""What an evaluation row holds, and the means over rows.

A row is flat: ``key``, ``photo`` and ``source`` (where the tile is from), ``covered`` (share of
damaged pixels), ``severity`` (0 to 1), ``<picture>.<metric>`` for each picture and metric, and the
pixel counts of the mask where a system predicts one. Where a sample's mask is missing, all that
needs it is null.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pipeline import metrics

Row = dict[str, Any]
OWN = ("input", "prediction", "composite")  # the pictures of the system itself
COUNTS = ("mask.tp", "mask.fp", "mask.fn")


def summarize(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over samples for each picture name, micro-averaged mask scores, and how many there
    were. Samples without a mask are counted in `mask_missing_count`, which is there if they are.

    An undamaged input has the clip of PSNR, 100 dB, which a few of carry the mean: where there are
    some, `damaged` holds the means over the others, and `undamaged_count` how many there are.
    """
    covered = [row["covered"] for row in rows if row["covered"] is not None]
    summary: dict[str, Any] = {
        "num_samples": len(rows),
        "covered": _mean(covered) if covered or not rows else None,
    }
    if len(covered) < len(rows):
        summary["mask_missing_count"] = len(rows) - len(covered)
    for name in picture_names(rows):
        summary[name] = _means(rows, name)
    damaged = [row for row in rows if row["input.psnr"] < metrics.PSNR_CLIP]
    if 0 < len(damaged) < len(rows):
        summary["damaged"] = {name: _means(damaged, name) for name in picture_names(rows)}
        summary["undamaged_count"] = len(rows) - len(damaged)
    if rows and COUNTS[0] in rows[0]:
        known = [row for row in rows if row[COUNTS[0]] is not None]
        counts = [metrics.MaskCounts(*(row[name] for name in COUNTS)) for row in known]
        summary["mask"] = {k: _rounded(v) for k, v in metrics.mask_scores(counts).items()}
    return summary


def by_photo(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Each photo's number of samples and mean PSNR for every picture name."""
    photos = dict.fromkeys(sorted(f"{row['source']}/{row['photo']}" for row in rows))
    means = {}
    for photo in photos:
        own = [row for row in rows if f"{row['source']}/{row['photo']}" == photo]
        summary = summarize(own)
        values = {name: {"psnr": summary[name]["psnr"]} for name in picture_names(own)}
        means[photo] = {"num_samples": len(own), **values}
    return means


def picture_names(rows: Sequence[Row]) -> list[str]:
    """The pictures that rows measure: the system's own first, then baselines in their order."""
    found = dict.fromkeys(
        key.split(".")[0] for row in rows[:1] for key in row if key.endswith(".psnr")
    )
    return [*(name for name in OWN if name in found), *(name for name in found if name not in OWN)]


def _means(rows: Sequence[Row], name: str) -> dict[str, float | None]:
    """Over the columns of one picture."""
    prefix = f"{name}."
    columns = [
        {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
        for row in rows
    ]
    return {key: _rounded(value) for key, value in metrics.aggregate(columns).items()}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 5)


def _mean(values: Sequence[float]) -> float:
    return round(math.fsum(values) / max(1, len(values)), 5)
