"""The results as Markdown: several narrow tables, and the commands that make them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.report.numbers import cell, signed, spell_count
from pipeline.results import RIVAL, Told
from pipeline.statistics import FEW

NEAR = -1.0  # dB: in damage a system is to come this near to the baseline that knows the mask
INTRO = f"""\
Measured on the test split alone, on photos that no training saw. Means are over the damaged
samples, PSNR in dB, clipped at 100; in brackets the 95 % interval, by drawing the photos again
2,000 times, all tiles of one together; with fewer than {FEW} photos it is too narrow, and
nothing is claimed. A dash: not measured, or not to be measured."""
TOGETHER = (" → ", " : ", " to ", "≥ ", "≤ ")
VERDICTS = {"better": "wins", "worse": "loses", "open": "open", "few": "too few photos",
            "equal": "equal"}  # fmt: skip


def to_markdown(results: Told, missing: Sequence[str] = ()) -> str:
    """The whole text. `missing`: pairs of params that have no report."""
    parts = ["# Results\n", INTRO + "\n", *_gains(results["pairs"]), *_in_damage(results["pairs"])]
    parts += [*_duels(results), *_aims(results["aims"]), *_costs(results["pairs"])]
    if missing:
        told = ", ".join(f"`{name}`" for name in missing)
        parts.append(f"Without a report, and so left out: {told}.\n")
    return "\n".join(parts)


def _gains(pairs: Sequence[Told]) -> Iterator[str]:
    yield "## Against the damaged input\n"
    yield from _table(
        ["pair", "photos, samples", "PSNR", "gain", "SSIM"],
        [
            [
                f"`{one['pair']}`",
                f"{one['num_photos']:,}, {one['num_counted']:,}",
                f"{_value(one['psnr_in'], 2)} → {_value(one['psnr'], 2)}",
                _spell(one["gain"], 2, sign=True),
                f"{_value(one['ssim_in'], 3)} → {_value(one['ssim'], 3)}",
            ]
            for one in pairs
        ],
    )


def _in_damage(pairs: Sequence[Told]) -> Iterator[str]:
    shown = [one for one in pairs if one["in_damage_difference"] or one["mask_f1"]]
    if not shown:
        return
    yield "## In the damage\n"
    yield (
        f"PSNR of the damaged pixels alone, beside {RIVAL.title()}'s inpainting, which is told the "
        f"true mask; a system comes near where it is at most {-NEAR:g} dB below.\n"
    )
    head = ["pair", "PSNR in damage", RIVAL.title(), "difference", "near", "mask F1"]
    yield from _table(head, [_damage_row(one) for one in shown])


def _damage_row(one: Told) -> list[str]:
    gap = one["in_damage_difference"]
    return [
        f"`{one['pair']}`",
        _value(one["in_damage"], 2),
        _value(one["in_damage_rival"], 2),
        _spell(gap, 2, sign=True),
        "–" if gap is None else _yes(gap[0] >= NEAR, _agree(gap, NEAR)),
        _spell(one["mask_f1"], 3),
    ]


def _duels(results: Told) -> Iterator[str]:
    if not results["duels"] and not results["unmatched"]:
        return
    yield "## `restorer` against each of the others\n"
    yield (
        "On the same samples, which were paired: it wins or loses where the interval leaves out 0, "
        "else it is open. Budget: CPU minutes of the two trainings.\n"
    )
    head = ["recipe", "systems", "PSNR", "difference", "in damage", "budget", ""]
    if results["duels"]:
        yield from _table(head, [_duel_row(one) for one in results["duels"]], num_words=2)
    for reason in results["unmatched"]:
        yield f"Not compared: {reason}.\n"


def _duel_row(one: Told) -> list[str]:
    budgets = [_minutes(one[name]) for name in ("training", "training_rival")]
    return [
        one["recipe"],
        f"`{one['challenger']}` : `{one['rival']}`",
        f"{cell(one['psnr'], 'psnr')} : {cell(one['psnr_rival'], 'psnr')}",
        _spell(one["difference"], 2, sign=True),
        _spell(one["in_damage_difference"], 2, sign=True),
        " : ".join(budgets),
        VERDICTS[one["verdict"]],
    ]


def _aims(aims: Sequence[Told]) -> Iterator[str]:
    if aims:
        yield "## The figures named for each system\n"
        yield "“Not surely”: the interval holds values on the other side of the aim.\n"
    for kind in dict.fromkeys(one["kind"] for one in aims):
        yield f"### {kind}\n"
        own = [one for one in aims if one["kind"] == kind]
        head = ["pair", "figure", "aim", "measured", "beside", "reached"]
        yield from _table(head, [_aim_row(one) for one in own], num_words=2)


def _aim_row(one: Told) -> list[str]:
    digits = one["digits"]
    beside = [f"{name} {_number(value, digits)}" for name, value in one["beside"].items()]
    return [
        f"`{one['pair']}`",
        one["name"],
        _bounds(one),
        _spell(one["figure"], digits),
        ", ".join(beside),
        "" if one["reached"] is None else _yes(one["reached"], one["sure"]),
    ]


def _bounds(one: Told) -> str:
    low, high = one["least"], one["most"]
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    found = f"≥ {low:g}" if low is not None else "" if high is None else f"≤ {high:g}"
    return found.replace("-", "−")


def _costs(pairs: Sequence[Told]) -> Iterator[str]:
    """A line a system, however many recipes it was measured on."""
    systems = {one["system"]: one for one in reversed(pairs)}
    yield "## What it cost\n"
    yield (
        "Processor time is that of the whole command and its loaders, from start to end: reading, "
        "drawing damage, validation and repeated work after a stop included.\n"
    )
    head = ["system", "kind", "parameters", "steps", "CPU minutes", "minutes"]
    yield from _table(head, [_cost_row(systems[name]) for name in sorted(systems)], num_words=2)
    machines = dict.fromkeys(_machine(one["training"]) for one in pairs if one["training"])
    for machine in machines:
        yield f"Trained on {machine}.\n"
    yield "```sh"
    for name in sorted(systems):
        own = [f"patina evaluate {one['pair']}" for one in pairs if one["system"] == name]
        yield " && ".join([f"patina train {name}", *own])
    yield "```\n"


def _cost_row(one: Told) -> list[str]:
    counts = (one["num_parameters"], one["num_steps"])
    return [
        f"`{one['system']}`",
        one["kind"],
        *("–" if count is None else f"{count:,}" for count in counts),
        _minutes(one["training"]),
        _minutes(one["training"], "wall_seconds"),
    ]


def _machine(cost: Mapping[str, Any]) -> str:
    told = f"{cost['processor']}, {spell_count(cost['threads'], 'thread')}"
    return told + (f", {cost['accelerator']}" if cost.get("accelerator") else "")


def _minutes(cost: Mapping[str, Any] | None, of: str = "cpu_seconds") -> str:
    if cost is None:
        return "–"
    others = cost.get("processes", 1) - 1  # which nobody counted
    return f"{cost[of] / 60:.1f}" + (f" in the first of {others + 1} processes" if others else "")


def _yes(reached: bool, sure: bool | None) -> str:
    return ("yes" if reached else "no") + ("" if sure in (True, None) else ", not surely")


def _agree(figure: Sequence[float | None], least: float) -> bool | None:
    value, low, high = figure
    if value is None or low is None or high is None:
        return None
    return (low >= least) == (high >= least)


def _value(figure: Sequence[float | None] | None, digits: int) -> str:
    return "–" if figure is None else _number(figure[0], digits)


def _spell(figure: Sequence[float | None] | None, digits: int, sign: bool = False) -> str:
    """``+7.32 (6.10 to 8.45)``"""
    value, low, high = figure or (None, None, None)
    if value is None:
        return "–"
    told = signed(value, digits) if sign else _number(value, digits)
    ends = (
        ""
        if low is None or low == high
        else f" ({_number(low, digits)} to {_number(high, digits)})"
    )
    return told + ends


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], num_words: int = 1) -> Iterator[str]:
    """The first columns hold words and begin at the left, the others numbers."""
    yield _row(head)
    yield "|---" * num_words + "|---:" * (len(head) - num_words) + "|"
    yield from (_row([*row[:num_words], *map(_firm, row[num_words:])]) for row in rows)
    yield ""


def _firm(numbers: str) -> str:
    """What belongs together stays on one line."""
    for words in TOGETHER:
        numbers = numbers.replace(words, words.replace(" ", "\u00a0"))
    return numbers


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"
