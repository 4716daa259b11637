"""The scores of a system beside its input and the baselines: the headlines, then every metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline import pages
from pipeline.metrics.scales import LEAST_SIDE
from pipeline.pages import Markup
from pipeline.report.numbers import cell, metric_name, metric_order, spell_count, spell_strength
from pipeline.report.system import SystemReport
from pipeline.rows import Row, mean_table

HEADLINES = ("psnr", "ssim", "mse", "psnr_masked", "lpips", "share_good")
TOLD_ELSEWHERE = ("harm.", "altered_outside")  # beginnings of columns
ASIDE = {"kl": "KL divergence of its code from the prior (nats)"}  # numbers that systems tell


def scores(report: SystemReport) -> Iterator[Markup]:
    """What stands in the page's section of scores."""
    whole = len(report.rows) - len(report.measured)
    if whole:
        yield pages.paragraph(
            f"Means are over damaged samples: {whole:,} more are undamaged, which would hide the "
            "rest."
        )
    known = [name for name in HEADLINES if name in report.metrics["composite"]]
    head = ["", metric_name("psnr"), "gain (95 % interval)", *map(metric_name, known[1:])]
    rows = [_line(report, picture, known[1:]) for picture in _pictures(report)]
    over = spell_count(len(report.measured), "held-out sample")
    yield pages.table(f"Means over {over}; ↑ more is better, ↓ less", head, rows)
    yield _every_metric(report)
    if "ms_ssim" in _undefined(report):
        yield pages.paragraph(
            f"MS-SSIM is –: it needs a shorter side of {LEAST_SIDE} px or more; no sample has it."
        )
    aside = [str(line["metric"]) for line in mean_table(report.rows) if not line["picture"]]
    told = {name: (ASIDE.get(name, name.replace("_", " ")), "{:.2f}")
            for name in aside if not name.startswith(TOLD_ELSEWHERE)}  # fmt: skip
    lines = list(spread(report.rows, told))
    if lines:
        yield pages.table("What it tells of itself, over all samples", SPREAD, lines)


SPREAD = ("", "median", "mean", "lowest", "highest", "samples")


def spread(rows: Sequence[Row], columns: Mapping[str, tuple[str, str]]) -> Iterator[list[str]]:
    """A line under `SPREAD` for each column that has values. `columns`: name → what it is called,
    and how its values are formatted."""
    for name, (title, form) in columns.items():
        values = np.array([row[name] for row in rows if row.get(name) is not None])
        if len(values):
            found = (np.median(values), values.mean(), values.min(), values.max())
            yield [title, *map(form.format, found), f"{len(values):,}"]


def _pictures(report: SystemReport) -> list[str]:
    """The input, the baselines, what the system does without some part of it, the raw prediction
    where it is another picture, the system."""
    answer = report.metrics["composite"]
    same = report.metrics.get("prediction", answer) == answer
    own = ["composite"] if same else ["prediction", "composite"]
    return ["input", *reversed(report.baselines), *report.ablations, *own]


def _line(report: SystemReport, picture: str, more: Sequence[str]) -> list[str]:
    values, gain = report.metrics[picture], report.gain(picture)
    return [
        report.name(picture)
        + spell_strength(report.tuned.get(picture, {}), picture in report.given_masks),
        cell(values["psnr"], "psnr"),
        "–" if gain is None or picture == "input" else str(gain),
        *(cell(values.get(name), name) for name in more),
    ]


def _every_metric(report: SystemReport) -> Markup:
    """All that was measured, a line a metric; how many samples lack it or were clipped."""
    pictures = _pictures(report)
    lines = {(line["metric"], line["picture"]): line for line in mean_table(report.rows)}
    names = {metric for metric, picture in lines if picture == "composite"}
    rows = []
    for name in sorted(names, key=metric_order):
        own = lines[name, "composite"]
        means = [lines[name, one]["mean"] if (name, one) in lines else None for one in pictures]
        counts = [own["undefined_count"], own["clipped_count"]]
        rows.append([
            metric_name(name), *(cell(value, name) for value in means),
            *("–" if count is None else f"{count:,}" for count in counts),
        ])  # fmt: skip
    counted = (f"{report.system}: samples {what}" for what in ("without", "clipped at 100 dB"))
    head = ["metric", *map(report.name, pictures), *counted]
    caption = f"Every metric; the last two columns count samples of {report.system} alone"
    return pages.table(caption, head, rows)


def _undefined(report: SystemReport) -> set[str]:
    """The metrics that no sample of the system has."""
    return {
        line["metric"]
        for line in mean_table(report.rows)
        if line["picture"] == "composite" and line["mean"] is None
    }
