"""How well a system finds damage: its threshold, and whether its probabilities mean what they
say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeline import pages
from pipeline.pages import Markup
from pipeline.report.plots import SCORES, plot_reliability, plot_thresholds
from pipeline.report.system import SystemReport
from pipeline.rows import Row

CUSTOMARY = (0.05, 0.3)  # thresholds of the literature, shown in the table


def masks(report: SystemReport) -> Iterator[Markup]:
    """What stands in the page's section of masks; nothing where none are found."""
    if not report.finds_masks:
        return
    figures = []
    used = float(report.metrics["threshold"])
    if report.thresholds:
        best = best_row(report.thresholds)
        yield pages.paragraph(*_told(report, used, best))
        figures.append(_sweep(report.thresholds, used, float(best["threshold"])))
    if report.calibration:
        figures.append(_reliability(report, report.calibration))
    yield _table(report, used)
    if figures:
        yield pages.grid(figures, broad=True)


def best_row(thresholds: Sequence[Row]) -> Row:
    """The threshold of the highest F1, the lowest of equals."""
    found: Row = max(thresholds, key=lambda row: (row["f1"] or 0.0, -row["threshold"]))
    return found


def _told(report: SystemReport, used: float, best: Row) -> list[str]:
    score = report.metrics["mask"].get("f1")
    now = "" if score is None else f", where F1 is {score:.3f}"
    threshold = float(best["threshold"])
    there = f"the best on these samples is {threshold:g}, with {best['f1'] or 0:.3f}"
    words = "that is also the best on these samples" if threshold == used else there
    return [f"The threshold is {used:g}{now}; {words}."]


def _sweep(rows: Sequence[Row], used: float, best: float) -> Markup:
    plot = pages.themed(lambda theme: plot_thresholds(rows, used, best, theme))
    told = f"used {used:g}, best F1 at {best:g}"
    return pages.figure(
        plot, f"Precision, recall, F1 and IoU of the mask over its threshold: {told}.",
        pages.strong("Threshold sweep"), f": {told}.",
    )  # fmt: skip


def _reliability(report: SystemReport, rows: Sequence[Row]) -> Markup:
    plot = pages.themed(lambda theme: plot_reliability(rows, theme))
    error = report.metrics["mask"].get("calibration_error")
    told = "on the dashed line a probability means what it says; larger dots are more pixels"
    told += "" if error is None else f"; expected calibration error {error:.4f}"
    return pages.figure(
        plot, "Predicted probability of damage against the share that is truly damaged.",
        pages.strong("Reliability"), f": {told}.",
    )  # fmt: skip


def _table(report: SystemReport, used: float) -> Markup:
    mask = report.metrics["mask"]
    rows = [[f"{used:g} (used)", *(_score(mask.get(name)) for name in SCORES)]]
    swept = report.thresholds or ()
    best = best_row(report.thresholds)["threshold"] if report.thresholds else None
    for row in sorted(swept, key=lambda one: float(one["threshold"])):
        at = row["threshold"]
        if at != used and (CUSTOMARY[0] <= at <= CUSTOMARY[1] or at == best):
            name = f"{at:g} (best F1)" if at == best else f"{at:g}"
            rows.append([name, *(_score(row[score]) for score in SCORES)])
    count = mask.get("empty_count", 0)
    empty = (
        f"; {count:,} samples have no damage, {mask['empty_marked_count']:,} of these are marked"
    )
    head = ["threshold", *SCORES.values()]
    return pages.table(f"Micro-averages over all pixels{empty if count else ''}", head, rows)


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
