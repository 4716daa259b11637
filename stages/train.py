"""`patina train SYSTEM`: train one system on its recipe's shards, from where an earlier run
stopped."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
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
from stages.devices import check_channels, choose_device, choose_workers
from stages.recipes import family_files, inputs_of
from stages.usage import MAX_WORKERS

if TYPE_CHECKING:
    from pipeline.samples import Array
    from pipeline.training import Run


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
) -> None:
    """Train a system; keeps its best and last weights, its curves and validation pictures."""
    from pipeline import training
    from pipeline.corruptions import Recipe
    from pipeline.files import sha256_file
    from pipeline.shards import MANIFEST
    from stages.workspace import finish, workspace

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it announces its precision
    root = project_root()
    params = read_params(root)
    target, curves = out or root / "models" / system, root / "reports/training" / system
    if out is not None:
        curves = out / "training"
    shards = root / "data/shards"
    run = make_run(root, params, system, device, workers)
    manifest = shards / run.section.recipe / MANIFEST
    code = ["stages/train.py", f"pipeline/systems/{system}.py"]
    inputs = [system, params["train"][system], run.block, run.stream.seed, sha256_file(manifest)]
    recipe = Recipe.load(params, run.section.recipe, root / "data/textures")
    code += family_files(recipe)  # damage drawn on the fly, or again from stories
    inputs += inputs_of(root, params, recipe.name)
    with workspace(root, f"train-{system}", code, inputs, [target, curves]) as work:
        run.work = work
        with progress(f"train {system}") as show, stop_politely() as stopping:
            state = training.train(run, Tracker(work, show, stopping))
        models = work / "models"
        models.mkdir(exist_ok=True)
        for name in (training.BEST, training.LAST):
            shutil.copyfile(work / name, models / name)
        _finish_curves(work, state.history)
        finish(root, work, {"models": (target, training.BEST), "training": (curves, None)})
    say(
        f"{system}: best {run.section.early_stop.metric} {state.best:.4g} at step {state.best_step}"
    )


def make_run(root: Path, params: dict[str, Any], system: str, device: str, workers: int) -> Run:
    """All that a training needs, from params; its work folder is still to be set."""
    from itertools import islice

    from pipeline.augmentation import stream_problems
    from pipeline.config import read_seed, section
    from pipeline.corruptions import Recipe
    from pipeline.shards import read_manifest, read_samples
    from pipeline.stream import Stream
    from pipeline.systems import make_system
    from pipeline.training import Run, TrainSection
    from pipeline.validation import Validation

    block = section(params, f"train.{system}", TrainSection)
    folder = root / "data/shards" / block.recipe
    manifest = read_manifest(folder)
    total = manifest.num_samples("val")
    step = -(-total // block.val_samples)  # spread over the whole split: neighbours show one photo
    recipe = Recipe.load(params, block.recipe, root / "data/textures")
    samples = list(islice(read_samples(folder, "val"), 0, None, step))
    given = any(sample.story.get("given") for sample in samples)
    where = f"train.{system}.stream"
    for problem in stream_problems(where, block.stream.mode, block.stream.augment, given):
        raise problem
    seed = read_seed(params)
    whole = manifest.profile == "story"  # its tiles went through no step yet
    draw = (recipe if whole else recipe.for_clean_tiles()).damage
    network, config = make_system(system, params, seed)
    if network.needs_mask and any(sample.story.get("given") for sample in samples):
        _check_masks(folder, system, block.recipe)
    found = [sample.clean.shape[2] for sample in samples]
    check_channels(network, f"train.{system}", block.recipe, found)
    return Run(
        name=system,
        block=config,
        system=network,
        section=block,
        stream=Stream(
            folder,
            "train",
            block.stream,
            seed,
            draw if block.stream.mode == "fly" else None,
            recipe.replay,
        ),
        validation=Validation(samples),
        work=root,
        device=choose_device(device),
        num_workers=workers if workers >= 0 else choose_workers(block.stream.num_streams),
    )


def _check_masks(folder: Path, system: str, recipe: str) -> None:
    """Refuse samples without a mask: for a system that learns from masks, they would say that
    nothing is damaged."""
    from pipeline.errors import ParamsError
    from pipeline.samples import tells_no_mask
    from pipeline.shards import read_stories

    told = [tells_no_mask(one) for split in ("train", "val") for one in read_stories(folder, split)]
    if any(told):
        raise ParamsError(
            f"params: train.{system}.recipe: {recipe}",
            f"{sum(told)} of {len(told)} samples lack a mask, which {system} learns from",
            "bring the masks, or train a system that needs none",
        )


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

    def progress(self, step: int, steps: int, terms: dict[str, float]) -> None:
        """Loss terms beside the bar."""
        self.show(step, steps, "  ".join(f"{name} {value:.4f}" for name, value in terms.items()))

    def row(self, step: int, values: dict[str, float]) -> None:
        """One validation's values."""
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
