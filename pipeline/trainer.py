"""The pieces that a training step moves: weights, their average, optimizers, and the state."""

from __future__ import annotations

import contextlib
import copy
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import torch
from lightning_fabric import Fabric

from pipeline import checkpoint
from pipeline.averages import freeze_norms, move_average
from pipeline.guards import check_dealing, check_finite, check_metric, check_weights
from pipeline.precision import make_precision, resolve_precision
from pipeline.run_state import State, load_moments, load_state, save_state
from pipeline.runs import Pace, PhaseSection, Run
from pipeline.samples import Array
from pipeline.schedules import make_optimizer
from pipeline.stream import Batch, load, prefetch
from pipeline.turns import Turns
from pipeline.validation import value_names


class Trainer:
    """One run's moving parts, phase after phase. In several processes they are the same in each;
    the first alone reads and writes files."""

    def __init__(self, run: Run, state_file: Path) -> None:
        self.run, self.state_file, self.ranks = run, state_file, run.ranks
        section, where = run.section, f"params: train.{run.name}"
        if self.ranks.size > 1:
            num_streams = section.stream.num_streams
            sharing = self.ranks.size, run.num_workers
            check_dealing(where, section.accumulate, num_streams, *sharing)
        precision = resolve_precision(section.precision, run.device)
        if section.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or cuBLAS refuses
        torch.use_deterministic_algorithms(section.deterministic)
        self.fabric = Fabric(
            accelerator="cuda" if run.device == "cuda" else "cpu",
            devices=self.ranks.devices,
            plugins=[make_precision(precision, run.device)],
        )
        if not self.ranks.alone:  # warm starts are of the first's disk
            run.system.load_state_dict(self.ranks.from_first(run.system.state_dict))
        self.system = run.system.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.system).eval().requires_grad_(False)
        self.plain = dict(self.system.named_children())
        steps_an_epoch = max(1.0, run.stream.num_batches() / section.accumulate)
        self.turns = Turns(run, self.fabric, self.system, steps_an_epoch, precision == "fp16")
        self.state = State()
        self.pace = Pace()
        parts = self._resume()
        compiled = section.compile == "on" or (section.compile == "auto" and run.device == "cuda")
        for child, module in self.plain.items():
            if compiled:
                module.compile()
            setattr(self.system, child, self.fabric.setup_module(module))
        self._enter_phase()
        for group, optimizer in self.optimizers.items():
            load_moments(optimizer, group, parts)

    @property
    def phase(self) -> str:
        """The name of the phase that is trained now."""
        return self.run.system.phases[self.state.phase]

    @property
    def section(self) -> PhaseSection:
        """The params of that phase."""
        return self.run.section.phases[self.phase]

    @property
    def _where(self) -> str:
        return f"train {self.run.name}, step {self.state.total}"

    @property
    def _params_of_phase(self) -> str:
        return f"train.{self.run.name}.phases.{self.phase}"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Iterator[Batch]]:
        """This process' share of the stream, on the device, from where the state stands; its
        loaders end with the context."""
        first, ranks = self.state.total * self.run.section.accumulate, self.ranks
        loaded = load(self.run.stream, first, self.run.num_workers, ranks.rank, ranks.size)
        batches = prefetch(loaded, self.fabric.device)
        try:
            yield batches
        finally:
            for one in (batches, loaded):
                if isinstance(one, Generator):
                    one.close()

    def step(self, batches: Iterator[Batch]) -> dict[str, float]:
        """One optimizer step for each group, over the `accumulate` micro-batches of all
        processes."""
        state, start = self.state, time.perf_counter()
        if state.step >= self.section.freeze_norm_at * self.section.steps:
            freeze_norms(self.system)
        parts = [next(batches) for _ in self.ranks.own(self.run.section.accumulate)]
        self.pace.waited += time.perf_counter() - start
        shown = self.turns.take(parts)
        if state.step == 0:
            names = value_names(shown, self.run.validation.keeps, self.run.validation.masks)
            names += [f"train/{name}" for name in shown]
            check_metric(self._params_of_phase, self.section.early_stop.metric, names)
        state.step, state.total = state.step + 1, state.total + 1
        decay = self.run.section.ema_decay
        move_average(self.average, self._weights(), decay, state.step)
        for name, value in shown.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
        state.num_summed += 1
        self.pace.images += sum(len(part.clean) for part in parts) * self.ranks.size
        self.pace.seconds += time.perf_counter() - start
        return shown

    def validate(self) -> tuple[dict[str, float], Array]:
        """Measure the averaged weights; keep them when they are the best of this phase."""
        state, stop = self.state, self.section.early_stop
        values, picture = self.ranks.from_first(self._measure)
        for name, total in state.sums.items():
            values[f"train/{name}"] = total / max(1, state.num_summed)
        state.sums, state.num_summed = {}, 0
        for group, optimizer in self.optimizers.items():
            values[f"lr/{group}"] = optimizer.param_groups[0]["lr"]
        check_finite(self._where, values)
        state.history.append({"step": state.total, "phase": self.phase, "values": values})
        self._compare(values[stop.metric])
        self.pace = Pace()
        return values, picture

    def _measure(self) -> tuple[dict[str, float], Array]:
        with self.fabric.autocast():
            return self.run.validation.measure(self.average, self.phase, self.fabric.device)

    def save(self) -> None:
        """Write the whole state as one file."""
        if not self.ranks.first:
            return
        weights = {"model": self._weights(), "average": self.average.state_dict()}
        for found in weights.values():
            check_weights(self._where, found)
        moments = {name: one.state_dict()["state"] for name, one in self.optimizers.items()}
        save_state(self.state_file, self.run.name, self.state, weights, moments)

    def write(self, path: Path) -> None:
        """Write the averaged weights."""
        check_weights(self._where, self.average.state_dict())
        if self.ranks.first:
            checkpoint.save_weights(path, self.run.section.kind, self.run.block, self.average)

    def next_phase(self) -> None:
        """Begin the next phase with the best weights of this one."""
        path = self.run.best(self.phase)
        _, tensors = self.ranks.from_first(lambda: checkpoint.load(path, "weights"))
        checkpoint.load_strictly(self.average, tensors, path)
        self._fill(tensors)
        self.state.begin_phase()
        self._enter_phase()
        self.save()

    def _enter_phase(self) -> None:
        """Set the groups of this phase to training, all else to rest, and make the optimizers."""
        groups = self.system.groups(self.phase)
        self.system.train()
        for module in self.system.children():
            module.eval().requires_grad_(False)
        for module in groups.values():
            module.train().requires_grad_(True)
        self.optimizers = {
            group: make_optimizer(self.section.optimizers[group], module.parameters())
            for group, module in groups.items()
        }
        self.turns.begin(self.state, self.optimizers)

    def _compare(self, value: float) -> None:
        """Keep the averaged weights if they are the best; count how long nothing was gained."""
        state, stop, run = self.state, self.section.early_stop, self.run
        sign = 1 if stop.mode == "max" else -1
        state.watched.append(-sign * value)
        if state.best is None or sign * (value - state.best) > 0:
            state.best, state.best_step = value, state.total
            self.write(run.best(self.phase))
        if state.gained is None or sign * (value - state.gained) > stop.min_delta:
            state.gained, state.bad = value, 0
        else:
            state.bad += 1

    def _weights(self) -> checkpoint.Tensors:
        """The tensors of the system under the names that they have without Fabric's wrappers."""
        own = {name: value for name, value in self.system.named_buffers(recurse=False)}
        return own | {
            f"{child}.{name}": value
            for child, module in self.plain.items()
            for name, value in module.state_dict().items()
        }

    def _fill(self, tensors: checkpoint.Tensors) -> None:
        current = self._weights()
        with torch.no_grad():
            for name, value in tensors.items():
                current[name].copy_(value)

    def _resume(self) -> checkpoint.Tensors:
        """Fill weights and numbers from the state file, if there is one; the optimizers' part."""
        file = self.state_file
        found = self.ranks.from_first(lambda: load_state(file) if file.is_file() else None)
        if found is None:
            return {}
        self.state, parts = found
        checkpoint.load_strictly(self.system, parts["model"], self.state_file)
        checkpoint.load_strictly(self.average, parts["average"], self.state_file)
        return parts["optimizer"]
