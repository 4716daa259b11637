"""The first page of reports: every system and baseline, and where to read on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline import pages
from pipeline.pages import Markup
from pipeline.report import CONVENTION
from pipeline.report.numbers import Gain, cell, metric_name, psnr_of_all
from pipeline.report.plots import plot_ranking

MORE = ("ssim", "mse", "psnr_masked", "lpips", "share_good")
COMPARE = """\
patina compare A B          # two systems
patina compare HEAD~1 HEAD  # two git revisions or DVC experiments
"""
Line = dict[str, Any]  # a row of pipeline.report.leaderboard


def build(board: Sequence[Line], data_reports: Sequence[str] = ()) -> str:
    """The whole page. `board`: rows of `pipeline.report.leaderboard`; `data_reports`: recipes that
    have a page at ``data/<recipe>/index.html``."""
    recipes = list(dict.fromkeys(line["recipe"] for line in board))
    sections = {f"recipe-{recipe}": (f"Recipe {recipe}", list(_recipe(board, recipe)))
                for recipe in recipes}  # fmt: skip
    if not recipes:
        sections["none"] = ("Nothing is measured yet", [pages.paragraph("Run ",
                            pages.code("patina evaluate PAIR"), ".")])  # fmt: skip
    if data_reports:
        links = [pages.link(f"data/{name}/index.html", f"Recipe {name}") for name in data_reports]
        sections["data"] = ("The data", [pages.paragraph("What the shards hold:"),
                            pages.bullets(links)])  # fmt: skip
    sections["compare"] = ("Compare two", list(_compare()))
    sections["method"] = ("How it was measured", [pages.paragraph(CONVENTION), pages.paragraph(
        "Gains are in PSNR over the damaged input; their 95 % intervals are bootstrap intervals "
        "over photos.")])  # fmt: skip
    systems = sum(line["kind"] == "system" for line in board)
    return pages.page(
        "Leaderboard",
        *(pages.section(key, title, *parts) for key, (title, parts) in sections.items()),
        lead=f"{systems:,} trained {'system' if systems == 1 else 'systems'} beside classical "
        "baselines, measured on photos that none of them has seen.",
        contents=[(key, title) for key, (title, _) in sections.items()],
    )


def _recipe(board: Sequence[Line], recipe: str) -> Iterator[Markup]:
    lines = [line for line in board if line["recipe"] == recipe]
    first = lines[0]
    told = f"{first['num_samples']:,} held-out samples"
    told += f", {first['covered']:.1%} covered by damage" if first.get("covered") else ""
    missing = first.get("mask_missing_count", 0)
    told += f", {missing:,} without a mask" if missing else ""
    yield pages.paragraph(f"{told}.")
    more = [name for name in MORE if any(name in line["composite"] for line in lines)]
    head = ["", metric_name("psnr"), "gain (95 % interval)", *map(metric_name, more),
            "raw PSNR\u00a0↑ (dB)", "mask F1\u00a0↑", "mask IoU\u00a0↑"]  # fmt: skip
    rows = [_row(line, more) for line in lines]
    before = first["input"]
    untouched = [cell(before.get(name), name) for name in more]
    rows.append(["the input, untouched", cell(psnr_of_all(before), "psnr"), "–", *untouched,
                 "–", "–", "–"])  # fmt: skip
    yield pages.table("Best composite first; names of systems lead to their pages", head, rows)
    ranked = [(_name(line), line["kind"] == "system", gain) for line in lines
              if (gain := _gain(line)) is not None]  # fmt: skip
    if ranked:
        plot = pages.themed(lambda theme: plot_ranking(ranked, theme))
        words = ", ".join(f"{name} {gain.mean:+.2f}" for name, _, gain in ranked)
        caption = "Gain over the damaged input, with 95 % intervals where they are known; dots: "
        caption += "trained systems, squares: classical baselines."
        told = pages.figure(plot, f"Gains on recipe {recipe}: {words} dB.", caption)
        yield pages.grid([told], broad=True)


def _row(line: Line, more: Sequence[str]) -> list[str]:
    psnr, mask = psnr_of_all(line["composite"]), line["mask"] or {}
    gain = _gain(line)
    return [
        _linked(line),
        cell(psnr, "psnr"),
        "–" if gain is None else str(gain),
        *(cell(None if psnr is None else line["composite"].get(name), name) for name in more),
        cell(psnr_of_all(line["prediction"]), "psnr"),
        *(cell(mask.get(name), "share_good") for name in ("f1", "iou")),
    ]


def _linked(line: Line) -> str:
    if line["kind"] == "system":
        return pages.link(f"systems/{line['pair']}/index.html", line["system"])
    strength = ", ".join(f"{name} {value:g}" for name, value in line["strength"].items())
    return _name(line) + (f" ({strength})" if strength else "")


def _name(line: Line) -> str:
    return (
        str(line["system"]) if line["kind"] == "system" else str(line["system"]).replace("_", " ")
    )


def _gain(line: Line) -> Gain | None:
    if "gain" in line:
        return Gain(**line["gain"])
    after, before = psnr_of_all(line["composite"]), psnr_of_all(line["input"])
    return None if after is None or before is None else Gain(after - before)


def _compare() -> Iterator[Markup]:
    yield pages.paragraph(
        "Two rows of a table differ by chance, too. Sample by sample, with an interval of the "
        "difference and the pictures that changed most:"
    )
    yield pages.listing(COMPARE, "How to compare")
