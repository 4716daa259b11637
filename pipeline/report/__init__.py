"""Rows → tables: CSV, and the leaderboard as JSON rows and as Markdown. No times, no host names."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.report.numbers import (
    UNDAMAGED_PHOTOS,
    Gain,
    cell,
    gain_between,
    gains_of_all,
    spell_count,
    spell_harm,
    spell_strength,
)
from pipeline.rows import OWN, TOLD, Row

COUNTED = ("num_samples", "undamaged_count", "covered", "mask_missing_count")
CONVENTION = (
    "PSNR, SSIM and MSE on 8-bit pictures, nothing cropped; SSIM Gaussian 11×11, σ 1.5; means over "
    "the held-out samples that are damaged (all where none is), PSNR clipped at 100 dB; values in "
    "damage over truly damaged pixels; mask F1 and IoU micro-averaged over all pixels at the "
    "system's threshold; raw: the prediction, not composed with the input; undamaged photos: PSNR "
    "of output against input where nothing is damaged, of luma where a system colors; equal ones "
    "count as 100 dB and carry that mean."
)
Line = dict[str, Any]  # of the leaderboard


def to_csv(rows: Sequence[Row], head: Sequence[str] = ()) -> str:
    """Rows as CSV: what a row is, then a column a metric; floats in their shortest spelling.
    `head`: columns that are there even without rows."""
    out = io.StringIO()
    found = dict.fromkeys(name for row in rows for name in row)
    known = [name for name in TOLD if name in found]
    names = list(dict.fromkeys([*head, *known, *found]))
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def leaderboard(pairs: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    """Lines of systems and baselines over recipes, best composite PSNR first within a recipe.

    `pairs`: name → ``{"system", "recipe", "tuned", "summary"}``, the names of baselines that were
    told where the damage is, ``given_masks``, if any, and, where gains have intervals, the rows of
    its ``breakdown``.
    """
    board: dict[tuple[str, str], Line] = {}
    for name, pair in pairs.items():
        own, *baselines = _lines(name, pair)
        board[own["recipe"], own["system"]] = own
        for line in baselines:
            board.setdefault((line["recipe"], line["system"]), line)
    return sorted(board.values(), key=_rank)


def _lines(name: str, pair: Mapping[str, Any]) -> Iterator[Line]:
    """A pair's system, then its baselines."""
    own = {key: pair["summary"].get(key) for key in ("mask", "harm")}
    head = {"system": pair["system"], "kind": "system", "pair": name, "given_mask": False}
    yield {**head, **_line(pair, OWN), **own}
    for baseline, strength in pair["tuned"].items():
        head = {"system": baseline, "kind": "baseline", "strength": strength}
        given = {"given_mask": baseline in pair.get("given_masks", ())}
        yield {**head, **given, **_line(pair, ("input", baseline, baseline))}


def _line(pair: Mapping[str, Any], pictures: Sequence[str]) -> Line:
    """`pictures`: those that are its input, its prediction and its composite; where
    no mask is found, the composite is the prediction."""
    summary = {"prediction": pair["summary"]["composite"], **pair["summary"]}
    shown = {own: summary[one] for own, one in zip(OWN, pictures, strict=True)}
    known = gains_of_all(pair.get("breakdown", ())).get(pictures[-1])
    gain = gain_between(shown["input"], shown["composite"], known)
    if summary["undamaged_count"] == summary["num_samples"]:
        gain = None
    told = {"recipe": pair["recipe"], **shown, "gain": None if gain is None else gain._asdict()}
    return told | {"mask": None, "harm": None} | {name: summary[name] for name in COUNTED}


def _rank(line: Line) -> tuple[str, float, str]:
    psnr = line["composite"]["psnr"]
    return line["recipe"], math.inf if psnr is None else -psnr, line["system"]


def recipe_told(line: Line) -> str:
    """What a recipe's lines were measured on: ``24 held-out samples, 10.0% covered by damage``."""
    told = [spell_count(line["num_samples"], "held-out sample")]
    whole = line["undamaged_count"]
    if whole:
        told.append("all undamaged" if whole == line["num_samples"] else f"{whole:,} undamaged")
    told += [f"{line['covered']:.1%} covered by damage"] if line["covered"] else []
    missing = line["mask_missing_count"]
    return ", ".join([*told, *([f"{missing:,} without a mask"] if missing else [])])


def line_name(line: Line) -> str:
    """How people call a system or a baseline."""
    name = str(line["system"])
    return name if line["kind"] == "system" else name.replace("_", " ")


def leaderboard_text(board: Sequence[Line]) -> str:
    """The leaderboard as Markdown, one table a recipe."""
    parts = ["# Leaderboard\n", CONVENTION + "\n"]
    head = ["", "PSNR (dB)", "gain", "SSIM", "MSE", "PSNR in damage", "raw PSNR", "mask F1", "IoU",
            UNDAMAGED_PHOTOS]  # fmt: skip
    for recipe in dict.fromkeys(line["recipe"] for line in board):
        lines = [line for line in board if line["recipe"] == recipe]
        parts.append(f"## Recipe `{recipe}` ({recipe_told(lines[0])})\n")
        parts += [_row(head), "|---|" + "---:|" * (len(head) - 1)]
        parts += [_board_row(line) for line in lines]
        before = lines[0]["input"]
        parts.append(_row(["the input, untouched", *_scores(before, "–"), *["–"] * 4]) + "\n")
    return "\n".join(parts)


def _board_row(line: Line) -> str:
    name = line_name(line)
    own = line["kind"] == "system"
    gain = "–" if line["gain"] is None else str(Gain(**line["gain"]))
    mask, harm = line["mask"] or {}, line["harm"] or {}
    more = [
        cell(line["prediction"]["psnr"], "psnr"),
        *(cell(mask.get(score), "f1") for score in ("f1", "iou")),
        spell_harm(harm, line["num_samples"]),
    ]
    name = f"**{name}**" if own else name + spell_strength(line["strength"], line["given_mask"])
    return _row([name, *_scores(line["composite"], gain), *more])


def _scores(values: Mapping[str, Any], gain: str) -> list[str]:
    psnr, *others = (cell(values[name], name) for name in ("psnr", "ssim", "mse", "psnr_masked"))
    return [psnr, gain, *others]


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"
