"""What a training is: its params, what it is made of, and who looks on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from pipeline.config import Amount, Positive, Section, Share, Steps
from pipeline.precision import PrecisionName
from pipeline.ranks import Ranks
from pipeline.samples import Array
from pipeline.schedules import OptimizerSection
from pipeline.stream import Stream, StreamSection
from pipeline.systems import System
from pipeline.validation import Validation

STATE, BEST, LAST = "state.safetensors", "best.safetensors", "last.safetensors"
CACHE = "cache"  # raw tiles, in the work folder
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class EarlyStopSection(Section):
    """Keep the best by `metric`, however small its gain; stop after `patience` validations in a row
    that gained no more than `min_delta`."""

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

    `accumulate` micro-batches make a step, however many processes share them. `precision` auto
    means bf16 where the processor computes in it; under fp16 a step whose gradient is not finite is
    skipped. `compile`: auto means on a GPU alone (on a CPU it was slower). `deterministic`: refuse
    what rounds differently from run to run on a GPU; a CPU never does. `ema_decay` 0 turns the
    average of weights off.
    """

    kind: str
    recipe: str
    mix: tuple[MixSection, MixSection]
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


@dataclass
class Pace:
    """How many images were trained on, in how many seconds, and how many of these were spent
    waiting for data."""

    images: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def told(self) -> tuple[float, float]:
        """Images a second, and the share of waiting."""
        return self.images / (self.seconds or 1), self.waited / (self.seconds or 1)


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
    """One training: what is trained, on what, how, where its unfinished work lies, and by which
    processes (of `num_workers` loaders each)."""

    name: str
    block: dict[str, Any]
    system: System
    section: TrainSection
    stream: Stream
    validation: Validation
    work: Path
    device: str
    num_workers: int
    ranks: Ranks = field(default_factory=Ranks)

    def begin(self, work: Path) -> None:
        """Set the folder for unfinished work."""
        self.work = work
        self.stream = replace(self.stream, cache=work / CACHE)

    def best(self, phase: str) -> Path:
        """Where the best weights of a phase are kept; the last phase's are the system's."""
        return self.work / (
            BEST if phase == self.system.phases[-1] else f"best-{phase}.safetensors"
        )
