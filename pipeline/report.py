"""Rows → tables: CSV, and the leaderboard as JSON rows and as Markdown. No times, no host names."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

from pipeline.rows import OWN, Row

FIRST = ("key", "photo", "source", "covered", "severity")
COUNTED = ("num_samples", "covered", "mask_missing_count")
CONVENTION = (
    "PSNR, SSIM and MSE on 8-bit pictures, nothing cropped; SSIM Gaussian 11×11, σ 1.5; means over "
    "held-out samples, PSNR clipped at 100 dB; values in damage over truly damaged pixels; mask F1 "
    "and IoU micro-averaged over all pixels at the system's threshold; raw: the prediction, not "
    "composed with the input."
)


def to_csv(rows: Sequence[Row]) -> str:
    """Rows as CSV: what a row is, then a column a metric; floats in their shortest spelling."""
    out = io.StringIO()
    found = dict.fromkeys(name for row in rows for name in row)
    names = [*(name for name in FIRST if name in found), *(n for n in found if n not in FIRST)]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def leaderboard(summaries: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of systems and baselines over recipes, best composite PSNR first within a recipe.

    `summaries`: pair name → ``{"system", "recipe", "summary", "tuned"}``.
    """
    board: dict[tuple[str, str], dict[str, Any]] = {}
    for pair in summaries.values():
        summary, recipe = pair["summary"], pair["recipe"]
        own = {name: summary[name] for name in OWN}
        board[recipe, pair["system"]] = {
            "system": pair["system"],
            "recipe": recipe,
            "kind": "system",
            **own,
            "mask": summary.get("mask"),
            **{name: summary[name] for name in COUNTED if name in summary},
        }
        for name, strength in pair["tuned"].items():
            board.setdefault(
                (recipe, name),
                {
                    "system": name,
                    "recipe": recipe,
                    "kind": "baseline",
                    "input": summary["input"],
                    "prediction": summary[name],
                    "composite": summary[name],
                    "mask": None,
                    **{name: summary[name] for name in COUNTED if name in summary},
                    "strength": strength,
                },
            )
    return sorted(board.values(), key=_rank)


def psnr_of_all(values: dict[str, Any]) -> float | None:
    """A picture's mean PSNR in dB; None if a sample lacks it, as where a baseline got no mask: a
    mean over other samples compares with nothing."""
    found: float | None = values["psnr"]
    return None if values.get("psnr_undefined_count") else found


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
    return _line(name, row["composite"], before, row["prediction"], row["mask"])


def _line(
    name: str,
    values: dict[str, Any],
    before: dict[str, Any],
    prediction: dict[str, Any],
    mask: dict[str, Any] | None,
) -> str:
    psnr, whole = psnr_of_all(values), psnr_of_all(before)
    everywhere = psnr is not None
    cells = [
        name,
        _cell(psnr, 2),
        "–" if psnr is None or whole is None else f"{psnr - whole:+.2f}",
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
