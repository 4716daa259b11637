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
    best = best_row(report)
    if report.thresholds:
        yield pages.paragraph(_told(report, best))
        figures.append(_sweep(report.thresholds, report.threshold, best))
    if report.calibration:
        figures.append(_reliability(report, report.calibration))
    yield _table(report, best)
    if figures:
        yield pages.grid(figures, broad=True)


def best_row(report: SystemReport) -> Row | None:
    """The row of the threshold with the highest F1; None where no pixel is damaged, so that none
    is better than another."""
    best = report.metrics["mask"].get("best_threshold")
    rows = [row for row in report.thresholds or () if row["threshold"] == best]
    return rows[0] if rows else None


def _told(report: SystemReport, best: Row | None) -> str:
    score = report.metrics["mask"].get("f1")
    now = "" if score is None else f", where F1 is {score:.3f}"
    if best is None:
        there = "no pixel of these samples is damaged, so that none is the best"
    elif best["threshold"] == report.threshold:
        there = "that is also the best on these samples"
    else:
        there = f"the best on these samples is {best['threshold']:g}, with {_score(best['f1'])}"
    return f"The threshold is {report.threshold:g}{now}; {there}."


def _sweep(rows: Sequence[Row], used: float, row: Row | None) -> Markup:
    best = None if row is None else float(row["threshold"])
    plot = pages.themed(lambda theme: plot_thresholds(rows, used, best, theme))
    told = f"used {used:g}" + ("" if best is None else f", best F1 at {best:g}")
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


def _table(report: SystemReport, best: Row | None) -> Markup:
    mask, used = report.metrics["mask"], report.threshold
    rows = [[f"{used:g} (used)", *(_score(mask.get(name)) for name in SCORES)]]
    for row in sorted(report.thresholds or (), key=lambda one: float(one["threshold"])):
        at = row["threshold"]
        if at != used and (CUSTOMARY[0] <= at <= CUSTOMARY[1] or row is best):
            name = f"{at:g} (best F1)" if row is best else f"{at:g}"
            rows.append([name, *(_score(row[score]) for score in SCORES)])
    count = mask.get("empty_count", 0)
    empty = (
        f"; {count:,} samples have no damage, {mask['empty_marked_count']:,} of these are marked"
    )
    head = ["threshold", *SCORES.values()]
    return pages.table(f"Micro-averages over all pixels{empty if count else ''}", head, rows)


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
