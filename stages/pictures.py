"""The samples and plots of an evaluation's report: which are shown, and what is seen of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.evaluation import Evaluation
    from pipeline.report.page import Shown
    from pipeline.rows import Row

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
    samples, lines = read_some(job.shards, "test", chosen), []
    for key in chosen:
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
