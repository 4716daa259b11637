"""The first page of reports: every system and baseline, and where to read on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from pipeline import pages
from pipeline.pages import Markup
from pipeline.report import CONVENTION, Line, line_name, recipe_told
from pipeline.report.numbers import (
    UNDAMAGED_PHOTOS,
    Gain,
    cell,
    metric_name,
    signed,
    spell_count,
    spell_harm,
    spell_strength,
)
from pipeline.report.plots import plot_ranking
from pipeline.statistics import FEW

MORE = ("ssim", "mse", "psnr_masked", "lpips", "share_good")
COMPARE = """\
patina compare A B                      # two systems
patina compare HEAD~1 HEAD --pair PAIR  # two git revisions or DVC experiments
"""


def build(board: Sequence[Line], data_reports: Sequence[str] = ()) -> str:
    """The whole page. `board`: lines of `pipeline.report.leaderboard`; `data_reports`: recipes that
    have a page at ``data/<recipe>/index.html``."""
    recipes = list(dict.fromkeys(line["recipe"] for line in board))
    keys = [f"recipe-{quote(recipe, safe='')}" for recipe in recipes]  # ids hold no spaces
    sections = {key: (f"Recipe {recipe}", list(_recipe(board, recipe)))
                for key, recipe in zip(keys, recipes, strict=True)}  # fmt: skip
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
        f"over photos, too narrow where there are fewer than {FEW}.")])  # fmt: skip
    systems = sum(line["kind"] == "system" for line in board)
    return pages.page(
        "Leaderboard",
        *(pages.section(key, title, *parts) for key, (title, parts) in sections.items()),
        lead=f"{spell_count(systems, 'trained system')} beside classical baselines, measured "
        "on photos that none of them has seen.",
        contents=[(key, title) for key, (title, _) in sections.items()],
    )


def _recipe(board: Sequence[Line], recipe: str) -> Iterator[Markup]:
    lines = [line for line in board if line["recipe"] == recipe]
    yield pages.paragraph(f"{recipe_told(lines[0])}.")
    more = [name for name in MORE if any(name in line["composite"] for line in lines)]
    head = ["", metric_name("psnr"), "gain (95 % interval)", *map(metric_name, more),
            *(f"{of} {metric_name(name)}" for of, name in
              (("raw", "psnr"), ("mask", "f1"), ("mask", "iou"))), UNDAMAGED_PHOTOS]  # fmt: skip
    rows = [_row(line, more) for line in lines]
    before = lines[0]["input"]
    untouched = [cell(before.get(name), name) for name in more]
    rows.append(["the input, untouched", cell(before["psnr"], "psnr"), "–", *untouched, *"––––"])
    yield pages.table("Best composite first; names of systems lead to their pages", head, rows)
    ranked = [(line_name(line), line["kind"] == "system", Gain(**line["gain"]))
              for line in lines if line["gain"] is not None]  # fmt: skip
    if ranked:
        plot = pages.themed(lambda theme: plot_ranking(ranked, theme))
        words = ", ".join(f"{name} {signed(gain.mean)}" for name, _, gain in ranked)
        caption = "Gain over the damaged input, with 95 % intervals where they are known; dots: "
        caption += "trained systems, squares: classical baselines."
        told = pages.figure(plot, f"Gains on recipe {recipe}: {words} dB.", caption)
        yield pages.grid([told], broad=True)


def _row(line: Line, more: Sequence[str]) -> list[str]:
    values, mask, harm = line["composite"], line["mask"] or {}, line["harm"] or {}
    name = line_name(line)
    return [
        pages.link(f"systems/{line['pair']}/index.html", name)
        if line["kind"] == "system"
        else name + spell_strength(line["strength"], line["given_mask"]),
        cell(values["psnr"], "psnr"),
        "–" if line["gain"] is None else str(Gain(**line["gain"])),
        *(cell(values.get(name), name) for name in more),
        cell(line["prediction"]["psnr"], "psnr"),
        *(cell(mask.get(name), name) for name in ("f1", "iou")),
        spell_harm(harm, line["num_samples"]),
    ]


def _compare() -> Iterator[Markup]:
    yield pages.paragraph(
        "Two rows of a table differ by chance, too. Sample by sample, with an interval of the "
        "difference and the pictures that changed most:"
    )
    yield pages.listing(COMPARE, "How to compare")
