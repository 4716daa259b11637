"""The samples and plots of an evaluation's report: which are shown, and what is seen of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import ndarray as Array

    from pipeline.evaluation import Evaluation
    from pipeline.report.page import Shown
    from pipeline.rows import Row
    from pipeline.samples import Sample

EACH = 6  # samples shown of the worst, of the best, and of the others
HARMED = 3  # undamaged tiles shown: those that came back worst
GRID = 5  # samples in the picture grid, from the worst gain to the best


def samples_shown(job: Evaluation, rows: list[Row], seed: int) -> list[Shown]:
    """The samples on the page: by gain, and the undamaged tiles that suffered most."""
    from pipeline import showcase
    from pipeline.answers import restore_sample, undamaged
    from pipeline.report.page import Shown
    from pipeline.shards import read_some

    chosen = showcase.choose(rows, seed, EACH)
    suffered = sorted(rows, key=lambda row: (row["harm.psnr"], row["key"]))[:HARMED]
    named = {one.key for one in chosen} | {str(row["key"]) for row in suffered}
    samples = read_some(job.shards, "test", named)
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


def plots_of(
    pair: str, system: str, job: Evaluation, rows: list[Row], history: list[dict[str, Any]]
) -> dict[str, bytes]:
    """PNG plots by name, for dvc and for whoever wants one alone."""
    from pipeline import plots

    made = {
        "psnr": plots.plot_psnr(rows, pair),
        "gain": plots.plot_gain(rows, f"{pair}: what is gained over the input"),
        "pictures": _picture_grid(job, rows),
    }
    if history:
        made["curves"] = plots.plot_curves(history, system)
    return made


def _picture_grid(job: Evaluation, rows: list[Row]) -> bytes:
    """Samples from the worst gain to the best, with what lies between input and result."""
    import numpy as np

    from pipeline import images, plots, showcase
    from pipeline.answers import restore_sample
    from pipeline.shards import read_some

    gain = showcase.gains_of(rows)
    places = np.linspace(0, len(gain) - 1, min(GRID, len(gain)))
    chosen = dict.fromkeys(list(gain)[round(place)] for place in places)
    found = read_some(job.shards, "test", chosen)
    samples = [found[key] for key in chosen]
    true, lines = _true_masks(samples), []
    columns: dict[str, Array] = {}
    for place, sample in enumerate(samples):
        made = restore_sample(job.system, sample, job.device)
        marked = made.marked(job.system.threshold)
        columns = {"damaged": sample.corrupted}
        if marked is not None:
            columns["damage found"] = np.uint8(255) * marked
        elif true is not None:
            columns[true[0]] = true[1][place]
        columns |= {**made.between, "restored": made.composite, "original": sample.clean}
        label = f"{Path(sample.story['photo']['name']).stem[:18]}\n{gain[sample.key]:+.1f} dB"
        cells = [images.to_rgb(c) if c.ndim == 3 else c for c in columns.values()]
        lines.append((label, cells))
    return plots.plot_pictures(lines, tuple(columns))


def _true_masks(samples: Sequence[Sample]) -> tuple[str, list[Array]] | None:
    """What to show of samples in which nobody looked for damage, and what it is called; None: there
    is nothing to see."""
    import numpy as np

    shown = [sample.shown_mask for sample in samples]
    if any(sample.mask_missing for sample in samples):
        return "true mask (gray: missing)", shown
    if any(mask.any() for mask in shown):
        return "damage (true mask)", shown
    if all(sample.keep is None for sample in samples):
        return None
    nothing = np.zeros_like
    return "to be kept", [nothing(s.mask) if s.keep is None else s.keep for s in samples]
