"""Muon: momentum whose direction is made orthogonal, for the weight matrices of a network.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

# The quintic of the Newton–Schulz iteration, as published.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
BETAS, EPSILON = (0.9, 0.99), 1e-8
ADAM_SHARE = 0.15  # Adam's rate against Muon's
MIN_OUTPUTS = 8  # a layer with fewer is a head, whose directions are not alike in worth
Tensor = torch.Tensor


class Muon(torch.optim.Optimizer):
    """Muon for parameters with two or more axes (kernels count as matrices: outputs × the rest),
    Adam without decay for biases and norms. `lr` is Muon's; weight decay is decoupled.
    """

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, weight_decay: float
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            matrices: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.ndim < 2 or parameter.shape[0] < MIN_OUTPUTS:
                    self._adam(parameter, group["lr"] * ADAM_SHARE)
                    continue
                direction = self._momentum(parameter).reshape(parameter.shape[0], -1)
                shape = (direction.shape[0], direction.shape[1])
                matrices.setdefault(shape, []).append((parameter, direction))
            for (rows, columns), pairs in matrices.items():
                updates = orthogonalize(torch.stack([direction for _, direction in pairs]))
                scale = group["lr"] * max(1.0, rows / columns) ** 0.5
                for (parameter, _), update in zip(pairs, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.reshape(parameter.shape), alpha=-scale)

    def _momentum(self, parameter: Tensor) -> Tensor:
        """Nesterov's, as an average."""
        state, grad = self._state(parameter), parameter.grad
        assert grad is not None
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.lerp_(grad, 1 - MOMENTUM)
        return grad.lerp(momentum, MOMENTUM)

    def _adam(self, parameter: Tensor, lr: float) -> None:
        state, grad = self._state(parameter), parameter.grad
        assert grad is not None
        first = state.setdefault("first", torch.zeros_like(parameter))
        second = state.setdefault("second", torch.zeros_like(parameter))
        count = state.setdefault("count", torch.zeros((), dtype=torch.float32))
        count += 1
        first.lerp_(grad, 1 - BETAS[0])
        second.lerp_(grad * grad, 1 - BETAS[1])
        steps = count.item()
        unbiased = (second / (1 - BETAS[1] ** steps)).sqrt_().add_(EPSILON)
        parameter.addcdiv_(first, unbiased, value=-lr / (1 - BETAS[0] ** steps))

    def _state(self, parameter: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[parameter]
        return state


def orthogonalize(matrices: Tensor) -> Tensor:
    """Each N×R×C matrix with its singular values pushed to about 1 (float32 in, float32 out)."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    x = _by_gram(x) if x.shape[2] >= 2 * x.shape[1] else _by_steps(x)
    return x.transpose(1, 2) if tall else x


def _by_steps(x: Tensor) -> Tensor:
    a, b, c = QUINTIC
    for _ in range(ITERATIONS):
        square = x @ x.transpose(1, 2)
        quartic = torch.baddbmm(square, square, square, beta=b, alpha=c)
        x = torch.baddbmm(x, quartic, x, beta=a)
    return x


def _by_gram(x: Tensor) -> Tensor:
    """The same for wide matrices: every step multiplies by a polynomial of x·xᵀ, and these small
    squares commute, so that the wide matrix is multiplied twice, not ten times."""
    a, b, c = QUINTIC
    square = x @ x.transpose(1, 2)
    total: Tensor | None = None
    for turn in range(ITERATIONS):
        step = torch.baddbmm(square, square, square, beta=b, alpha=c)
        step.diagonal(dim1=1, dim2=2).add_(a)
        total = step if total is None else step @ total
        if turn + 1 < ITERATIONS:
            square = step @ square @ step
    assert total is not None
    return total @ x
