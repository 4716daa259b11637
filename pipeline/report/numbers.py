"""The figures of reports: intervals, names of metrics, how many digits they are told in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.rows import OWN, Row


class Kind(NamedTuple):
    """How tables call a metric, which way is better, its unit, and digits after the point."""

    name: str
    better: str
    digits: int
    unit: str = ""


KINDS = {
    "psnr": Kind("PSNR", "↑", 2, " (dB)"),
    "ssim": Kind("SSIM", "↑", 4),
    "ms_ssim": Kind("MS-SSIM", "↑", 4),
    "mse": Kind("MSE", "↓", 5),
    "mae": Kind("MAE", "↓", 5),
    "lpips": Kind("LPIPS", "↓", 4),
    "share_good": Kind("share good", "↑", 3),
    "dacon_score": Kind("dacon score", "↑", 4),
    "ciede2000": Kind("CIEDE2000", "↓", 2),
    "histogram_correlation": Kind("histogram correlation", "↑", 4),
    "hue_correlation": Kind("hue correlation", "↑", 4),
}
PLACES = {"": "", "_luma": " of luma", "_masked": " in damage", "_outside": " outside damage",
          "_rim": " on its rim"}  # fmt: skip
OWN_NAMES = {"input": "the input, untouched", "prediction": "raw prediction"}


class Gain(NamedTuple):
    """What is gained in PSNR over the input (dB), the mean of samples; and its 95 % interval, None
    where one photo alone tells nothing of others."""

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """``+7.32 (6.10 to 8.45)``"""
        return f"{self.mean:+.2f}" + ("" if self.low is None else f" ({self.ends})")

    @property
    def ends(self) -> str:
        """``6.10 to 8.45``"""
        return "–" if self.low is None else f"{self.low:.2f} to {self.high:.2f}".replace("-", "−")


def group_rows(breakdown: Iterable[Row], by: str) -> dict[str, dict[tuple[str, str], Row]]:
    """group → (picture, metric) → its row, the groups in their order."""
    groups: dict[str, dict[tuple[str, str], Row]] = {}
    for row in breakdown:
        if row["by"] == by:
            groups.setdefault(str(row["group"]), {})[row["picture"], row["metric"]] = row
    return groups


def gain_of(row: Row | None) -> Gain | None:
    """Of a row of the breakdown; None without a mean."""
    if row is None or row.get("mean") is None:
        return None
    return Gain(row["mean"], row.get("low"), row.get("high"))


def gains_of_all(breakdown: Iterable[Row]) -> dict[str, Gain]:
    """picture → what it gains in PSNR over the input (dB), over the damaged samples."""
    groups = group_rows(breakdown, "all")
    rows = groups.get("damaged") or groups.get("all") or {}
    found = {name: gain_of(row) for (name, metric), row in rows.items() if metric == "gain"}
    return {name: gain for name, gain in found.items() if gain is not None}


def ranked(names: Iterable[str], means: Mapping[str, Any]) -> list[str]:
    """The classical baselines among pictures, the best PSNR first; those that lack a sample come
    last, since their means compare with nothing."""
    rank = {name: psnr_of_all(means[name]) for name in names if name not in OWN}
    return sorted(rank, key=lambda name: (rank[name] is None, -(rank[name] or 0.0), name))


def psnr_of_all(values: Mapping[str, Any]) -> float | None:
    """A picture's mean PSNR in dB; None if a sample lacks it, as where a baseline got no mask: a
    mean over other samples compares with nothing."""
    found: float | None = values["psnr"]
    return None if values.get("psnr_undefined_count") else found


def metric_name(metric: str) -> str:
    """How tables call a metric: ``PSNR in damage ↑ (dB)``."""
    kind, place = _split(metric)
    arrow = f"\u00a0{kind.better}" if kind.better else ""
    return f"{kind.name}{PLACES[place]}{arrow}{kind.unit}"


def metric_order(metric: str) -> tuple[int, int, str]:
    """The best-known first, each in the whole picture first; sorts what this file does not know
    behind."""
    kind, place = _split(metric)
    known = list(KINDS.values())
    first = known.index(kind) if kind in known else len(known)
    return first, list(PLACES).index(place), metric


def cell(value: float | None, metric: str) -> str:
    """A metric's value with its digits, a dash for none."""
    return "–" if value is None else f"{value:.{_split(metric)[0].digits}f}"


def _split(metric: str) -> tuple[Kind, str]:
    """A metric's kind, and the part of the picture that it looks at."""
    for place in [*PLACES][1:]:
        base = metric.removesuffix(place)
        if base != metric and base in KINDS:
            return KINDS[base], place
    return KINDS.get(metric, Kind(metric.replace("_", " "), "", 4)), ""


def picture_name(name: str, system: str) -> str:
    """How people call a picture: the composite is what the system is for."""
    return system if name == "composite" else OWN_NAMES.get(name, name.replace("_", " "))


def mean(values: Sequence[float | None]) -> float | None:
    """Of the values that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
