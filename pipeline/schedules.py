"""Optimizers and learning rates, from params; a rate is a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field

from pipeline.config import Amount, Section, Share
from pipeline.muon import Muon


class OptimizerSection(Section):
    """One group's optimizer. `lr`: the highest rate of its schedule; `clip_norm`: 0 clips
    nothing."""

    name: Literal["adam", "adamw", "muon"]
    lr: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Amount
    clip_norm: Amount


class ScheduleSection(Section):
    """`warmup_steps` rise linearly; then `constant`, `exponential` (times `gamma` an epoch) or
    `cosine` (down to `floor` times the highest rate at the last step).
    """

    name: Literal["constant", "exponential", "cosine"]
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)]
    gamma: Share
    floor: Share


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
