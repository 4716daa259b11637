"""A comparison in words: one sentence, and tables for terminals and pages."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pipeline.comparison import Comparison
from pipeline.statistics import Interval, Paired, base_of

DECIMALS = {"psnr": 2, "ciede2000": 2, "mse": 5}  # 4 for the others
COLUMNS = ("A", "B", "B − A", "95 % interval", "+/−/=", "photos +", "p")
KEY = (
    "+/−/=: samples that got better, got worse, stayed equal; photos +: photos that got better on "
    "average; ↓: less is better; p: of the sign test over photos"
)
Table = tuple[list[str], list[list[str]]]  # head, rows


def sentence(comparison: Comparison) -> str:
    """What came out, e.g. ``B is better by 0.42 dB, 95 % interval 0.31–0.53; worse on folds``. Of
    fewer photos than anything is claimed of, what was found on them."""
    main, verdict = comparison.main, comparison.main.verdict
    if main.improvement is None:
        return f"Nothing to compare: no sample has {comparison.metric}"
    if verdict == "equal":
        return f"No sample differs in {comparison.metric}: A and B are equal"
    amount = abs(main.improvement)
    turned = verdict == "worse" or (verdict == "few" and main.improvement < 0)
    interval = _spell_interval(main, turned, comparison.metric)
    by = f"{_spell(amount, comparison.metric, _scale(main))} {_unit(comparison)}"
    if verdict in ("better", "worse"):
        told = f"B is {verdict} by {by}, {interval}"
    else:
        ahead = f"B is {'ahead' if main.improvement > 0 else 'behind'} by {by}"
        found = f"{ahead} here" if verdict == "few" else f"No difference can be told: {ahead}"
        told = ", ".join(filter(None, [found, interval]))
    if verdict == "few":
        told += f", {_on(main)}: too few to be sure of others"
    return "; ".join([told, *_exceptions(comparison.families, verdict)])


def metric_table(comparison: Comparison) -> Table:
    """A line a metric; those where less is better are marked."""
    rows = [
        [f"{name} ↓" if one.lower_is_better else name, *_cells(one, name)]
        for name, one in (comparison.metrics | comparison.harm).items()
    ]
    return [comparison.picture, *COLUMNS], rows


def family_table(comparison: Comparison) -> Table:
    """A line a damage family, of the metric asked for; its verdict at the end."""
    rows = [
        [f"{_plain(name)} ({one.num_samples})", *_cells(one, comparison.metric), TOLD[one.verdict]]
        for name, one in comparison.families.items()
    ]
    return [f"{comparison.metric} on (samples)", *COLUMNS, "B is"], rows


TOLD = {"better": "better", "worse": "worse", "equal": "equal", "open": "not told apart",
        "few": "too few photos"}  # fmt: skip


def samples_told(comparison: Comparison) -> str:
    """Over what the figures are: ``48 samples of 3 photos; 5 undamaged ones apart``."""
    main, apart = comparison.main, comparison.num_undamaged
    told = f"{main.num_samples} sample{'s' * (main.num_samples != 1)} of {_photos(main)}"
    return f"{told}; {apart} undamaged apart" if apart else told


def spell_change(value: float, metric: str) -> str:
    """``+0.42 dB``, or another metric's difference."""
    unit = " dB" if base_of(metric) == "psnr" else f" {metric}"
    return _signed(value, metric, abs(value)) + unit


def spell_value(value: float, metric: str) -> str:
    """With the metric's decimals."""
    return _spell(value, metric, 0)


def _exceptions(families: Mapping[str, Paired], verdict: str) -> list[str]:
    """Where a part goes another way than the whole."""
    told = []
    for word in ("better", "worse"):
        names = [_plain(name) for name, one in families.items() if one.verdict == word]
        if names and word != verdict:
            told.append(f"{word} on {', '.join(names)}")
    return told


def _cells(one: Paired, metric: str) -> list[str]:
    if one.difference is None:
        return ["–"] * len(COLUMNS)
    scale = _scale(one)
    values = [_spell(value, metric, scale) for value in (one.a or 0.0, one.b or 0.0)]
    interval = "–" if one.interval is None else _range(one.interval, metric, scale)
    counts = f"{one.better}/{one.worse}/{one.equal}"
    change, photos = (
        _signed(one.difference, metric, scale),
        f"{one.better_photos} of {one.num_photos}",
    )
    return [*values, change, interval, counts, photos, f"{one.p:.2g}"]


def _unit(comparison: Comparison) -> str:
    named = comparison.metric if comparison.picture == "composite" else (
        f"{comparison.picture}.{comparison.metric}")  # fmt: skip
    if named == "psnr":
        return "dB"
    return f"dB ({named})" if base_of(comparison.metric) == "psnr" else f"({named})"


def _spell_interval(one: Paired, turned: bool, metric: str) -> str:
    """The interval of how much better B is; `turned`: of how much worse."""
    found = one.improvement_interval
    if found is None:
        return ""
    if turned:
        found = Interval(-found.high, -found.low)
    return f"95 % interval {_range(found, metric, _scale(one))}"


def _range(interval: Interval, metric: str, scale: float) -> str:
    low, high = (_spell(value, metric, scale) for value in interval)
    return f"{low} to {high}" if min(interval) < 0 else f"{low}–{high}"


def _on(one: Paired) -> str:
    """On how many photos B is ahead, or behind, as it is on average."""
    number = one.better_photos if (one.improvement or 0) > 0 else one.worse_photos
    if number == one.num_photos:
        return f"on {'all ' * (number > 1)}{_photos(one)}"
    return f"on {number} of {_photos(one)}"


def _photos(one: Paired) -> str:
    return f"{one.num_photos} photo{'s' * (one.num_photos != 1)}"


def _scale(one: Paired) -> float:
    """The size of what is to be told apart."""
    known: list[float] = [one.difference or 0.0, *(one.interval or ())]
    return max(abs(value) for value in known)


def _signed(value: float, metric: str, scale: float) -> str:
    told = _spell(value, metric, scale)
    return told if told.startswith("−") or not float(told) else f"+{told}"


def _spell(value: float, metric: str, scale: float) -> str:
    """With the metric's decimals, and more where a difference of this scale needs them."""
    decimals = DECIMALS.get(base_of(metric), 4)
    if 0 < scale < 10**-decimals:
        decimals = min(9, 1 - math.floor(math.log10(scale)))
    return f"{value:.{decimals}f}".replace("-", "−")


def _plain(name: str) -> str:
    return name.replace("_", " ")
