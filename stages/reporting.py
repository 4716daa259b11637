"""What an evaluation leaves behind: tables, plots, pictures for comparisons, and the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pipeline.evaluation import EvaluateSection, Evaluation, Measured
    from pipeline.report.page import Shown
    from pipeline.rows import Row
    from pipeline.samples import Sample

EACH = 6  # samples shown of the worst, of the best, and of the others
HARMED = 3  # undamaged tiles shown: those that came back worst
FILES = ("rows.csv", "means.csv", "breakdown.csv", "metrics.json")  # worth a link from the page
GRID = 5  # samples in the picture grid, from the worst gain to the best


class Subject(NamedTuple):
    """What is measured: its name, the params that made it (block name → block), its hashes (what →
    sha256), and the file that tells how it learned."""

    pair: str
    block: EvaluateSection
    seed: int
    params: dict[str, Any]
    hashes: dict[str, str]
    history: Path


def write_report(
    subject: Subject, job: Evaluation, measured: Measured, folder: Path
) -> dict[str, Any]:
    """All files of a report; returns what ``metrics.json``, the last of them, holds."""
    from pipeline.breakdown import breakdown, in_words
    from pipeline.files import write_bytes, write_json, write_text
    from pipeline.report.page import SystemReport, build

    rows = measured.rows
    parts = breakdown(rows, subject.seed)
    thresholds, calibration = _tables_of_masks(measured)
    summary = _summary(subject, job, measured, parts)
    _write_tables(folder, measured, parts, thresholds, calibration)
    _write_composites(folder, job, rows)
    history = json.loads(subject.history.read_text()) if subject.history.is_file() else []
    shown = _shown(job, rows, subject.seed)
    for name, data in _plots(subject, job, rows, history).items():
        write_bytes(folder / f"{name}.png", data)
    page = SystemReport(
        pair=subject.pair,
        system=subject.block.system,
        kind=subject.block.kind,
        recipe=subject.block.recipe,
        metrics=summary,
        rows=rows,
        breakdown=parts,
        thresholds=thresholds,
        calibration=calibration,
        history=history,
        params=subject.params,
        fingerprints=subject.hashes,
        samples=shown,
        files=FILES,
        rivals=in_words(rows, subject.seed),
    )
    write_text(folder / "index.html", build(page))
    write_json(folder / "metrics.json", summary)
    return summary


def _summary(
    subject: Subject, job: Evaluation, measured: Measured, parts: list[dict[str, Any]]
) -> dict[str, Any]:
    """``metrics.json``: the few numbers that dvc compares."""
    from pipeline.metrics import masks
    from pipeline.rows import summarize

    summary = summarize(measured.rows)
    gain = next(p for p in parts if (p["by"], p["picture"], p["metric"]) == WHOLE_GAIN)
    summary["gain"] = {name: gain[name] for name in ("mean", "low", "high")}
    if measured.probabilities is not None:
        best = masks.best_threshold(*measured.probabilities)
        error = masks.expected_calibration_error(*measured.probabilities)
        summary["mask"] |= {"best_threshold": best, "calibration_error": _rounded(error)}
    return summary | {
        "system": subject.block.system,
        "recipe": subject.block.recipe,
        "threshold": job.system.threshold,
        "test_sha256": subject.hashes["test split"],
        "tuned": measured.tuned,
    }


WHOLE_GAIN = ("all", "composite", "gain")


def _tables_of_masks(
    measured: Measured,
) -> tuple[list[dict[str, Any]] | None, list[dict[str, Any]] | None]:
    """Scores by threshold, and how far probabilities may be believed."""
    from pipeline.metrics import masks

    if measured.probabilities is None:
        return None, None
    tables = masks.sweep(*measured.probabilities), masks.calibration(*measured.probabilities)
    rounded = [[{k: _rounded(v) for k, v in line.items()} for line in table] for table in tables]
    return rounded[0], rounded[1]


def _rounded(value: float | None) -> float | None:
    return round(value, 5) if isinstance(value, float) else value


def _write_tables(
    folder: Path,
    measured: Measured,
    parts: list[dict[str, Any]],
    thresholds: list[dict[str, Any]] | None,
    calibration: list[dict[str, Any]] | None,
) -> None:
    """CSV files for whoever wants to ask more; those of masks have their head alone where the
    system finds none."""
    from pipeline.files import write_text
    from pipeline.metrics import masks
    from pipeline.report import to_csv
    from pipeline.rows import mean_table

    families = [
        {"family": part["group"], "gain": part["mean"], "num_samples": part["num_samples"]}
        for part in parts
        if part["by"] == "family" and (part["picture"], part["metric"]) == WHOLE_GAIN[1:]
    ]
    tables = {
        "rows": (measured.rows, ()),
        "means": (list(mean_table(measured.rows)), ()),
        "breakdown": (parts, ()),
        "families": (families, ()),
        "thresholds": (thresholds or [], masks.SWEEP),
        "calibration": (calibration or [], masks.CALIBRATION),
    }
    for name, (lines, head) in tables.items():
        write_text(folder / f"{name}.csv", to_csv(lines, head))


def _write_composites(folder: Path, job: Evaluation, rows: list[Row]) -> None:
    """``restored.tar``: what the system made of each sample, for comparisons with other systems and
    revisions without running anything again."""
    from pipeline.files import write_tar

    names = (f"{row['key']}.jpg" for row in rows)
    files = ((name, (job.work / "restored" / name).read_bytes()) for name in names)
    write_tar(folder / "restored.tar", files)


def _shown(job: Evaluation, rows: list[Row], seed: int) -> list[Shown]:
    """The samples on the page: by gain, and the undamaged tiles that suffered most."""
    from pipeline import showcase
    from pipeline.answers import restore_sample, undamaged
    from pipeline.report.page import Shown

    chosen = showcase.choose(rows, seed, EACH)
    suffered = sorted(rows, key=lambda row: (row["harm.psnr"], row["key"]))[:HARMED]
    named = {one.key for one in chosen} | {str(row["key"]) for row in suffered}
    samples = _read(job, named)
    told = {str(row["key"]): row for row in rows}
    shown = []
    for one in chosen:
        sample = samples[one.key]
        answer = restore_sample(job.system, sample, job.device)
        pictures = showcase.pictures_of(sample, answer, job.system.threshold)
        shown.append(Shown(one.key, told[one.key]["photo"], one.why, told[one.key], pictures))
    for row in suffered:
        sample = undamaged(samples[str(row["key"])])
        answer = restore_sample(job.system, sample, job.device)
        pictures = showcase.pictures_of_undamaged(sample, answer, job.system.threshold)
        shown.append(Shown(sample.key, row["photo"], "undamaged", row, pictures))
    return shown


def _read(job: Evaluation, keys: set[str]) -> dict[str, Sample]:
    from pipeline.shards import read_samples

    return {one.key: one for one in read_samples(job.shards, "test") if one.key in keys}


def _plots(
    subject: Subject, job: Evaluation, rows: list[Row], history: list[dict[str, Any]]
) -> dict[str, bytes]:
    """PNG plots by name, for dvc and for whoever wants one alone."""
    from pipeline import plots

    pair = subject.pair
    made = {
        "psnr": plots.plot_psnr(rows, pair),
        "gain": plots.plot_gain(rows, f"{pair}: what is gained over the input"),
        "pictures": _picture_grid(job, rows),
    }
    if history:
        made["curves"] = plots.plot_curves(history, subject.block.system)
    return made


def _picture_grid(job: Evaluation, rows: list[Row]) -> bytes:
    """Samples from the worst gain to the best, with what lies between input and result."""
    import numpy as np

    from pipeline import images, plots
    from pipeline.answers import restore_sample

    gain = {str(row["key"]): row["composite.psnr"] - row["input.psnr"] for row in rows}
    ranked = sorted(gain, key=lambda key: (gain[key], key))
    places = np.linspace(0, len(ranked) - 1, min(GRID, len(ranked)))
    chosen = [ranked[round(place)] for place in places]
    samples, lines = _read(job, set(chosen)), []
    for key in dict.fromkeys(chosen):
        sample = samples[key]
        made = restore_sample(job.system, sample, job.device)
        marked = made.marked(job.system.threshold)
        mask = sample.shown_mask if marked is None else np.uint8(255) * marked
        cells = [sample.corrupted, mask, *made.between.values(), made.composite, sample.clean]
        label = f"{Path(sample.story['photo']['name']).stem[:18]}\n{gain[key]:+.1f} dB"
        lines.append((label, [images.to_rgb(c) if c.ndim == 3 else c for c in cells]))
    unknown = any(sample.mask_missing for sample in samples.values())
    true = "true mask (gray: missing)" if unknown else "damage (true mask)"
    found = true if marked is None else "damage found"
    columns = ("damaged", found, *made.between, "restored", "original")
    return plots.plot_pictures(lines, columns)
