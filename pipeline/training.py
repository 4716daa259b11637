"""The one loop that trains every system: visible, resumable at any step, with nothing hidden in
callbacks."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from lightning_fabric import Fabric

from pipeline import checkpoint, seeds
from pipeline.config import Amount, Positive, Section, Share, Steps
from pipeline.errors import ParamsError, TrainingError
from pipeline.samples import Array
from pipeline.schedules import OptimizerSection, ScheduleSection, make_optimizer, rate_at
from pipeline.stream import Batch, Stream, StreamSection, load
from pipeline.systems import System, Terms
from pipeline.validation import Validation

STATE, BEST, LAST = "state.safetensors", "best.safetensors", "last.safetensors"
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class EarlyStopSection(Section):
    """Keep the best by `metric`; stop after `patience` validations without a gain of
    `min_delta`."""

    metric: str
    mode: Literal["min", "max"]
    patience: Positive
    min_delta: Amount


class TrainSection(Section):
    """A system's training. `accumulate` micro-batches make a step; `precision` auto means bf16
    where the processor computes in it; `ema_decay` 0 turns the average of weights off; from the
    share `freeze_norm_at` of the steps on, BatchNorm uses its running statistics, as in
    restoration.
    """

    recipe: str
    steps: Steps
    accumulate: Positive
    precision: Literal["auto", "fp32", "bf16"]
    ema_decay: Share
    freeze_norm_at: Share
    validate_every: Steps
    save_every: Steps
    val_samples: Positive
    optimizers: dict[str, OptimizerSection]
    schedule: ScheduleSection
    early_stop: EarlyStopSection
    stream: StreamSection


class Watcher(Protocol):
    """Who looks on: a terminal, a tracker. Called in order, and again from the start after a
    resume. Once `stopping`, the training saves its state after the step and raises
    KeyboardInterrupt."""

    def progress(self, step: int, steps: int, terms: dict[str, float]) -> None: ...
    def row(self, step: int, values: dict[str, float]) -> None: ...
    def picture(self, step: int, picture: Array) -> None: ...
    def stopping(self) -> bool: ...


@dataclass
class State:
    """All that a resumed run must know, beside tensors."""

    step: int = 0
    best: float | None = None
    best_step: int = 0
    bad: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


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


def train(run: Run, watcher: Watcher) -> State:
    """Train to the last step or an early stop; writes best and last weights into ``run.work``.

    Raises TrainingError, before the weights are touched, when a loss or gradient is not finite.
    """
    trainer = _Trainer(run)
    state = trainer.state
    for row in state.history:
        watcher.row(row["step"], row["values"])
    batches = load(run.stream, state.step * run.section.accumulate, run.num_workers)
    while state.step < run.section.steps and state.bad < run.section.early_stop.patience:
        terms = trainer.step(batches)
        watcher.progress(state.step, run.section.steps, terms)
        last = state.step == run.section.steps
        if last or state.step % run.section.validate_every == 0:
            row, picture = trainer.validate()
            watcher.row(state.step, row)
            watcher.picture(state.step, picture)
        stopping = watcher.stopping()
        if last or stopping or state.step % run.section.save_every == 0:
            trainer.save()
        if stopping and not last:
            raise KeyboardInterrupt(f"after step {state.step} of {run.section.steps}")
    trainer.save()
    checkpoint.save_weights(run.work / LAST, run.name, run.block, trainer.average)
    return state


def resolve_precision(name: str, device: str) -> str:
    """Fabric's name for a precision; "auto" asks the processor."""
    if name == "auto":
        if device == "cuda":
            name = "bf16" if torch.cuda.is_bf16_supported() else "fp32"
        else:
            name = "bf16" if _fast_bf16() else "fp32"
    return PRECISIONS[name]


