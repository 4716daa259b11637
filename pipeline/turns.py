"""One step, turn by turn: the losses of each micro-batch, the sum of their gradients over all
processes, and the step of the group whose turn it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from lightning_fabric import Fabric

from pipeline import seeds
from pipeline.averages import MovedBuffers
from pipeline.guards import check_finite
from pipeline.precision import MAX_SKIPPED, LossScale, unscale
from pipeline.run_state import State
from pipeline.runs import PhaseSection, Run
from pipeline.schedules import Course, rate_at
from pipeline.stream import Batch
from pipeline.systems import System, Terms

Update = Iterator[tuple[str, Terms]]


class Turns:
    """The turns of the groups of a run; `begin` sets the phase. `scaled`: with fp16's loss scale.

    Gradients are added up over the processes here, once a turn, and not by DDP's reducer, which
    would do it inside `backward`: it wants to know of each forward pass whether its gradients will
    be asked for, and a critic that judges in the restorer's turn, or a layer that a turn leaves
    out, lets it raise at the next forward pass; its remedy, `find_unused_parameters`, walks the
    graph of every pass. Terms and buffers need the sum as well, and one exchange does for all.
    """

    def __init__(
        self, run: Run, fabric: Fabric, system: System, steps_an_epoch: float, scaled: bool
    ) -> None:
        self.run, self.fabric, self.system = run, fabric, system
        self.steps_an_epoch, self.scaled = steps_an_epoch, scaled
        self.state = State()
        self.optimizers: Mapping[str, torch.optim.Optimizer] = {}

    def begin(self, state: State, optimizers: Mapping[str, torch.optim.Optimizer]) -> None:
        """From here on the phase that `state` tells of; its groups' optimizers."""
        self.state, self.optimizers = state, optimizers

    def take(self, parts: Sequence[Batch]) -> dict[str, float]:
        """Let each group step, over the micro-batches of all processes, of which `parts` are this
        one's; the loss terms by name, averaged over all.

        Raises TrainingError, before the weights are touched, for what is not finite.
        """
        updates = [self.system.updates(self._phase, part) for part in parts]
        shown: dict[str, float] = {}
        for turn in itertools.count():
            terms = self._descend(updates, turn)
            if terms is None:
                return shown
            shown |= terms
        raise AssertionError

    @property
    def _phase(self) -> str:
        return self.run.system.phases[self.state.phase]

    @property
    def _section(self) -> PhaseSection:
        return self.run.section.phases[self._phase]

    @property
    def _where(self) -> str:
        return f"train {self.run.name}, step {self.state.total}"

    def _advance(self, update: Update, number: int, turn: int) -> tuple[str, Terms] | None:
        """The next loss of a micro-batch, with torch's randomness a function of where we are."""
        root, step = self.run.stream.seed, self.state.step
        torch.manual_seed(seeds.derive(root, "torch", self._phase, step, number, turn) % 2**63)
        with self.fabric.autocast():
            return next(update, None)

    def _descend(self, updates: list[Update], turn: int) -> dict[str, float] | None:
        """Backward, one micro-batch after another, and the step of the group whose turn it is; its
        terms, averaged over the micro-batches. None when the generators are through."""
        count, sums = self.run.section.accumulate, Terms()
        moved = MovedBuffers(self.system) if count > 1 else None
        for number, update in zip(self.run.ranks.own(count), updates, strict=True):
            if moved:
                moved.rewind()
            advanced = self._advance(update, number, turn)
            if advanced is None:
                return None
            if moved:
                moved.add()
            group, terms = advanced
            optimizer = self.optimizers[group]
            parameters, scale = optimizer.param_groups[0]["params"], self._scale(group)
            if not sums:
                optimizer.zero_grad(set_to_none=True)
            loss = torch.stack(list(terms.values())).sum() / count
            self.fabric.backward(loss * scale.value, inputs=parameters)
            for name, term in terms.items():
                sums[name] = sums[name] + term.detach() if name in sums else term.detach()
        totals = torch.stack(list(sums.values()))
        self._add_up(parameters, [totals, *(moved.sums if moved else ())])
        if moved:
            moved.settle(count)
        gradients = [one.grad for one in parameters if one.grad is not None]
        unscale(gradients, scale.value)
        return self._step_group(group, gradients, dict(zip(sums, totals / count, strict=True)))

    def _add_up(self, parameters: Sequence[torch.Tensor], others: list[torch.Tensor]) -> None:
        """Gradients, and the `others`, become their sums over all processes; a parameter that has
        no gradient in any of them keeps none."""
        if self.run.ranks.alone:
            return
        known = torch.tensor(
            [float(one.grad is not None) for one in parameters], device=self.fabric.device
        )
        for one in parameters:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
        gradients = [one.grad for one in parameters if one.grad is not None]
        self.run.ranks.add_up([known, *others, *gradients])
        for one, having in zip(parameters, known.tolist(), strict=True):
            if not having:
                one.grad = None

    def _step_group(
        self, group: str, gradients: list[torch.Tensor], means: Terms
    ) -> dict[str, float]:
        """Clip and step, if all is finite."""
        optimizer, section = self.optimizers[group], self._section.optimizers[group]
        norm = torch.nn.utils.get_total_norm(gradients)
        if section.clip_norm:
            parameters = optimizer.param_groups[0]["params"]
            torch.nn.utils.clip_grads_with_norm_(parameters, section.clip_norm, norm)
        # One wait for the device, not one a term.
        *values, length = torch.stack([*means.values(), norm]).float().tolist()
        shown = dict(zip(means, values, strict=True))
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
            self._section.steps,
            self.steps_an_epoch,
            tuple(state.watched),
            self._section.early_stop.min_delta,
        )
