"""The one loop that trains every system: visible, resumable at any step of any phase, with nothing
hidden in callbacks."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from pipeline import checkpoint
from pipeline.config import Amount, Positive, Section, Share, Steps
from pipeline.precision import PrecisionName
from pipeline.run_state import State
from pipeline.samples import Array
from pipeline.schedules import OptimizerSection
from pipeline.stream import Stream, StreamSection
from pipeline.systems import System
from pipeline.trainer import Trainer
from pipeline.validation import Validation

STATE, BEST, LAST = "state.safetensors", "best.safetensors", "last.safetensors"
CACHE = "cache"  # raw tiles, in the work folder
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EarlyStopSection(Section):
    """Keep the best by `metric`; stop after `patience` validations without a gain of
    `min_delta`."""

    metric: str
    mode: Literal["min", "max"]
    patience: Positive
    min_delta: Amount


class PhaseSection(Section):
    """One phase of a training. From the share `freeze_norm_at` of the steps on, BatchNorm uses its
    running statistics, as in restoration. Each group of the system has its optimizer."""

    steps: Steps
    freeze_norm_at: Share
    early_stop: EarlyStopSection
    optimizers: dict[str, OptimizerSection]


class MixSection(Section):
    """Shards of another recipe, `weight` samples of them for one of the first; 0: none."""

    recipe: str
    weight: Amount


class WarmStartSection(Section):
    """Weights of the same kind of system to begin with, in place of random ones. The hash stands
    here so that dvc sees other weights."""

    path: str
    sha256: Sha256


class TrainSection(Section):
    """A system's training. `kind`: its file in pipeline/systems; `recipe`: what it learns from and
    is validated on, `mix`: what it learns from beside.

    `accumulate` micro-batches make a step. `precision` auto means bf16 where the processor computes
    in it; under fp16 a step whose gradient is not finite is skipped. `compile`: auto means on a
    GPU alone (on a CPU it was slower). `deterministic`: refuse what rounds differently from run to
    run on a GPU; a CPU never does. `ema_decay` 0 turns the average of weights off.
    """

    kind: str
    recipe: str
    mix: tuple[MixSection, ...]
    accumulate: Positive
    precision: PrecisionName
    compile: Literal["auto", "on", "off"]
    deterministic: bool
    ema_decay: Share
    validate_every: Steps
    save_every: Steps
    val_samples: Positive
    warm_start: WarmStartSection | None
    phases: dict[str, PhaseSection]
    stream: StreamSection


class Told(NamedTuple):
    """What a watcher hears after each step. `step` of `steps` in all phases; `terms`: weighted loss
    terms; `rate`: images a second since the last validation; `wait_share`: the share of that time
    in which the loop waited for data."""

    step: int
    steps: int
    phase: str
    terms: dict[str, float]
    rate: float
    wait_share: float


class Watcher(Protocol):
    """Who looks on: a terminal, a tracker. Called in order, and again from the start after a
    resume. Once `stopping`, the training saves its state after the step and raises
    KeyboardInterrupt."""

    def progress(self, told: Told) -> None: ...
    def row(self, step: int, values: dict[str, float]) -> None: ...
    def picture(self, step: int, picture: Array) -> None: ...
    def stopping(self) -> bool: ...


@dataclass
class Run:
    """One training: what is trained, on what, how, and where its unfinished work lies."""

    name: str
    block: dict[str, Any]
    system: System
    section: TrainSection
    stream: Stream
    validation: Validation
    work: Path
    device: str
    num_workers: int
    warm: checkpoint.Tensors | None = None

    def begin(self, work: Path) -> None:
        """Set the folder for unfinished work."""
        self.work = work
        self.stream = replace(self.stream, cache=work / CACHE)

    def best(self, phase: str) -> Path:
        """Where the best weights of a phase are kept; the last phase's are the system's."""
        return self.work / (
            BEST if phase == self.system.phases[-1] else f"best-{phase}.safetensors"
        )


def train(run: Run, watcher: Watcher) -> State:
    """Train every phase to its last step or an early stop, each from the best weights of the one
    before; writes the best weights of each and the last into ``run.work``.

    Raises TrainingError, before the weights are touched, when a loss or gradient is not finite.
    """
    trainer = Trainer(run, run.work / STATE)
    for row in trainer.state.history:
        watcher.row(row["step"], row["values"])
    while True:
        _train_phase(run, trainer, watcher)
        trainer.save()
        if trainer.state.phase + 1 == len(run.system.phases):
            break
        trainer.next_phase()
    checkpoint.save_weights(run.work / LAST, run.section.kind, run.block, trainer.average)
    shutil.rmtree(run.work / CACHE, ignore_errors=True)
    return trainer.state


def _train_phase(run: Run, trainer: Trainer, watcher: Watcher) -> None:
    """From where the state stands to the phase's end."""
    state, section = trainer.state, run.section
    phase = section.phases[trainer.phase]
    with trainer.reading() as batches:
        while state.step < phase.steps and state.bad < phase.early_stop.patience:
            terms = trainer.step(batches)
            told = Told(state.total, _num_steps(run), trainer.phase, terms, *trainer.pace.told())
            watcher.progress(told)
            last = state.step == phase.steps
            if last or state.step % section.validate_every == 0:
                row, picture = trainer.validate()
                watcher.row(state.total, row)
                watcher.picture(state.total, picture)
            stopping = watcher.stopping()
            if last or stopping or state.step % section.save_every == 0:
                trainer.save()
            final = last and trainer.phase == run.system.phases[-1]
            if stopping and not final:
                raise KeyboardInterrupt(f"after step {state.total} of {_num_steps(run)}")


def _num_steps(run: Run) -> int:
    return sum(run.section.phases[phase].steps for phase in run.system.phases)
