"""The figures of reports: intervals, names of metrics, how many digits they are told in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.rows import Row
from pipeline.statistics import has_direction, is_lower_better


class Kind(NamedTuple):
    """How tables call a metric, digits after the point, and its unit."""

    name: str
    digits: int
    unit: str = ""


KINDS = {
    "psnr": Kind("PSNR", 2, " (dB)"),
    "ssim": Kind("SSIM", 4),
    "ms_ssim": Kind("MS-SSIM", 4),
    "mse": Kind("MSE", 5),
    "mae": Kind("MAE", 5),
    "lpips": Kind("LPIPS", 4),
    "share_good": Kind("share good", 3),
    "dacon_score": Kind("dacon score", 4),
    "ciede2000": Kind("CIEDE2000", 2),
    "histogram_correlation": Kind("histogram correlation", 4),
    "hue_correlation": Kind("hue correlation", 4),
    "contrast": Kind("contrast", 3),
    "f1": Kind("F1", 3),
    "iou": Kind("IoU", 3),
}
PLACES = {"": "", "_luma": " of luma", "_masked": " in damage", "_outside": " outside damage",
          "_rim": " on its rim", "_keep": " on what is kept"}  # fmt: skip
UNDAMAGED_PHOTOS = "undamaged photos\u00a0↑ (dB)"  # the column of what is done to them


class Gain(NamedTuple):
    """What is gained in PSNR over the input (dB), the mean of samples; and its 95 % interval, None
    where one photo alone tells nothing of others."""

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """``+7.32 (6.10 to 8.45)``"""
        return signed(self.mean) + ("" if self.low is None else f" ({self.ends})")

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
    """picture → what it gains in PSNR over the input (dB), over the samples that means are over."""
    rows = group_rows(breakdown, "all").get("all", {})
    found = {name: gain_of(row) for (name, metric), row in rows.items() if metric == "gain"}
    return {name: gain for name, gain in found.items() if gain is not None}


def gain_between(
    before: Mapping[str, Any], after: Mapping[str, Any], known: Gain | None
) -> Gain | None:
    """What lies between two pictures' means: the gain that is `known`, or one without an interval.
    None where either lacks a sample."""
    if before["psnr"] is None or after["psnr"] is None:
        return None
    return known or Gain(after["psnr"] - before["psnr"])


def signed(value: float, digits: int = 2) -> str:
    """``+7.32`` or ``−1.69``: a minus as long as the plus, none before zeros."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def metric_name(metric: str) -> str:
    """How tables call a metric: ``PSNR in damage ↑ (dB)``."""
    kind, place = _split(metric)
    arrow = f"\u00a0{'↓' if is_lower_better(metric) else '↑'}" if has_direction(metric) else ""
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
    return "–" if value is None else f"{value:.{_split(metric)[0].digits}f}".replace("-", "−")


def _split(metric: str) -> tuple[Kind, str]:
    """A metric's kind, and the part of the picture that it looks at."""
    for place in [*PLACES][1:]:
        base = metric.removesuffix(place)
        if base != metric and base in KINDS:
            return KINDS[base], place
    return KINDS.get(metric, Kind(metric.replace("_", " "), 4)), ""


def spell_strength(strength: Mapping[str, float], given_mask: bool = False) -> str:
    """`` (radius 5; given the true mask)``: what a baseline was tuned to, and was told, behind its
    name."""
    told = ", ".join(f"{name} {value:g}" for name, value in strength.items())
    known = "; ".join(filter(None, [told, "given the true mask" if given_mask else ""]))
    return f" ({known})" if known else ""


def spell_harm(harm: Mapping[str, Any], num_samples: int) -> str:
    """``88.10, 20 of 24 equal``: PSNR of undamaged tiles that came back, and how many of them are
    the same bytes, which carry that mean."""
    equal = harm.get("identical_count")
    told = f", {equal:,} of {num_samples:,} equal" if equal else ""
    return cell(harm.get("psnr"), "psnr") + told


def spell_count(number: int, noun: str) -> str:
    """``1 sample``, ``2,000 samples``"""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
