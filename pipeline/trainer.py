"""The pieces that a training step moves: weights, their average, optimizers, and the state."""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import torch
from lightning_fabric import Fabric

from pipeline import checkpoint, seeds
from pipeline.averages import freeze_norms, move_average
from pipeline.guards import check_finite, check_metric, check_weights
from pipeline.precision import MAX_SKIPPED, LossScale, make_precision, resolve_precision, unscale
from pipeline.run_state import State, load_moments, load_state, save_state
from pipeline.runs import Pace, PhaseSection, Run
from pipeline.samples import Array
from pipeline.schedules import Course, make_optimizer, rate_at
from pipeline.stream import Batch, load, prefetch
from pipeline.systems import Terms
from pipeline.validation import value_names

Update = Iterator[tuple[str, Terms]]


class Trainer:
    """One run's moving parts, phase after phase."""

    def __init__(self, run: Run, state_file: Path) -> None:
        self.run, self.state_file = run, state_file
        section = run.section
        precision = resolve_precision(section.precision, run.device)
        if section.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or cuBLAS refuses
        torch.use_deterministic_algorithms(section.deterministic)
        self.fabric = Fabric(
            accelerator="cuda" if run.device == "cuda" else "cpu",
            devices=1,
            plugins=[make_precision(precision, run.device)],
        )
        self.system = run.system.to(self.fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.system).eval().requires_grad_(False)
        self.plain = dict(self.system.named_children())
        self.steps_an_epoch = max(1.0, run.stream.num_batches() / section.accumulate)
        self.scaled = precision == "fp16"
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
        """The stream's batches, on the device, from where the state stands; its loaders end with
        the context."""
        first = self.state.total * self.run.section.accumulate
        loaded = load(self.run.stream, first, self.run.num_workers)
        batches = prefetch(loaded, self.fabric.device)
        try:
            yield batches
        finally:
            for one in (batches, loaded):
                if isinstance(one, Generator):
                    one.close()

    def step(self, batches: Iterator[Batch]) -> dict[str, float]:
        """One optimizer step for each group, over `accumulate` micro-batches."""
        state, start = self.state, time.perf_counter()
        if state.step >= self.section.freeze_norm_at * self.section.steps:
            freeze_norms(self.system)
        parts = [next(batches) for _ in range(self.run.section.accumulate)]
        self.pace.waited += time.perf_counter() - start
        updates = [self.system.updates(self.phase, part) for part in parts]
        shown: dict[str, float] = {}
        for turn in itertools.count():
            terms = self._descend(updates, turn)
            if terms is None:
                break
            shown |= terms
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
        self.pace.images += sum(len(part.clean) for part in parts)
        self.pace.seconds += time.perf_counter() - start
        return shown

    def validate(self) -> tuple[dict[str, float], Array]:
        """Measure the averaged weights; keep them when they are the best of this phase."""
        state, stop = self.state, self.section.early_stop
        with self.fabric.autocast():
            values, picture = self.run.validation.measure(
                self.average, self.phase, self.fabric.device
            )
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

    def save(self) -> None:
        """Write the whole state as one file."""
        weights = {"model": self._weights(), "average": self.average.state_dict()}
        for found in weights.values():
            check_weights(self._where, found)
        moments = {name: one.state_dict()["state"] for name, one in self.optimizers.items()}
        save_state(self.state_file, self.run.name, self.state, weights, moments)

    def next_phase(self) -> None:
        """Begin the next phase with the best weights of this one."""
        path = self.run.best(self.phase)
        _, tensors = checkpoint.load(path, "weights")
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

    def _advance(self, update: Update, number: int, turn: int) -> tuple[str, Terms] | None:
        """The next loss of a micro-batch, with torch's randomness a function of where we are."""
        root, step = self.run.stream.seed, self.state.step
        torch.manual_seed(seeds.derive(root, "torch", self.phase, step, number, turn) % 2**63)
        with self.fabric.autocast():
            return next(update, None)

    def _descend(self, updates: list[Update], turn: int) -> dict[str, float] | None:
        """Backward, one micro-batch after another, and the step of the group whose turn it is; its
        terms, averaged over the micro-batches. None when the generators are through."""
        parts: list[Terms] = []
        for number, update in enumerate(updates):
            advanced = self._advance(update, number, turn)
            if advanced is None:
                return None
            group, terms = advanced
            optimizer = self.optimizers[group]
            parameters, scale = optimizer.param_groups[0]["params"], self._scale(group)
            if not parts:
                optimizer.zero_grad(set_to_none=True)
            loss = torch.stack(list(terms.values())).sum() / len(updates)
            self.fabric.backward(loss * scale.value, inputs=parameters)
            parts.append({name: term.detach() for name, term in terms.items()})
        gradients = [one.grad for one in parameters if one.grad is not None]
        unscale(gradients, scale.value)
        return self._step_group(group, gradients, parts)

    def _step_group(
        self, group: str, gradients: list[torch.Tensor], parts: list[Terms]
    ) -> dict[str, float]:
        """Clip and step, if all is finite."""
        optimizer, section = self.optimizers[group], self.section.optimizers[group]
        norm = torch.nn.utils.get_total_norm(gradients)
        if section.clip_norm:
            parameters = optimizer.param_groups[0]["params"]
            torch.nn.utils.clip_grads_with_norm_(parameters, section.clip_norm, norm)
        means = [torch.stack([terms[name] for terms in parts]).mean() for name in parts[0]]
        # One wait for the device, not one a term.
        *values, length = torch.stack([*means, norm]).float().tolist()
        shown = dict(zip(parts[0], values, strict=True))
        check_finite(self._where, shown)
        optimizer.param_groups[0]["lr"] = section.lr * rate_at(section.schedule, self._course())
        if self._fits(group, length):
            optimizer.step()
        return shown

    def _scale(self, group: str) -> LossScale:
        """fp16's scale of a group; 1 in all other precisions."""
        if not self.scaled:
            return LossScale(1.0)
        return self.state.scales.setdefault(group, LossScale())

    def _fits(self, group: str, norm: float) -> bool:
        """Is the gradient finite? Under fp16 a bad one lowers the scale, else it ends the run."""
        scale, finite = self._scale(group), math.isfinite(norm)
        if not self.scaled or scale.skipped + 1 == MAX_SKIPPED:
            check_finite(self._where, {"gradient norm": norm})
        scale.update(finite)
        return finite

    def _course(self) -> Course:
        state = self.state
        return Course(
            state.step,
            self.section.steps,
            self.steps_an_epoch,
            tuple(state.watched),
            self.section.early_stop.min_delta,
        )

    def _compare(self, value: float) -> None:
        """Keep the averaged weights if they are the best; count how long nothing was gained."""
        state, stop, run = self.state, self.section.early_stop, self.run
        sign = 1 if stop.mode == "max" else -1
        state.watched.append(-sign * value)
        if state.best is None or sign * (value - state.best) > 0:
            state.best, state.best_step = value, state.total
            check_weights(self._where, self.average.state_dict())
            checkpoint.save_weights(run.best(self.phase), run.section.kind, run.block, self.average)
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
        if not self.state_file.is_file():
            return {}
        self.state, parts = load_state(self.state_file)
        checkpoint.load_strictly(self.system, parts["model"], self.state_file)
        checkpoint.load_strictly(self.average, parts["average"], self.state_file)
        return parts["optimizer"]
