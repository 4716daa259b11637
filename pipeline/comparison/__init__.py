"""Two systems, or one at two revisions, on the same test samples: what changed, and how sure that
is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import statistics
from pipeline.breakdown import counted_places, families
from pipeline.comparison.sides import Side, check_same
from pipeline.complaints import did_you_mean
from pipeline.errors import ParamsError
from pipeline.rows import Row, counted, photo_of, picture_names
from pipeline.statistics import Bootstrap, Paired

HEAD = ("key", "photo", "source", "families", "severity", "covered")
DIGITS = 5


@dataclass(frozen=True)
class Comparison:
    """B against A: a `Paired` for every metric of `picture` over the samples that are counted (see
    `pipeline.rows`), one of `metric` for every damage family, and in `harm` those of what both
    sides did to the same tiles undamaged, known of the composite alone."""

    a: Side
    b: Side
    picture: str
    metric: str
    metrics: dict[str, Paired]
    families: dict[str, Paired]
    harm: dict[str, Paired]
    num_undamaged: int  # left out of `metrics`

    @property
    def main(self) -> Paired:
        """That of the metric asked for."""
        return self.metrics[self.metric]


def compare(a: Side, b: Side, picture: str, metric: str, seed: int) -> Comparison:
    """Compare two sides. Raises ParamsError where they were not measured on the same samples, or
    lack the picture or the metric."""
    check_same(a, b)
    metrics = _shared_metrics(a, b, picture, metric)
    first, second = _paired_rows(a, b)
    everyone, damaged = list(range(len(first))), counted_places(first)
    photos = [photo_of(row) for row in first]
    bootstrap = Bootstrap(photos, seed)

    def pair(places: Sequence[int], column: str) -> Paired:
        before, after = ([rows[place].get(column) for place in places] for rows in (first, second))
        own = [photos[place] for place in places]
        return statistics.paired(bootstrap, own, before, after, statistics.is_lower_better(column))

    return Comparison(
        a=a,
        b=b,
        picture=picture,
        metric=metric,
        metrics={name: pair(damaged, f"{picture}.{name}") for name in metrics},
        families={one.name: pair(one.places, f"{picture}.{metric}") for one in families(first)},
        harm={
            name: pair(everyone, name)
            for name in first[0]
            if picture == "composite" and _is_harm(name, second[0])
        },
        num_undamaged=len(first) - len(damaged),
    )


def differences(comparison: Comparison) -> list[Row]:
    """A row a sample, by key: what it is, then ``a.<metric>``, ``b.<metric>`` and
    ``difference.<metric>`` (B − A) of the picture compared."""
    rows = []
    for before, after in zip(*_paired_rows(comparison.a, comparison.b), strict=True):
        row: Row = {name: before.get(name) for name in HEAD}
        for name in comparison.metrics:
            a, b = (one.get(f"{comparison.picture}.{name}") for one in (before, after))
            change = None if a is None or b is None else round(b - a, 6)
            row |= {f"a.{name}": a, f"b.{name}": b, f"difference.{name}": change}
        rows.append(row)
    return rows


def most_changed(comparison: Comparison, count: int) -> tuple[list[Row], list[Row]]:
    """Of the `differences` of counted samples, the `count` that improved most, and that got worse
    most."""
    name = f"difference.{comparison.metric}"
    sign = -1 if comparison.main.lower_is_better else 1
    keys = {str(row["key"]) for row in counted(comparison.a.rows)}
    rows = [row for row in differences(comparison) if str(row["key"]) in keys]
    known = [row for row in rows if row[name] is not None]
    ranked = sorted(known, key=lambda row: (-sign * row[name], str(row["key"])))
    better = [row for row in ranked if sign * row[name] > 0]
    worse = [row for row in reversed(ranked) if sign * row[name] < 0]
    return better[:count], worse[:count]


def report(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON."""
    main = comparison.main
    return {
        **{name: _told_side(getattr(comparison, name)) for name in ("a", "b")},
        "picture": comparison.picture,
        "metric": comparison.metric,
        "verdict": main.verdict,
        "num_samples": main.num_samples,
        "num_photos": main.num_photos,
        "undamaged_count": comparison.num_undamaged,
        "recipe": comparison.a.subject["recipe"],
        "test_sha256": comparison.a.subject["test_sha256"],
        **{
            part: {name: _told(one) for name, one in getattr(comparison, part).items()}
            for part in ("metrics", "families", "harm")
        },
    }


def _told_side(side: Side) -> dict[str, Any]:
    return {"label": side.label, "pair": side.pair, "revision": side.revision,
            "system": side.subject.get("system")}  # fmt: skip


def _told(one: Paired) -> dict[str, Any]:
    low, high = one.interval or (None, None)
    values = {"a": one.a, "b": one.b, "difference": one.difference, "low": low, "high": high}
    rounded = {k: None if v is None else round(v, DIGITS) for k, v in values.items()}
    counts = {name: getattr(one, name) for name in ("num_samples", "num_photos", "better", "worse",
              "equal", "better_photos", "worse_photos", "lower_is_better", "verdict")}  # fmt: skip
    return {**rounded, **counts, "p": float(f"{one.p:.4g}")}


def _paired_rows(a: Side, b: Side) -> tuple[list[Row], list[Row]]:
    first, second = (sorted(side.rows, key=lambda row: str(row["key"])) for side in (a, b))
    return first, second


def _is_harm(name: str, other: Row) -> bool:
    return name.startswith("harm.") and name in other


def _shared_metrics(a: Side, b: Side, picture: str, metric: str) -> list[str]:
    """The metrics that both sides have of the picture, and of which more or less is better: the one
    asked for, then as A has them. LPIPS of other weights is another metric."""
    shown = [name for name in picture_names(a.rows) if name in picture_names(b.rows)]
    if picture not in shown:
        hint = f"use one of {', '.join(shown)}{did_you_mean(picture, shown)}"
        raise ParamsError(f"picture {picture!r}", "is not in both evaluations", hint)
    prefix = f"{picture}."
    names = [key.removeprefix(prefix) for key in a.rows[0] if key.startswith(prefix)]
    shared = [one for one in names if prefix + one in b.rows[0] and statistics.has_direction(one)]
    weights = [side.subject.get("lpips") for side in (a, b)]
    if weights[0] != weights[1]:
        shared = [one for one in shared if one != "lpips"]
    if metric not in shared:
        hint = f"use one of {', '.join(shared)}{did_you_mean(metric, shared)}"
        raise ParamsError(f"metric {metric!r}", "is not in both evaluations", hint)
    return [metric, *(name for name in shared if name != metric)]
