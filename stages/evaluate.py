"""`patina evaluate PAIR`: measure a system, its input and the classical baselines on held-out
shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import command, make_app, progress, project_root, read_params, say
from stages.devices import check_channels, choose_device

if TYPE_CHECKING:
    from pipeline.evaluation import EvaluateSection, Evaluation, Pictures, Row

SHOWN = 5  # samples in the picture grid, from the worst gain to the best
SEEN = 16  # samples that tell whether a recipe's pictures are gray


@command
def evaluate(
    pair: Annotated[
        str, typer.Argument(help="A pair under `evaluate` in params.yaml, or its system.")
    ],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="Write every sample's pictures into this folder instead.")
    ] = None,
) -> None:
    """Measure a trained system on the test split; writes rows, means, plots and a picture grid."""
    from pipeline.config import section
    from pipeline.evaluation import EvaluateSection

    root = project_root()
    params = read_params(root)
    pair = find_pair(params, pair)
    block = section(params, f"evaluate.{pair}", EvaluateSection)
    name, job = _load(root, pair, block, device)
    if pictures is not None:
        _write_pictures(job, pictures)
        return
    folder = out or root / "reports/systems" / pair
    summary = _measure(root, pair, block, name, job, folder)
    shown = summary.get("damaged", summary)  # 100 dB of those that are whole would hide the rest
    before, after = shown["input"]["psnr"], shown["composite"]["psnr"]
    score, missing = summary.get("mask", {}).get("f1"), summary.get("mask_missing_count")
    found = "" if score is None else f", mask F1 {score:.3f}"
    found += f"; {missing} of {summary['num_samples']} samples have no mask" if missing else ""
    whole = summary.get("undamaged_count")
    found += f"; {whole} of {summary['num_samples']} samples are undamaged" if whole else ""
    say(f"{pair}: {before:.2f} dB before, {after:.2f} dB after{found} ({folder}/metrics.json)")


def _weights(root: Path, block: EvaluateSection) -> Path:
    return root / "models" / block.system / "best.safetensors"


def _load(root: Path, pair: str, block: EvaluateSection, device: str) -> tuple[str, Evaluation]:
    """The system's name as its weights tell it, and what is to be measured of it."""
    import torch

    from pipeline.checkpoint import load_system
    from pipeline.evaluation import Evaluation
    from pipeline.shards import read_samples

    shards = root / "data/shards" / block.recipe
    name, system = load_system(_weights(root, block))
    target = torch.device(choose_device(device))
    seen = islice(read_samples(shards, "test"), SEEN)
    found = {(sample.corrupted.shape[2], sample.clean.shape[2]) for sample in seen}
    check_channels(system, f"evaluate.{pair}", block.recipe, found)
    return name, Evaluation(system.to(target), shards, block.baselines, root, target)


def _measure(
    root: Path, pair: str, block: EvaluateSection, name: str, job: Evaluation, folder: Path
) -> dict[str, Any]:
    """Measure every test sample, leave the report in `folder`, and return the means."""
    from pipeline.files import sha256_file
    from pipeline.rows import summarize
    from stages.workspace import finish, workspace

    code = ["stages/evaluate.py", f"pipeline/systems/{name}.py"]
    data = [sha256_file(_weights(root, block)), sha256_file(job.shards / "manifest.json")]
    with workspace(root, f"evaluate-{pair}", code, [block.model_dump(), *data], [folder]) as work:
        job.work = work
        with progress(f"evaluate {pair}") as show:
            measured = job.run(show)
        summary = summarize(measured["rows"])
        report = work / "report"
        _draw(job, measured["rows"], report, pair)
        _draw_curves(root / "reports/training" / block.system, report)
        told = {"system": block.system, "recipe": block.recipe, "threshold": job.system.threshold}
        _write_rows(measured, {**summary, **told}, report)
        finish(root, work, {"report": (folder, "metrics.json")})
    return summary


def _write_rows(measured: dict[str, Any], told: dict[str, Any], folder: Path) -> None:
    """``rows.csv`` and ``metrics.json``."""
    from pipeline.files import write_json, write_text
    from pipeline.report import to_csv
    from pipeline.rows import by_photo

    rows = measured["rows"]
    write_text(folder / "rows.csv", to_csv(rows))
    write_json(
        folder / "metrics.json", {**told, "photos": by_photo(rows), "tuned": measured["tuned"]}
    )


