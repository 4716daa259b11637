"""The average of a system's weights, which is validated and kept; and norms: what several
micro-batches make of their statistics, and how they come to rest."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def move_average(
    average: torch.nn.Module, current: Mapping[str, torch.Tensor], decay: float, step: int
) -> None:
    """Exponential moving average of weights and running statistics, in place: quicker in the first
    steps of a phase; `decay` 0 copies."""
    decay = min(decay, (1 + step) / (10 + step)) if decay else 0.0
    floats, targets = [], []
    for name, value in average.state_dict().items():
        if value.is_floating_point():
            targets.append(value)
            floats.append(current[name])
        else:
            value.copy_(current[name])
    with torch.no_grad():
        torch._foreach_lerp_(targets, floats, 1 - decay)


class MovedBuffers:
    """Buffers that forward passes move: BatchNorm's running statistics and their like, of what is
    in training mode.

    Each micro-batch of a turn starts from the same ones, and the turn leaves their mean, so that
    it does not matter which process had which micro-batch, nor in what order. Integers, which
    count, are taken as any micro-batch leaves them.
    """

    def __init__(self, system: torch.nn.Module) -> None:
        # `.data`: a backward pass that is still to come must not take offence; in training mode
        # it uses none of these.
        self._now = [
            buffer.data
            for module in system.modules()
            if module.training
            for buffer in module.buffers(recurse=False)
        ]
        self._start = [buffer.clone() for buffer in self._now]
        self._floats = [buffer for buffer in self._now if buffer.is_floating_point()]
        self.sums = [torch.zeros_like(buffer) for buffer in self._floats]

    def rewind(self) -> None:
        """Before a micro-batch."""
        for buffer, start in zip(self._now, self._start, strict=True):
            buffer.copy_(start)

    def add(self) -> None:
        """After a micro-batch."""
        for total, buffer in zip(self.sums, self._floats, strict=True):
            total += buffer

    def settle(self, count: int) -> None:
        """After all `count` micro-batches."""
        for total, buffer in zip(self.sums, self._floats, strict=True):
            buffer.copy_(total / count)


def freeze_norms(system: torch.nn.Module) -> None:
    """From here on BatchNorm uses its running statistics, and leaves them as they are."""
    for module in system.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