class _Trainer:
    """The pieces that a step moves: weights, their average, optimizers, and the state."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.phase = run.system.phases[0]
        self.fabric = Fabric(
            accelerator="cuda" if run.device == "cuda" else "cpu",
            devices=1,
            precision=resolve_precision(run.section.precision, run.device),  # type: ignore[arg-type]
        )
        self.system = run.system.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.system.train()
        self.average = copy.deepcopy(self.system).eval().requires_grad_(False)
        self.steps_an_epoch = run.stream.num_batches() / run.section.accumulate
        self.plain = dict(self.system.named_children())
        self.optimizers = self._make_optimizers()
        self.state = State()
        self._resume()
        for child, module in self.plain.items():
            setattr(self.system, child, self.fabric.setup_module(module))

    def step(self, batches: Iterator[Batch]) -> dict[str, float]:
        """One optimizer step for each group, over `accumulate` micro-batches."""
        section, state = self.run.section, self.state
        if state.step >= section.freeze_norm_at * section.steps:
            _freeze_norms(self.system)
        rate = rate_at(section.schedule, state.step, section.steps, self.steps_an_epoch)
        count = section.accumulate
        parts = [next(batches).to(self.fabric.device) for _ in range(count)]
        updates = [self.system.updates(self.phase, batch) for batch in parts]
        shown: dict[str, float] = {}
        turn = 0
        while True:
            advanced = [
                self._advance(update, number, turn) for number, update in enumerate(updates)
            ]
            if advanced[0] is None:
                break
            group = advanced[0][0]
            self._descend(group, [terms for _, terms in filter(None, advanced)], rate, shown)
            turn += 1
        state.step += 1
        self._average()
        for name, value in shown.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        state.num_summed += 1
        return shown

    def validate(self) -> tuple[dict[str, float], Array]:
        """Measure the averaged weights; keep them when they are the best so far."""
        state, stop = self.state, self.run.section.early_stop
        with self.fabric.autocast():
            values, picture = self.run.validation.measure(
                self.average, self.phase, self.fabric.device
            )
        for name, total in state.sums.items():
            values[f"train/{name}"] = total / max(1, state.num_summed)
        state.sums, state.num_summed = {}, 0
        for group, optimizer in self.optimizers.items():
            values[f"lr/{group}"] = optimizer.param_groups[0]["lr"]
        state.history.append({"step": state.step, "values": values})
        if stop.metric not in values:
            raise ParamsError(
                f"train.{self.run.name}.early_stop.metric",
                f"{stop.metric!r} is not measured",
                f"use one of {', '.join(sorted(values))}",
            )
        self._compare(values[stop.metric])
        return values, picture

    def save(self) -> None:
        """Write the whole state as one file."""
        tensors = {f"model.{name}": value for name, value in self._weights().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for group, optimizer in self.optimizers.items():
            for number, moments in optimizer.state_dict()["state"].items():
                tensors |= {
                    f"optimizer.{group}.{number}.{key}": value for key, value in moments.items()
                }
        meta = {"kind": "state", "system": self.run.name, "state": vars(self.state)}
        checkpoint.save(self.run.work / STATE, meta, tensors)

    def _advance(
        self, update: Iterator[tuple[str, Terms]], number: int, turn: int
    ) -> tuple[str, Terms] | None:
        """The next loss of a micro-batch, with torch's randomness a function of where we are."""
        root, step = self.run.stream.seed, self.state.step
        torch.manual_seed(seeds.derive(root, "torch", self.phase, step, number, turn) % 2**63)
        with self.fabric.autocast():
            return next(update, None)

    def _descend(
        self, group: str, parts: list[Terms], rate: float, shown: dict[str, float]
    ) -> None:
        optimizer, section = self.optimizers[group], self.run.section.optimizers[group]
        parameters = optimizer.param_groups[0]["params"]
        optimizer.zero_grad(set_to_none=True)
        for terms in parts:
            for name, term in terms.items():
                shown[name] = shown.get(name, 0.0) + term.item() / len(parts)
            self._check_finite(shown)
            loss = torch.stack(list(terms.values())).sum() / len(parts)
            self.fabric.backward(loss, inputs=parameters)
        limit = section.clip_norm or math.inf
        norm = torch.nn.utils.clip_grad_norm_(parameters, limit).item()
        self._check_finite({"gradient norm": norm})
        optimizer.param_groups[0]["lr"] = section.lr * rate
        optimizer.step()

    def _check_finite(self, values: dict[str, float]) -> None:
        if not all(math.isfinite(value) for value in values.values()):
            told = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise TrainingError(
                f"train {self.run.name}, step {self.state.step}",
                f"not finite: {told}",
                "lower the learning rate; the last good weights are kept",
            )

    def _average(self) -> None:
        """Exponential moving average of weights and running statistics, quicker in the first
        steps."""
        decay = self.run.section.ema_decay
        decay = min(decay, (1 + self.state.step) / (10 + self.state.step)) if decay else 0.0
        current = self._weights()
        floats, targets = [], []
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                targets.append(value)
                floats.append(current[name])
            else:
                value.copy_(current[name])
        with torch.no_grad():
            torch._foreach_lerp_(targets, floats, 1 - decay)

    def _compare(self, value: float) -> None:
        self._check_finite({self.run.section.early_stop.metric: value})
        state, stop = self.state, self.run.section.early_stop
        sign = 1 if stop.mode == "max" else -1
        if state.best is None or sign * (value - state.best) > stop.min_delta:
            state.best, state.best_step, state.bad = value, state.step, 0
            checkpoint.save_weights(
                self.run.work / BEST, self.run.name, self.run.block, self.average
            )
        else:
            state.bad += 1

    def _make_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        groups = self.run.system.groups(self.phase)
        wanted, found = sorted(groups), sorted(self.run.section.optimizers)
        if wanted != found:
            raise ParamsError(
                f"train.{self.run.name}.optimizers",
                f"names {found}, the system has {wanted}",
                "give each group one optimizer",
            )
        return {
            group: make_optimizer(self.run.section.optimizers[group], module.parameters())
            for group, module in groups.items()
        }

    def _weights(self) -> checkpoint.Tensors:
        return {
            f"{child}.{name}": value
            for child, module in self.plain.items()
            for name, value in module.state_dict().items()
        }

    def _resume(self) -> None:
        path = self.run.work / STATE
        if not path.is_file():
            return
        meta, tensors = checkpoint.load(path, "state")
        parts: dict[str, checkpoint.Tensors] = {"model": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = value
        checkpoint.load_strictly(self.system, parts["model"], path)
        checkpoint.load_strictly(self.average, parts["average"], path)
        for group, optimizer in self.optimizers.items():
            _load_moments(optimizer, group, parts["optimizer"])
        self.state = State(**meta["state"])


def _load_moments(
    optimizer: torch.optim.Optimizer, group: str, tensors: checkpoint.Tensors
) -> None:
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        owner, number, key = name.rsplit(".", 2)
        if owner == group:
            moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def _freeze_norms(system: System) -> None:
    for module in system.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()


def _fast_bf16() -> bool:
    """Does this processor multiply bf16 itself? Emulated, it is slower than float32."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
