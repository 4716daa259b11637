"""What a training must know to go on as if it had never stopped: numbers, and tensors in one
file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from pipeline import checkpoint
from pipeline.checkpoint import Tensors
from pipeline.precision import LossScale


@dataclass
class State:
    """All but the tensors. `phase`: its number; `step` within it, `total` over all phases. Of the
    phase are `best`, `gained` (the last value that was a gain of more than min_delta) and `bad`
    (validations since). `sums`: loss terms since the last validation; `scales`: fp16's, by group.
    """

    phase: int = 0
    step: int = 0
    total: int = 0
    best: float | None = None
    best_step: int = 0
    gained: float | None = None
    bad: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    num_summed: int = 0
    watched: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    scales: dict[str, LossScale] = field(default_factory=dict)

    def begin_phase(self) -> None:
        """The next phase, from its first step."""
        self.phase, self.step, self.bad = self.phase + 1, 0, 0
        self.best, self.gained, self.best_step = None, None, 0
        self.sums, self.num_summed, self.watched = {}, 0, []


def save_state(
    path: Path, name: str, state: State, parts: dict[str, Tensors], moments: dict[str, Any]
) -> None:
    """Write numbers, the tensors of each part, and the optimizers' `moments` (group → state) as one
    file."""
    tensors = {
        f"{part}.{key}": value for part, found in parts.items() for key, value in found.items()
    }
    for group, found in moments.items():
        for number, values in found.items():
            for key, value in values.items():
                tensors[f"optimizer.{group}.{number}.{key}"] = torch.as_tensor(value)
    checkpoint.save(path, {"kind": "state", "system": name, "state": asdict(state)}, tensors)


def load_state(path: Path) -> tuple[State, dict[str, Tensors]]:
    """The numbers, and the tensors by part: those that were saved, and "optimizer"."""
    meta, tensors = checkpoint.load(path, "state")
    parts: dict[str, Tensors] = {"optimizer": {}}
    for name, value in tensors.items():
        part, rest = name.split(".", 1)
        parts.setdefault(part, {})[rest] = value
    numbers = meta["state"]
    scales = {group: LossScale(**scale) for group, scale in numbers["scales"].items()}
    return State(**{**numbers, "scales": scales}), parts


def load_moments(optimizer: torch.optim.Optimizer, group: str, tensors: Tensors) -> None:
    """Fill an optimizer with the saved moments of its group.

    They are laid out in memory as their parameters are: fused optimizers walk through both at once,
    and a file knows no layout.
    """
    parameters = optimizer.param_groups[0]["params"]
    moments: dict[int, Tensors] = {}
    for name, value in tensors.items():
        owner, number, key = name.rsplit(".", 2)
        if owner == group:
            like = parameters[int(number)]
            if value.shape == like.shape:
                value = torch.empty_like(like).copy_(value)
            moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
