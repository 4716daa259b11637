"""How fast a training step is: ours (bf16 autocast, channels-last, the whole `Trainer.step` with
its average of weights and checks) against the plain float32 loop, on the same batches."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import repeat
from pathlib import Path

import torch

from benchmarks._timing import interleaved, one_thread, row
from pipeline import seeds
from pipeline.config import load_params, section
from pipeline.precision import resolve_precision
from pipeline.runs import Run, TrainSection
from pipeline.stream import Batch, prefetch
from pipeline.systems import System, make_system
from pipeline.trainer import Trainer
from pipeline.validation import Validation

ROOT = Path(__file__).resolve().parent.parent
FLOOR = 1.8
BATCH, CROP, STEPS, TURNS = 8, 96, 6, 5
# Sizes at which the time goes into the network: the published widths, or those for a GPU halved.
SIZES = {
    "aged_unet": {},
    "dual_decoder": {"widths": [32, 64, 128, 256], "bottleneck": 512, "num_blocks": 3},
    "restorer": {},
}


class Still:
    """A stream's place: batches come from memory, so that the step alone is timed."""

    seed = 7

    def num_batches(self) -> int:
        """As good as any."""
        return 1000


def main(*names: str) -> list[dict]:
    """A row a system, of the steps a CPU second; `names` measures these alone."""
    one_thread()
    torch.set_num_threads(1)
    if resolve_precision("auto", "cpu") != "bf16":
        print("this processor does not compute in bf16: ours would be float32 too, no row")
        return []
    return [_row(name) for name in names or SIZES]


def _row(name: str) -> dict:
    batch = _batch(_make(name))
    with tempfile.TemporaryDirectory() as folder:
        tasks = {"ours": _ours(name, batch, Path(folder)), "peer": _plain(name, batch)}
        seconds = interleaved(tasks, TURNS)
    rates = {task: STEPS / taken for task, taken in seconds.items()}
    what = f"{name}, {BATCH}×{CROP}²: training steps a CPU second, against float32 eager"
    return row(f"9-train-{name}", what, rates["ours"], rates["peer"], FLOOR)


def _ours(name: str, batch: Batch, folder: Path) -> Callable[[], None]:
    params = load_params(ROOT / "params.yaml")
    system, block = _make(name), params["train"].get(name, params["train"]["aged_unet"])
    block = {**block, "precision": "bf16", "phases": dict.fromkeys(system.phases, _phase(system))}
    run = Run(
        name, {}, system, section({"train": {name: block}}, f"train.{name}", TrainSection),
        Still(), Validation([]), folder, "cpu", 0,  # type: ignore[arg-type]
    )  # fmt: skip
    trainer = Trainer(run, folder / "state")
    batches = prefetch(repeat(batch), torch.device("cpu"))

    def steps() -> None:
        for _ in range(STEPS):
            trainer.step(batches)

    return steps


def _plain(name: str, batch: Batch) -> Callable[[], None]:
    """The loop that everybody writes first."""
    system = _make(name).train()
    optimizer = torch.optim.Adam(system.parameters(), 1e-3)
    whole = batch.to(torch.device("cpu"))
    ready = Batch(*(part if part is None else part.contiguous() for part in whole))

    def steps() -> None:
        for _ in range(STEPS):
            for _, terms in system.updates(system.phases[0], ready):
                optimizer.zero_grad()
                loss = torch.stack(list(terms.values())).sum()
                loss.item()
                loss.backward()
                optimizer.step()

    return steps


def _make(name: str) -> System:
    params = load_params(ROOT / "params.yaml")
    params["systems"][name] |= SIZES[name]
    return make_system(name, params, 7)[0]


def _phase(system: System) -> dict:
    schedule = {"name": "constant", "warmup_steps": 0}
    adam = {"name": "adam", "lr": 1e-3, "weight_decay": 0.0, "clip_norm": 0.0, "schedule": schedule}
    stop = {"metric": "val/loss", "mode": "min", "patience": 1, "min_delta": 0.0}
    groups = system.groups(system.phases[0])
    phase = {"steps": 10**6, "freeze_norm_at": 1.0, "early_stop": stop}
    return {**phase, "optimizers": dict.fromkeys(groups, adam)}


def _batch(system: System) -> Batch:
    """Noise: its values do not matter for the time."""
    rng = seeds.rng(7, "batch")
    shape = (BATCH, CROP, CROP)
    parts = [
        rng.integers(0, 256, (*shape, channels), dtype="uint8")
        for channels in (system.target_channels, system.channels)
    ]
    mask = rng.integers(0, 2, (*shape, 1), dtype="uint8") * 255
    return Batch(*(torch.from_numpy(part) for part in (*parts, mask)))
