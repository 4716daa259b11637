"""`patina evaluate PAIR`: measure a system, its input and the classical baselines on held-out
shards."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import command, make_app, progress, project_root, read_params, say
from stages.costs import counted, keep
from stages.devices import check_channels, choose_device

if TYPE_CHECKING:
    from pipeline.evaluation import EvaluateSection, Evaluation, Measured
    from stages.reporting import Subject

SEEN = 16  # samples that tell whether a recipe's pictures are gray
LEAVES = ("metrics.json", "subject.json", "index.html", "restored.tar", "*.csv", "*.png")


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
    """Measure a trained system on the test split; writes rows, means, plots and a page."""
    from pipeline.config import read_seed, section
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
    subject = _subject(root, read_seed(params), pair, block, job)
    measured, summary = _measure(root, subject, name, job, folder)
    _tell(measured, summary, pair, folder)


def _weights(root: Path, block: EvaluateSection) -> Path:
    return root / "models" / block.system / "best.safetensors"


def _load(root: Path, pair: str, block: EvaluateSection, device: str) -> tuple[str, Evaluation]:
    """The system's name as its weights tell it, and what is to be measured of it."""
    import torch

    from pipeline.checkpoint import load_system
    from pipeline.errors import ParamsError
    from pipeline.evaluation import Evaluation
    from pipeline.shards import read_manifest, read_samples
    from stages.reference import load_lpips

    shards = root / "data/shards" / block.recipe
    if not read_manifest(shards).num_samples("test"):
        raise ParamsError(shards, "has no test samples", "give recipe or index test photos")
    name, system = load_system(_weights(root, block))
    if name != block.kind:
        what = f"holds a {name}, but evaluate.{pair} is of kind {block.kind}"
        raise ParamsError(_weights(root, block), what, f"train {block.system}, or mend the kind")
    target = torch.device(choose_device(device))
    seen = islice(read_samples(shards, "test"), SEEN)
    found = {(sample.corrupted.shape[2], sample.clean.shape[2]) for sample in seen}
    check_channels(system, f"evaluate.{pair}", block.recipe, found)
    job = Evaluation(system.to(target), shards, block.baselines, root, target)
    job.lpips = load_lpips(block.lpips, str(target))
    return name, job


def _subject(root: Path, seed: int, pair: str, block: EvaluateSection, job: Evaluation) -> Subject:
    """All that the report says of what was measured."""
    from pipeline.files import sha256_file
    from pipeline.shards import fingerprint_of_test, read_manifest
    from stages.reporting import Subject

    manifest = read_manifest(job.shards)
    hashes = {
        "weights": sha256_file(_weights(root, block)),
        "shards": manifest.sha256,
        "test split": fingerprint_of_test(manifest),
    }
    made_of = _made_of(_weights(root, block), block)
    made_of[f"evaluate.{pair}"] = block.model_dump(mode="json")
    training = root / "reports/training" / block.system / "history.json"
    return Subject(pair, block, seed, made_of, hashes, training)


def _made_of(weights: Path, block: EvaluateSection) -> dict[str, Any]:
    """The params that the weights were trained with, as their training left them: those of now may
    be others. Of weights from elsewhere, what they hold."""
    from pipeline.checkpoint import MADE_OF, load

    path = weights.with_name(MADE_OF)
    if path.is_file():
        told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return told
    return {f"systems.{block.system}": load(weights, "weights")[0]["section"]}


def _measure(
    root: Path, subject: Subject, name: str, job: Evaluation, folder: Path
) -> tuple[Measured, dict[str, Any]]:
    """Measure every test sample, leave the report in `folder`, and return the means."""
    from pipeline.files import sha256_file
    from stages.reporting import write_report
    from stages.workspace import finish, workspace

    code = ["stages/evaluate.py", f"pipeline/systems/{name}.py"]
    history = sha256_file(subject.history) if subject.history.is_file() else None
    inputs = [subject.seed, subject.params, subject.hashes, history]
    stage = f"evaluate-{subject.pair}"
    with (
        workspace(root, stage, code, inputs, [folder], ["metrics.json"], LEAVES) as work,
        counted(work, job.device.type),
    ):
        job.work = work
        with progress(f"evaluate {subject.pair}") as show:
            measured = job.run(show)
        summary = write_report(subject, job, measured, work / "report")
        finish(root, work, {"report": (folder, "metrics.json")})
    keep(root, stage, subject.hashes["weights"], work)
    return measured, summary


def _tell(measured: Measured, summary: dict[str, Any], pair: str, folder: Path) -> None:
    """What came out, in a few lines; times stay here, for reports hold none."""
    _tell_times(measured)
    before, after = (_decibels(summary[name]["psnr"]) for name in ("input", "composite"))
    score, missing = summary.get("mask", {}).get("f1"), summary["mask_missing_count"]
    found = "" if score is None else f", mask F1 {score:.3f}"
    found += f"; {missing} of {summary['num_samples']} samples have no mask" if missing else ""
    whole = summary["undamaged_count"]
    found += f"; {whole} of {summary['num_samples']} samples are undamaged" if whole else ""
    found += f"; undamaged photos come back at {_decibels(summary['harm']['psnr'])}"
    say(f"{pair}: {before} before, {after} after{found} ({folder}/index.html)")


def _decibels(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} dB"


def _tell_times(measured: Measured) -> None:
    """What measuring cost beside restoring; nothing where all was measured before."""
    from pipeline.evaluation import MODEL
    from pipeline.rows import picture_names

    seconds = dict(measured.seconds)
    model = seconds.pop(MODEL, 0.0)
    if not model or not seconds:
        return
    pictures = len(picture_names(measured.rows))
    told = sorted(seconds.items(), key=lambda item: -item[1])
    names = {"core": "MSE, MAE, PSNR and SSIM", "color": "correlations and colorfulness"}
    shares = ", ".join(f"{names.get(k, k)} {one / pictures / model:.0%}" for k, one in told)
    total = sum(seconds.values())
    say(
        f"restoring took {model:.1f} s, measuring {total:.1f} s for {pictures} pictures a sample; "
        f"a picture's share of the model's time: all {total / pictures / model:.0%} ({shares})"
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


def _write_pictures(job: Evaluation, folder: Path) -> None:
    """``predicted_images/ reconstructed_images/ binary_masks/``, a PNG a test sample each."""
    import numpy as np

    from pipeline.answers import restore_sample
    from pipeline.files import write_bytes
    from pipeline.images import encode_png
    from pipeline.shards import read_manifest, read_samples

    total, marks = read_manifest(job.shards).num_samples("test"), False
    with progress("pictures") as show:
        for done, sample in enumerate(read_samples(job.shards, "test"), 1):
            made = restore_sample(job.system, sample, job.device)
            parts = {"predicted_images": made.prediction, "reconstructed_images": made.composite}
            parts |= {f"stages/{name}": picture for name, picture in made.between.items()}
            marked = made.marked(job.system.threshold)
            if marked is not None:
                parts["binary_masks"] = np.uint8(255) * marked
            marks = marks or marked is not None
            for name, picture in parts.items():
                write_bytes(folder / name / f"{sample.key}.png", encode_png(picture))
            show(done, total)
    unmasked = "" if marks else "; no binary_masks: the system finds no damage mask"
    say(f"{total} samples in {folder}{unmasked}")


app = make_app(evaluate, "evaluate")
if __name__ == "__main__":
    app()
