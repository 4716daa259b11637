"""Optimizers and learning rates, from params; a rate is a pure function of the step and of what
validation found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, NamedTuple, Self

import torch
from pydantic import Field, model_validator

from pipeline.complaints import broken
from pipeline.config import Amount, Positive, Section, Share
from pipeline.muon import Muon

# Which keys a schedule has beside `name` and `warmup_steps`.
KEYS = {
    "constant": (),
    "exponential": ("gamma", "floor"),
    "cosine": ("floor",),
    "warm_restarts": ("period", "growth", "floor"),
    "plateau": ("gamma", "patience", "floor"),
}


class ScheduleSection(Section):
    """`warmup_steps` rise linearly to the highest rate; then, as shares of it and never below
    `floor`:

    `constant`: all of it. `exponential`: times `gamma` an epoch, a little each step. `cosine`: half
    a wave down to `floor` at the last step. `warm_restarts` (Loshchilov and Hutter 2017): half
    waves, the first of `period` epochs, each `growth` times as long as the last. `plateau`: times
    `gamma` whenever more
    than `patience` validations in a row brought no gain in the metric of early stopping.
    """

    name: Literal["constant", "exponential", "cosine", "warm_restarts", "plateau"]
    warmup_steps: Annotated[int, Field(ge=0, le=10**9)]
    gamma: Share | None = None  # None: a key that this schedule does not have
    floor: Share | None = None
    period: Annotated[float, Field(gt=0, le=1e6)] | None = None
    growth: Annotated[float, Field(ge=1, le=100)] | None = None
    patience: Positive | None = None

    @model_validator(mode="after")
    def _has_its_keys(self) -> Self:
        for key in ("gamma", "floor", "period", "growth", "patience"):
            needed, given = key in KEYS[self.name], getattr(self, key) is not None
            if needed and not given:
                raise broken(key, f"must be given for {self.name}")
            if given and not needed:
                raise broken(key, f"must be left out for {self.name}")
        return self


class OptimizerSection(Section):
    """One group's optimizer. `lr`: the highest rate of its `schedule`; `clip_norm`: 0 clips
    nothing."""

    name: Literal["adam", "adamw", "muon"]
    lr: Annotated[float, Field(gt=0, le=1)]
    weight_decay: Amount
    clip_norm: Amount
    schedule: ScheduleSection


class Course(NamedTuple):
    """Where a phase of training stands. `watched`: the metric of early stopping at each validation
    so far, signed so that lower is better; `min_delta`: the least fall that counts as a gain."""

    step: int
    num_steps: int
    steps_an_epoch: float
    watched: tuple[float, ...]
    min_delta: float


def make_optimizer(
    section: OptimizerSection, parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) or Muon (Jordan et al.
    2024)."""
    if section.name == "muon":
        return Muon(parameters, section.lr, section.weight_decay)
    kind = torch.optim.AdamW if section.name == "adamw" else torch.optim.Adam
    # Fused: one pass over each tensor, where the plain loop makes ten.
    return kind(parameters, lr=section.lr, weight_decay=section.weight_decay, fused=True)


def rate_at(section: ScheduleSection, course: Course) -> float:
    """The share of the highest rate that holds at a step."""
    step = course.step - section.warmup_steps
    if step < 0:
        return (course.step + 1) / (section.warmup_steps + 1)
    floor = section.floor or 0.0
    if section.name == "exponential":
        assert section.gamma is not None
        return max(floor, math.pow(section.gamma, step / course.steps_an_epoch))
    if section.name == "plateau":
        assert section.gamma is not None and section.patience is not None
        drops = num_drops(course.watched, section.patience, course.min_delta)
        return max(floor, math.pow(section.gamma, drops))
    if section.name == "cosine":
        return _half_wave(step / max(1, course.num_steps - section.warmup_steps), floor)
    if section.name == "warm_restarts":
        assert section.period is not None and section.growth is not None
        return _half_wave(_place(step / course.steps_an_epoch, section), floor)
    return 1.0


def num_drops(watched: Sequence[float], patience: int, min_delta: float) -> int:
    """How often more than `patience` values in a row were no better (lower by more than
    `min_delta`) than the best before them; each drop begins to count anew."""
    best, bad, drops = math.inf, 0, 0
    for value in watched:
        if value < best - min_delta:
            best, bad = value, 0
        else:
            bad += 1
        if bad > patience:
            bad, drops = 0, drops + 1
    return drops


def _half_wave(place: float, floor: float) -> float:
    return floor + (1 - floor) * (1 + math.cos(math.pi * place)) / 2


def _place(epochs: float, section: ScheduleSection) -> float:
    """How far, from 0 to 1, `epochs` lie into their period."""
    period, growth = section.period or 1.0, section.growth or 1.0
    while epochs >= period:
        epochs -= period
        period *= growth
    return epochs / period
