"""Rows → tables: CSV, and the leaderboard as JSON rows and as Markdown. No times, no host names."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from pipeline.report.numbers import Gain, gain_of, gains_of_all, psnr_of_all
from pipeline.rows import OWN, Row

FIRST = ("key", "photo", "source", "covered", "severity")
WORDS = {"key", "photo", "source", "families", "by", "group", "picture", "metric"}  # no numbers
COUNTED = ("num_samples", "covered", "mask_missing_count")
CONVENTION = (
    "PSNR, SSIM and MSE on 8-bit pictures, nothing cropped; SSIM Gaussian 11×11, σ 1.5; means over "
    "held-out samples, PSNR clipped at 100 dB; values in damage over truly damaged pixels; mask F1 "
    "and IoU micro-averaged over all pixels at the system's threshold; raw: the prediction, not "
    "composed with the input."
)


def to_csv(rows: Sequence[Row], head: Sequence[str] = ()) -> str:
    """Rows as CSV: what a row is, then a column a metric; floats in their shortest spelling.
    `head`: columns that are there even without rows."""
    out = io.StringIO()
    found = dict.fromkeys(name for row in rows for name in row)
    known = [name for name in FIRST if name in found]
    names = list(dict.fromkeys([*head, *known, *found]))
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def from_csv(text: str) -> list[Row]:
    """Rows of `to_csv` again: numbers are float or int, empty cells None."""
    rows = csv.DictReader(io.StringIO(text))
    return [{name: _value(name, cell) for name, cell in row.items()} for row in rows]


def leaderboard(summaries: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of systems and baselines over recipes, best composite PSNR first within a recipe.

    `summaries`: pair name → ``{"system", "recipe", "summary", "tuned"}`` and, where gains have
    intervals, the rows of its ``breakdown``.
    """
    board: dict[tuple[str, str], dict[str, Any]] = {}
    for name, pair in summaries.items():
        summary, recipe = pair["summary"], pair["recipe"]
        gains = gains_of_all(pair.get("breakdown", ()))
        counted = {name: summary[name] for name in COUNTED if name in summary}
        board[recipe, pair["system"]] = {
            "system": pair["system"],
            "recipe": recipe,
            "kind": "system",
            "pair": name,
            **{name: summary[name] for name in OWN},
            "mask": summary.get("mask"),
            **counted,
            **_gain(gains.get("composite") or gain_of(summary.get("gain"))),
        }
        for baseline, strength in pair["tuned"].items():
            own = {
                "system": baseline,
                "recipe": recipe,
                "kind": "baseline",
                "input": summary["input"],
                "prediction": summary[baseline],
                "composite": summary[baseline],
                "mask": None,
                **counted,
                **_gain(gains.get(baseline)),
                "strength": strength,
            }
            board.setdefault((recipe, baseline), own)
    return sorted(board.values(), key=_rank)


def _gain(gain: Gain | None) -> dict[str, Any]:
    return {} if gain is None else {"gain": gain._asdict()}


def _value(name: str, cell: str) -> str | float | None:
    if name in WORDS or not cell:
        return cell or None
    return int(cell) if cell.lstrip("-").isdigit() else float(cell)


def _rank(row: dict[str, Any]) -> tuple[str, float, str]:
    psnr = psnr_of_all(row["composite"])
    return row["recipe"], math.inf if psnr is None else -psnr, row["system"]


def leaderboard_text(board: Sequence[dict[str, Any]]) -> str:
    """The leaderboard as Markdown, one table a recipe."""
    parts = ["# Leaderboard\n", CONVENTION + "\n"]
    for recipe in dict.fromkeys(row["recipe"] for row in board):
        rows = [row for row in board if row["recipe"] == recipe]
        covered = f", {rows[0]['covered']:.1%} covered by damage" if rows[0]["covered"] else ""
        missing = rows[0].get("mask_missing_count", 0)
        covered += f", {missing} without a mask" if missing else ""
        parts.append(f"## Recipe `{recipe}` ({rows[0]['num_samples']} held-out samples{covered})\n")
        parts.append(
            "| | PSNR (dB) | gain | SSIM | MSE | PSNR in damage | raw PSNR | mask F1 | IoU |\n"
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
        )
        before = rows[0]["input"]
        parts += [_board_line(row, before) for row in rows]
        parts.append(_line("the input, untouched", before, before, before, None) + "\n")
    return "\n".join(parts)


def _board_line(row: dict[str, Any], before: dict[str, Any]) -> str:
    name = f"**{row['system']}**" if row["kind"] == "system" else row["system"].replace("_", " ")
    if row["kind"] == "baseline":
        strength = ", ".join(f"{k} {v:g}" for k, v in row["strength"].items())
        name += f" ({strength})" if strength else ""
    gain = Gain(**row["gain"]) if "gain" in row else None
    return _line(name, row["composite"], before, row["prediction"], row["mask"], gain)


def _line(
    name: str,
    values: dict[str, Any],
    before: dict[str, Any],
    prediction: dict[str, Any],
    mask: dict[str, Any] | None,
    gain: Gain | None = None,
) -> str:
    psnr, whole = psnr_of_all(values), psnr_of_all(before)
    everywhere = psnr is not None
    ends = "" if gain is None or gain.low is None else f" ({gain.ends})"
    cells = [
        name,
        _cell(psnr, 2),
        "–" if psnr is None or whole is None else f"{psnr - whole:+.2f}{ends}",
        _cell(values["ssim"] if everywhere else None, 4),
        _cell(values["mse"] if everywhere else None, 5),
        _cell(values["psnr_masked"], 2),
        _cell(psnr_of_all(prediction), 2),
        _cell(mask["f1"] if mask else None, 3),
        _cell(mask["iou"] if mask else None, 3),
    ]
    return "| " + " | ".join(cells) + " |"


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
