"""Where a system gains and where it does not: a plot and a table for each way of grouping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pipeline import pages
from pipeline.pages import Markup
from pipeline.report.numbers import cell, gain_of, group_rows, metric_name, signed
from pipeline.report.plots import Group, plot_gains
from pipeline.report.system import SystemReport
from pipeline.rows import Row

TITLES = {
    "all": "All samples",
    "family": "Damage family",
    "severity": "Severity of the worst step",
    "covered": "Share of the tile covered",
    "source": "Source",
    "size": "Size of the photo",
    "photo": "Photo",
}
BESIDE = ("ssim", "psnr_masked", "lpips")  # of the system, in tables
LONGEST = 24  # lines of a table
UNDAMAGED = ("family", "undamaged")  # the group of samples where nothing is to be gained
Rows = Mapping[tuple[str, str], Row]


def breakdowns(report: SystemReport) -> Iterator[Markup]:
    """What stands in the page's section of breakdowns; nothing without a breakdown."""
    lines = [row for row in report.breakdown if row["metric"] != "gain" or _can_gain(report, row)]
    groups = {by: group_rows(lines, by) for by in TITLES}
    figures = [_figure(report, by, drawn) for by in TITLES if by not in ("all", "photo")
               and len(drawn := _drawn(report, groups[by])) > 1]  # fmt: skip
    if figures:
        yield pages.paragraph(
            "Gains in PSNR over the damaged input, with 95 % intervals over photos, and how many "
            "samples. A sample counts in each family that damaged it."
        )
        yield pages.grid(figures, broad=True)
    single = [f"{TITLES[by].lower()} {next(iter(found))}" for by, found in groups.items()
              if len(found) == 1 and by != "all"]  # fmt: skip
    if single:
        yield pages.paragraph(f"All samples: {'; '.join(single)}.")
    for by, found in groups.items():
        if len(found) > 1 or (found and by == "all"):
            yield _table(report, by, found)


def _can_gain(report: SystemReport, row: Row) -> bool:
    return report.is_damaged and (row["by"], row["group"]) != UNDAMAGED


def _drawn(report: SystemReport, groups: Mapping[str, Rows]) -> list[Group]:
    found = (_group(report, name, rows) for name, rows in groups.items())
    return [group for group in found if group.gains]


def _figure(report: SystemReport, by: str, drawn: Sequence[Group]) -> Markup:
    own = [(group.name, group.gains.get(report.system)) for group in drawn]
    told = ", ".join(f"{name} {signed(gain.mean, 1)}" for name, gain in own if gain)
    plot = pages.themed(lambda theme: plot_gains(drawn, theme))
    return pages.figure(
        plot, f"Gains of {report.system} and the baselines by {TITLES[by].lower()}: {told} dB.",
        pages.strong(TITLES[by]),
    )  # fmt: skip


def _group(report: SystemReport, name: str, rows: Rows) -> Group:
    gains = {}
    for picture in ("composite", *report.baselines):
        gain = gain_of(rows.get((picture, "gain")))
        if gain is not None:
            gains[report.name(picture)] = gain
    return Group(name, _count(rows, "num_samples"), gains)


def _table(report: SystemReport, by: str, groups: Mapping[str, Rows]) -> Markup:
    """A line a group; of very many, those where the system gains least."""
    names = list(groups)
    if len(names) > LONGEST:
        names = sorted(names, key=lambda name: (_gain(groups[name]), name))[:LONGEST]
    known = [one for one in BESIDE if any(("composite", one) in rows for rows in groups.values())]
    psnr = ["input", *report.baselines, "composite"]
    head = [
        "", "samples", "photos", "input", *map(report.name, psnr[1:]),
        "gain (95 % interval)", "median gain", "worst decile", *map(metric_name, known),
    ]  # fmt: skip
    lines = [_line(name, groups[name], psnr, known) for name in names]
    more = (
        f"; the {LONGEST} of {len(groups):,} with the least gain" if len(groups) > LONGEST else ""
    )
    mixed = by == "all" and len(report.measured) < len(report.rows)
    title = "All damaged samples" if mixed else TITLES[by]
    return pages.table(f"{title}: PSNR (dB), and what {report.system} gains{more}", head, lines)


def _line(name: str, rows: Rows, psnr: Sequence[str], known: Sequence[str]) -> list[str]:
    gain_row = rows.get(("composite", "gain"), {})
    gain = gain_of(gain_row)
    spread = (gain_row.get("median"), gain_row.get("worst_decile"))
    return [
        name,
        f"{_count(rows, 'num_samples'):,}",
        f"{_count(rows, 'num_photos'):,}",
        *(cell(_mean(rows, one, "psnr"), "psnr") for one in psnr),
        "–" if gain is None else str(gain),
        *("–" if value is None else signed(value) for value in spread),
        *(cell(_mean(rows, "composite", one), one) for one in known),
    ]


def _mean(rows: Rows, picture: str, metric: str) -> float | None:
    found: float | None = rows.get((picture, metric), {}).get("mean")
    return found


def _gain(rows: Rows) -> float:
    found = _mean(rows, "composite", "gain")
    return float("inf") if found is None else found


def _count(rows: Rows, name: str) -> int:
    return max(int(row[name]) for row in rows.values())
