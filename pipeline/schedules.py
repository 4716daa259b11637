"""Optimizers and learning rates, from params; a rate is a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import field_validator

from pipeline.config import Section
from pipeline.muon import Muon


class OptimizerSection(Section):
    """One group's optimizer. `lr`: the highest rate of its schedule; `clip_norm`: 0 clips
    nothing."""

    name: Literal["adam", "adamw", "muon"]
    lr: float
    weight_decay: float
    clip_norm: float

    @field_validator("lr")
    @classmethod
    def _positive(cls, value: float) -> float:
        if not 0 < value <= 1:
            raise ValueError("must lie in (0, 1]")
        return value

    @field_validator("weight_decay", "clip_norm")
    @classmethod
    def _not_negative(cls, value: float) -> float:
        if value < 0:
            raise ValueError("must not be negative")
        return value


class ScheduleSection(Section):
    """`warmup_steps` rise linearly; then `constant`, `exponential` (times `gamma` an epoch) or
    `cosine` (down to `floor` times the highest rate at the last step).
    """

    name: Literal["constant", "exponential", "cosine"]
    warmup_steps: int
    gamma: float
    floor: float


def make_optimizer(
    section: OptimizerSection, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) or Muon (Jordan et al.
    2024)."""
    if section.name == "muon":
        return Muon(parameters, section.lr, section.weight_decay)
    kind = torch.optim.AdamW if section.name == "adamw" else torch.optim.Adam
    return kind(parameters, lr=section.lr, weight_decay=section.weight_decay)


def rate_at(section: ScheduleSection, step: int, num_steps: int, steps_an_epoch: float) -> float:
    """The share of the highest rate that holds at a step."""
    if step < section.warmup_steps:
        return (step + 1) / (section.warmup_steps + 1)
    if section.name == "exponential":
        return max(section.floor, math.pow(section.gamma, step / steps_an_epoch))
    if section.name == "cosine":
        span = max(1, num_steps - section.warmup_steps)
        wave = (1 + math.cos(math.pi * (step - section.warmup_steps) / span)) / 2
        return section.floor + (1 - section.floor) * wave
    return 1.0
