"""A ranking in words and in a table's cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.mining.estimate import Estimate
from pipeline.mining.ranking import Cause, Ranking
from pipeline.mining.suggestion import Suggestion
from pipeline.statistics import FEW

NAMED = 3  # causes that a sentence names, at most
Cells = tuple[list[str], list[list[str]]]
KEY = (
    "share: of all squared error that is left; cost: dB that its presence adds to the error of a "
    "sample; slope: dB for 0.1 of severity; * beyond chance, all rows considered; ° always drawn: "
    "told against its mildest"
)


def family_cells(found: Ranking) -> Cells:
    """Head and rows of the families, by share of the remaining error."""
    head = ["family", "samples", "severity", "share", "95 %", "cost", "95 %", "slope", "95 %"]
    rows = []
    for one in found.causes:
        cells = [one.name + ("°" if one.drawn.always else "")]
        cells += [f"{one.drawn.num_samples:,}", f"{one.drawn.severity:.2f}"]
        cells += _cells(one.share, 100, "{:.1f} %", "{:.1f}", one.clear)
        cells += _cells(one.cost, 1, "{:+.2f}", "{:.2f}", False)
        cells += _cells(one.slope, 1, "{:+.2f}", "{:.2f}", one.steep)
        rows.append(cells)
    return head, rows


def look_cells(found: Ranking) -> Cells:
    """Head and rows of what damage looks like."""
    rows = []
    for one in found.looks:
        cells = _cells(one.slope, 1, "{:+.2f}", "{:.2f}", one.clear)
        rows.append([one.name.replace("_", " "), *cells, one.unit])
    return ["look", "dB", "95 %", "unit"], rows


def sentence(found: Ranking, system: str, recipe: str, split: str) -> str:
    """What was found, plainly."""
    of = f"Of the error that {system} leaves on {recipe} ({split})"
    clear = [one for one in found.causes if one.clear]
    if clear:
        named = ", ".join(_named(one) for one in clear[:NAMED])
        more = f" and {len(clear) - NAMED} more" if len(clear) > NAMED else ""
        return f"{of}, {named}{more} ({found.num_samples} samples of {found.num_photos} photos)"
    reason = "no family stands out beyond chance"
    if not found.trusted:
        reason = f"{found.num_photos} photos tell nothing sure: {FEW} is the least"
    elif not found.causes:
        reason = "no family varies, so that only its looks are ranked"
    return f"{of}: {reason} ({found.num_samples} samples of {found.num_photos} photos)"


def explained(found: Ranking) -> str:
    """How much of the differences between samples the models foretell."""
    r2 = found.r2
    if r2["content"] is None:
        return "One photo: nothing can be told of others"
    told = ", ".join(
        f"{name} {_percent(r2[key])}"
        for key, name in (
            ("content", "the tiles' content alone"),
            ("families", "with families and severities"),
            ("looks", "with what damage looks like"),
            ("all", "with both"),
        )
    )
    own = f"{_percent(found.photo_share)} of what content leaves is the photo's own"
    return f"Foretold of the error (dB) of photos never seen: {told}; {own}"


def _named(one: Cause) -> str:
    value, low, high = (100 * (end or 0.0) for end in one.share[:3])
    against = " (above its mildest)" if one.drawn.always else ""
    share = f"{value:.0f} % (95 % interval {low:.0f}–{high:.0f})"
    return f"{share} goes with {one.name}{against}"


def _percent(value: float | None) -> str:
    """A share foretold; less than nothing is worse than the mean would do."""
    if value is None:
        return "–"
    return f"{100 * value:.0f} %" if value >= 0 else "nothing"


def _cells(
    found: Estimate | None, scale: float, value: str, end: str, clear: bool
) -> Sequence[str]:
    if found is None:
        return ["–", ""]
    told = value.format(found.value * scale) + ("*" if clear else "")
    if found.low is None or found.high is None:
        return [told, "–"]
    return [told, f"{end.format(found.low * scale)} … {end.format(found.high * scale)}"]


def why_nothing(found: Ranking) -> str:
    """Why a ranking changes no recipe."""
    if not found.trusted:
        return f"{found.num_photos} photos are too few to go by, {FEW} is the least"
    if not found.causes:
        return "no family varies"
    return "families cost alike, and none clearly more the worse it is"


def change_cells(found: Suggestion) -> Cells:
    """Head and rows of what a suggested recipe has otherwise."""
    rows = [
        [one.family, one.key, _value(one.before), _value(one.after), one.place]
        for one in found.changes
    ]
    return ["suggested", "key", "now", "then", "place"], rows


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:g}"
