"""`patina train SYSTEM`: train one system on its recipe's shards, from where an earlier run
stopped."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from functools import partial
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
from stages.costs import counted, keep
from stages.devices import choose_device, choose_workers
from stages.learning import check_fit, open_shards, start_warm, training_problems
from stages.recipes import family_files, inputs_of
from stages.tracking import Still, Tracker, finish_curves
from stages.usage import MAX_WORKERS

if TYPE_CHECKING:
    from pipeline.ranks import Ranks
    from pipeline.run_state import State
    from pipeline.runs import Run

Made = tuple["Run", list[str], list[Any]]


@command
def train(
    system: Annotated[str, typer.Argument(help="A system under `train` in params.yaml.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    workers: Annotated[
        int,
        typer.Option(
            min=-1,
            max=MAX_WORKERS,
            help="Loader processes of each training process (-1: by cores); the batches do not "
            "depend on it.",
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
    from pipeline.ranks import join

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision
    with join(partial(choose_device, device)) as ranks:
        root = project_root()
        params = read_params(root)
        made = make_run(root, params, system, ranks.device, workers, shards, ranks)
        if ranks.first:
            _lead(root, params, made, out)
        else:
            _follow(root, *made)


def _lead(root: Path, params: dict[str, Any], made: Made, out: Path | None) -> None:
    """In the first process, which alone writes."""
    from pipeline import runs, training
    from pipeline.checkpoint import MADE_OF
    from pipeline.files import sha256_file, write_json
    from stages.workspace import finish, workspace

    run, code, inputs = made
    target, curves = out or root / "models" / run.name, root / "reports/training" / run.name
    if out is not None:
        curves = out / "training"
    made_of = _made_of(params, run)
    with (
        workspace(root, _stage(run), code, inputs, [target, curves]) as work,
        counted(work, run.device, run.ranks.size),
    ):
        run.ranks.from_first(lambda: work.name)
        run.begin(work)
        with progress(f"train {run.name}") as show, stop_politely() as stopping:
            state = training.train(run, Tracker(work, show, stopping))
        models = work / "models"
        models.mkdir(exist_ok=True)
        for path in [*(run.best(phase) for phase in run.system.phases), work / runs.LAST]:
            shutil.copyfile(path, models / path.name)
        write_json(models / MADE_OF, made_of)
        finish_curves(work, state.history)
        finish(root, work, {"models": (target, runs.BEST), "training": (curves, None)})
    keep(root, _stage(run), sha256_file(target / runs.BEST), work)
    for line in summary(run, state):
        say(line)


def _follow(root: Path, run: Run, code: list[str], inputs: list[Any]) -> None:
    """In any other process. It holds no lock and writes nothing but decoded samples; what it works
    on must be what the first works on."""
    from pipeline import training
    from pipeline.errors import TrainingError
    from stages.workspace import fingerprint

    own = fingerprint(code, inputs)
    if run.ranks.from_first(lambda: own) != own:
        what = "has other params, shards, code or packages than the first process"
        raise TrainingError(f"process {run.ranks.rank}", what, "make them the same everywhere")
    run.begin(root / ".work" / _stage(run) / own)
    with stop_politely() as stopping:
        training.train(run, Still(stopping))


def _stage(run: Run) -> str:
    return f"train-{run.name}"


def make_run(
    root: Path,
    params: dict[str, Any],
    name: str,
    device: str,
    workers: int,
    shards: str | None = None,
    ranks: Ranks | None = None,
) -> Made:
    """All that a training needs, from params, its work folder still to be set; the code files and
    the inputs that its result depends on. What only the first of several `ranks` can read, the
    others leave."""
    from pipeline.config import read_seed, section
    from pipeline.ranks import Ranks
    from pipeline.runs import Run, TrainSection
    from pipeline.stream import Stream
    from pipeline.systems import make_system
    from pipeline.validation import Validation

    ranks = ranks or Ranks(device)
    block = section(params, f"train.{name}", TrainSection)
    for problem in training_problems(root, params, name) if ranks.first else ():
        raise problem
    seed = read_seed(params)
    network, config = make_system(name, params, seed, block.kind)
    if ranks.first:
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
        num_workers=workers
        if workers >= 0
        else choose_workers(block.stream.num_streams, ranks.size, ranks.here),
        ranks=ranks,
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


app = make_app(train, "train")
if __name__ == "__main__":
    app()
