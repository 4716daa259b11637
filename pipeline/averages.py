"""The average of a system's weights, which is validated and kept; and norms that come to rest."""

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


def freeze_norms(system: torch.nn.Module) -> None:
    """From here on BatchNorm uses its running statistics, and leaves them as they are."""
    for module in system.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