def find_pair(params: dict[str, Any], name: str) -> str:
    """The pair of this name, or the only pair of the system of this name."""
    from pipeline.complaints import did_you_mean
    from pipeline.config import read_names
    from pipeline.errors import ParamsError

    pairs = read_names(params, "evaluate")
    if name in pairs:
        return name
    blocks = {pair: block for pair, block in pairs.items() if isinstance(block, dict)}
    of_system = [pair for pair, block in blocks.items() if block.get("system") == name]
    if len(of_system) == 1:
        return of_system[0]
    raise ParamsError(
        f"evaluate {name!r}",
        "is no pair of params.yaml",
        f"use one of {', '.join(of_system or pairs)}{did_you_mean(name, list(pairs))}",
    )


def _draw(job: Evaluation, rows: Sequence[Row], folder: Path, pair: str) -> None:
    """PSNR before and after, the gain against the damage, and samples to look at."""
    import numpy as np

    from pipeline import images, plots
    from pipeline.evaluation import restore_sample
    from pipeline.files import write_bytes
    from pipeline.shards import read_samples

    write_bytes(folder / "psnr.png", plots.plot_psnr(rows, pair))
    write_bytes(
        folder / "gain.png", plots.plot_gain(rows, f"{pair}: what is gained over the input")
    )
    gain = {str(row["key"]): row["composite.psnr"] - row["input.psnr"] for row in rows}
    ranked = sorted(gain, key=lambda key: (gain[key], key))
    chosen = [
        ranked[round(place)] for place in np.linspace(0, len(ranked) - 1, min(SHOWN, len(ranked)))
    ]
    samples = {one.key: one for one in read_samples(job.shards, "test") if one.key in chosen}
    lines = []
    for key in dict.fromkeys(chosen):
        sample = samples[key]
        made = restore_sample(job.system, sample, job.device)
        mask = (
            sample.shown_mask
            if made.mask is None
            else np.uint8(255) * (made.mask >= job.system.threshold)
        )
        between = [made.stages[stage] for stage in between_names(made)]
        found_mask = np.asarray(mask, np.uint8)
        cells = [sample.corrupted, found_mask, *between, made.composite, sample.clean]
        label = f"{Path(sample.story['photo']['name']).stem[:18]}\n{gain[key]:+.1f} dB"
        lines.append((label, [images.to_rgb(c) if c.ndim == 3 else c for c in cells]))
    unknown = any(sample.mask_missing for sample in samples.values())
    true = "true mask (gray: missing)" if unknown else "damage (true mask)"
    found = true if made.mask is None else "damage found"
    write_bytes(
        folder / "pictures.png",
        plots.plot_pictures(
            lines, ("damaged", found, *between_names(made), "restored", "original")
        ),
    )


def between_names(made: Pictures) -> list[str]:
    """The stages of a chained system that are shown between the mask and the result."""
    return [name for name in made.stages if name != "mask"]


def _draw_curves(training: Path, folder: Path) -> None:
    """How the system learned, from what its training left; weights from elsewhere have left
    nothing."""
    from pipeline.files import write_bytes
    from pipeline.plots import plot_curves

    history = training / "history.json"
    if history.is_file():
        rows = json.loads(history.read_text(encoding="utf-8"))
        write_bytes(folder / "curves.png", plot_curves(rows, training.name))


def _write_pictures(job: Evaluation, folder: Path) -> None:
    """``predicted_images/ reconstructed_images/ binary_masks/``, a PNG a test sample each."""
    import numpy as np

    from pipeline.evaluation import restore_sample
    from pipeline.files import write_bytes
    from pipeline.images import encode_png
    from pipeline.shards import read_manifest, read_samples

    total = read_manifest(job.shards).num_samples("test")
    with progress("pictures") as show:
        for done, sample in enumerate(read_samples(job.shards, "test"), 1):
            made = restore_sample(job.system, sample, job.device)
            parts = {"predicted_images": made.prediction, "reconstructed_images": made.composite}
            parts |= {f"stages/{name}": made.stages[name] for name in between_names(made)}
            if made.mask is not None:
                parts["binary_masks"] = np.where(made.mask >= job.system.threshold, 255, 0).astype(
                    np.uint8
                )
            for name, picture in parts.items():
                write_bytes(folder / name / f"{sample.key}.png", encode_png(picture))
            show(done, total)
    unmasked = "; no binary_masks: the system finds no damage mask" if made.mask is None else ""
    say(f"{total} samples in {folder}{unmasked}")


app = make_app(evaluate, "evaluate")
if __name__ == "__main__":
    app()
