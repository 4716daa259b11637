"""`patina train SYSTEM`: train one system on its recipe's shards, from where an earlier run
stopped."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import (
    command,
    make_app,
    progress,
    project_root,
    read_params,
    say,
    stop_politely,
)
from stages.devices import choose_device, choose_workers
from stages.learning import check_fit, open_shards, start_warm, training_problems
from stages.recipes import family_files, inputs_of
from stages.usage import MAX_WORKERS

if TYPE_CHECKING:
    from pipeline.run_state import State
    from pipeline.runs import Run, Told
    from pipeline.samples import Array

SHOWN = ("val/psnr", "val/mask_f1")  # beside the bar


@command
def train(
    system: Annotated[str, typer.Argument(help="A system under `train` in params.yaml.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=-1,
            max=MAX_WORKERS,
            help="Loader processes (-1: by cores); the batches do not depend on it.",
        ),
    ] = -1,
    out: Annotated[Path | None, typer.Option(help="Folder for the weights.")] = None,
    shards: Annotated[
        str | None,
        typer.Option(
            help="Folder or address (https://…, s3://…) that holds the shards of each recipe "
            "under its name; data/shards if not given."
        ),
    ] = None,
) -> None:
    """Train a system; keeps its best and last weights, its curves and validation pictures."""
    from pipeline import runs, training
    from pipeline.checkpoint import MADE_OF
    from pipeline.files import write_json
    from stages.workspace import finish, workspace

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision
    root = project_root()
    params = read_params(root)
    target, curves = out or root / "models" / system, root / "reports/training" / system
    if out is not None:
        curves = out / "training"
    run, code, inputs = make_run(root, params, system, device, workers, shards)
    made_of = _made_of(params, run)
    with workspace(root, f"train-{system}", code, inputs, [target, curves]) as work:
        run.begin(work)
        with progress(f"train {system}") as show, stop_politely() as stopping:
            state = training.train(run, Tracker(work, show, stopping))
        models = work / "models"
        models.mkdir(exist_ok=True)
        for path in [*(run.best(phase) for phase in run.system.phases), work / runs.LAST]:
            shutil.copyfile(path, models / path.name)
        write_json(models / MADE_OF, made_of)
        _finish_curves(work, state.history)
        finish(root, work, {"models": (target, runs.BEST), "training": (curves, None)})
    for line in summary(run, state):
        say(line)


def make_run(
    root: Path,
    params: dict[str, Any],
    name: str,
    device: str,
    workers: int,
    shards: str | None = None,
) -> tuple[Run, list[str], list[Any]]:
    """All that a training needs, from params, its work folder still to be set; the code files and
    the inputs that its result depends on."""
    from pipeline.config import read_seed, section
    from pipeline.runs import Run, TrainSection
    from pipeline.stream import Stream
    from pipeline.systems import make_system
    from pipeline.validation import Validation

    block = section(params, f"train.{name}", TrainSection)
    for problem in training_problems(root, params, name):
        raise problem
    seed = read_seed(params)
    network, config = make_system(name, params, seed, block.kind)
    start_warm(root, f"train.{name}", block, network)
    learned = {block.recipe: 1.0}
    for one in block.mix:
        if one.weight:
            learned[one.recipe] = learned.get(one.recipe, 0.0) + one.weight
    read = {recipe: open_shards(root, params, recipe, shards) for recipe in learned}
    for one in read.values():
        check_fit(network, f"train.{name}", block, one)
    sources = tuple(one.source(block.stream.mode, learned[recipe]) for recipe, one in read.items())
    channels = (network.channels, network.target_channels)
    run = Run(
        name=name,
        block=config,
        system=network,
        section=block,
        stream=Stream(sources, "train", block.stream, seed, channels=channels),
        validation=Validation(read[block.recipe].samples(block.val_samples)),
        work=root,
        device=choose_device(device),
        num_workers=workers if workers >= 0 else choose_workers(block.stream.num_streams),
    )
    code = ["stages/train.py", f"pipeline/systems/{block.kind}.py"]
    inputs = [name, params["train"][name], config, seed]
    for one in read.values():  # damage is drawn on the fly, or again from stories
        code += family_files(one.recipe)
        inputs += [one.fingerprint, *inputs_of(root, params, one.recipe.name)]
    return run, code, inputs


def _made_of(params: dict[str, Any], run: Run) -> dict[str, Any]:
    """What reports tell of how weights came about: the params of now, for those in params.yaml may
    be others when the weights are measured. Block name → block."""
    section = run.section
    recipes = [section.recipe, *(one.recipe for one in section.mix if one.weight)]
    return {
        "seed": params["seed"],
        f"train.{run.name}": params["train"][run.name],
        f"systems.{run.name}": run.block,
        **{f"recipes.{name}": params["recipes"][name] for name in recipes},
    }


def summary(run: Run, state: State) -> Iterator[str]:
    """A line for each phase: its best, and whether it ended early."""
    begun = 0
    for phase in run.system.phases:
        section = run.section.phases[phase]
        stop = section.early_stop
        rows = [row for row in state.history if row["phase"] == phase]
        pick = max if stop.mode == "max" else min
        best = pick(rows, key=lambda row: row["values"][stop.metric])  # the first of equals
        name = run.name if len(run.system.phases) == 1 else f"{run.name} {phase}"
        value = best["values"][stop.metric]
        line = f"{name}: best {stop.metric} {value:.4g} at step {best['step']}"
        if rows[-1]["step"] - begun < section.steps:
            line += f"; ended at {rows[-1]['step']}: {stop.patience} validations without a gain"
        begun = rows[-1]["step"]
        yield line


class Tracker:
    """Writes DVCLive's scalars and the validation pictures, and shows progress.

    A resumed run tells all rows again, so that the scalars never hold a step twice.
    """

    def __init__(self, work: Path, show: Callable[..., None], stopping: Callable[[], bool]) -> None:
        from dvclive import Live

        self.live = Live(
            str(work / "training"), resume=False, report=None, save_dvc_exp=False, dvcyaml=None
        )
        self.pictures, self.show, self.stopping = work / "pictures", show, stopping
        self.pace_file = work / "pace.json"
        self.measured: list[str] = []  # by the last validation
        self.pace: dict[int, dict[str, float]] = {}
        self.paces: list[dict[str, float]] = []
        if self.pace_file.is_file():  # of the run that this one goes on with
            self.paces = json.loads(self.pace_file.read_text(encoding="utf-8"))

    def progress(self, told: Told) -> None:
        """Loss terms and pace beside the bar."""
        words = [f"{name} {value:.4f}" for name, value in told.terms.items()]
        words += self.measured
        words.append(f"{told.rate:.3g} images/s, {told.wait_share:.0%} waiting for data")
        if told.phase != "fit":
            words.insert(0, told.phase)
        self.show(told.step, told.steps, "  ".join(words))
        self.pace = {told.step: {"images_per_second": told.rate, "wait_share": told.wait_share}}

    def row(self, step: int, values: dict[str, float]) -> None:
        """One validation's values; the pace since the last one stays in the work folder, since no
        two runs have the same."""
        from pipeline.files import write_json

        if step in self.pace:  # not told again after a resume
            self.paces.append({"step": step, **self.pace[step]})
            write_json(self.pace_file, self.paces)
        shown = [name for name in SHOWN if name in values]
        self.measured = [f"{name} {values[name]:.4g}" for name in shown]
        self.live.step = step
        for name, value in sorted(values.items()):  # a resumed run knows no other order
            self.live.log_metric(name, value)
        self.live.make_summary()

    def picture(self, step: int, picture: Array) -> None:
        """Corrupted, composite and clean, a row a sample."""
        from pipeline.files import write_bytes
        from pipeline.images import encode_png

        write_bytes(self.pictures / f"{step:06d}.png", encode_png(picture))


def _finish_curves(work: Path, history: list[dict[str, Any]]) -> None:
    """The validation rows and pictures beside DVCLive's scalars."""
    from pipeline.files import write_json

    write_json(work / "training/history.json", history)
    shutil.copytree(work / "pictures", work / "training/pictures", dirs_exist_ok=True)


app = make_app(train, "train")
if __name__ == "__main__":
    app()
