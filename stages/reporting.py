"""What an evaluation leaves behind: tables, plots, pictures for comparisons, and the page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pipeline.evaluation import EvaluateSection, Evaluation, Measured
    from pipeline.report.page import SystemReport
    from pipeline.rows import Row

FILES = ("rows.csv", "means.csv", "breakdown.csv", "metrics.json")  # worth a link from the page


class Subject(NamedTuple):
    """What is measured: its name, the params that made it (block name → block), its hashes (what →
    sha256), and the file that tells how it learned."""

    pair: str
    block: EvaluateSection
    seed: int
    params: dict[str, Any]
    hashes: dict[str, str]
    history: Path


class Tables(NamedTuple):
    """What is made of the rows: lines of the CSV files of these names. Those of masks are None
    where the system finds none."""

    breakdown: list[dict[str, Any]]
    thresholds: list[dict[str, Any]] | None
    calibration: list[dict[str, Any]] | None


def write_report(
    subject: Subject, job: Evaluation, measured: Measured, folder: Path
) -> dict[str, Any]:
    """All files of a report; returns what ``metrics.json``, the last of them, holds."""
    from pipeline.files import write_bytes, write_json, write_text
    from pipeline.report.page import build
    from stages.pictures import plots_of

    tables = _make_tables(subject, measured)
    summary = _summary(measured, tables)
    told = _about(subject, job, measured)
    _write_tables(folder, measured, tables)
    _write_composites(folder, job, measured.rows)
    history = json.loads(subject.history.read_text()) if subject.history.is_file() else []
    system = subject.block.system
    for name, data in plots_of(subject.pair, system, job, measured.rows, history).items():
        write_bytes(folder / f"{name}.png", data)
    page = _page(subject, job, measured, tables, summary, history)
    write_text(folder / "index.html", build(page))
    write_json(folder / "subject.json", told)
    write_json(folder / "metrics.json", summary)
    return summary


def _page(
    subject: Subject,
    job: Evaluation,
    measured: Measured,
    tables: Tables,
    summary: dict[str, Any],
    history: list[dict[str, Any]],
) -> SystemReport:
    from pipeline.breakdown import in_words
    from pipeline.report.page import SystemReport
    from stages.pictures import samples_shown

    block, rows = subject.block, measured.rows
    return SystemReport(
        pair=subject.pair,
        system=block.system,
        kind=block.kind,
        recipe=block.recipe,
        metrics=summary,
        tuned=measured.tuned,
        threshold=job.system.threshold,
        colors=job.system.target_channels > job.system.channels,
        lpips=block.lpips,
        rows=rows,
        breakdown=tables.breakdown,
        thresholds=tables.thresholds,
        calibration=tables.calibration,
        history=history,
        params=subject.params,
        fingerprints=subject.hashes,
        samples=samples_shown(job, rows, subject.seed),
        files=FILES,
        seed=subject.seed,
        given_masks=given_masks(measured.tuned),
        rivals=in_words(rows, subject.seed, list(measured.tuned)),
    )


def _about(subject: Subject, job: Evaluation, measured: Measured) -> dict[str, Any]:
    """``subject.json``: what was measured, on what. All but numbers that metrics.json compares."""
    block = subject.block
    return {
        "system": block.system,
        "kind": block.kind,
        "recipe": block.recipe,
        "lpips": block.lpips,
        "threshold": job.system.threshold,
        "tuned": measured.tuned,
        "given_masks": given_masks(measured.tuned),
        "weights_sha256": subject.hashes["weights"],
        "shards_sha256": subject.hashes["shards"],
        "test_sha256": subject.hashes["test split"],
    }


def given_masks(names: Iterable[str]) -> list[str]:
    """Of baselines, those that were told where the damage is."""
    from pipeline.systems.baselines import BASELINES

    return [name for name in names if BASELINES[name].needs_mask]


def _summary(measured: Measured, tables: Tables) -> dict[str, Any]:
    """``metrics.json``: the few numbers that dvc compares."""
    from pipeline.metrics import masks
    from pipeline.rows import summarize

    summary = summarize(measured.rows)
    gain = _gains(tables.breakdown, "all")[0]
    summary["gain"] = {name: gain[name] for name in ("mean", "low", "high")}
    if measured.probabilities is not None:
        best = masks.best_threshold(*measured.probabilities)
        error = masks.expected_calibration_error(*measured.probabilities)
        summary["mask"] |= {"best_threshold": best, "calibration_error": _rounded(error)}
    return summary


def _gains(parts: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """The lines that tell what the composite gains."""
    wanted = {"by": by, "picture": "composite", "metric": "gain"}
    return [part for part in parts if wanted.items() <= part.items()]


def _make_tables(subject: Subject, measured: Measured) -> Tables:
    from pipeline.breakdown import breakdown
    from pipeline.metrics import masks

    parts = breakdown(measured.rows, subject.seed)
    if measured.probabilities is None:
        return Tables(parts, None, None)
    made = masks.sweep(*measured.probabilities), masks.calibration(*measured.probabilities)
    rounded = [[{k: _rounded(v) for k, v in line.items()} for line in table] for table in made]
    return Tables(parts, *rounded)


def _rounded(value: float | None) -> float | None:
    return round(value, 5) if isinstance(value, float) else value


def _write_tables(folder: Path, measured: Measured, tables: Tables) -> None:
    """CSV files for whoever wants to ask more; those of masks have their head alone where the
    system finds none."""
    from pipeline.files import write_text
    from pipeline.metrics import masks
    from pipeline.report import to_csv
    from pipeline.rows import mean_table

    families = [
        {"family": part["group"], "gain": part["mean"], "num_samples": part["num_samples"]}
        for part in _gains(tables.breakdown, "family")
        if part["group"] != "undamaged"
    ]
    files = {
        "rows": (measured.rows, ()),
        "means": (list(mean_table(measured.rows)), ()),
        "breakdown": (tables.breakdown, ()),
        "families": (families, ("family", "gain", "num_samples")),
        "thresholds": (tables.thresholds or [], masks.SWEEP),
        "calibration": (tables.calibration or [], masks.CALIBRATION),
    }
    for name, (lines, head) in files.items():
        write_text(folder / f"{name}.csv", to_csv(lines, head))


def _write_composites(folder: Path, job: Evaluation, rows: list[Row]) -> None:
    """``restored.tar``: what the system made of each sample, for comparisons with other systems and
    revisions without running anything again."""
    from pipeline.files import write_tar

    names = (f"{row['key']}.jpg" for row in rows)
    files = ((name, (job.work / "restored" / name).read_bytes()) for name in names)
    write_tar(folder / "restored.tar", files)
