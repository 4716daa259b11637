"""A ranking as plain data, for JSON and CSV files."""

from __future__ import annotations

from typing import Any

from pipeline.mining.estimate import Estimate
from pipeline.mining.ranking import Cause, Ranking


def to_json(found: Ranking) -> dict[str, Any]:
    """All of it as plain data, rounded."""
    return {
        "num_samples": found.num_samples,
        "num_photos": found.num_photos,
        "trusted": found.trusted,
        "families": [_cause_row(one) for one in found.causes],
        "looks": [
            {"name": one.name, "unit": one.unit, "clear": one.clear, "db": _told(one.slope)}
            for one in found.looks
        ],
        "constant": list(found.constant),
        "r2": {name: None if r2 is None else round(r2, 4) for name, r2 in found.r2.items()},
        "photo_share": round(found.photo_share, 4),
    }


def flat_rows(found: Ranking) -> list[dict[str, Any]]:
    """Families, then looks, a row each, for a CSV file."""
    told = to_json(found)
    rows = [{"by": "family", "name": one.pop("family"), **one} for one in told["families"]]
    rows += [{"by": "look", **one} for one in told["looks"]]
    return [
        {
            f"{key}.{end}" if isinstance(value, dict) else key: one
            for key, value in row.items()
            for end, one in (value.items() if isinstance(value, dict) else [("", value)])
        }
        for row in rows
    ]


def _cause_row(one: Cause) -> dict[str, Any]:
    told = {"share": one.share, "each": one.each, "cost_db": one.cost, "slope_db": one.slope}
    return {
        "family": one.name,
        "num_samples": one.drawn.num_samples,
        "severity": round(one.drawn.severity, 4),
        "always": one.drawn.always,
        "clear": one.clear,
        "steep": one.steep,
        **{name: None if value is None else _told(value) for name, value in told.items()},
    }


def _told(found: Estimate) -> dict[str, float | None]:
    return {k: None if v is None else round(v, 5) for k, v in found._asdict().items()}
