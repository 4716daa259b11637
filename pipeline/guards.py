"""What a training refuses before it does harm: values that are not finite, names that nothing
measures, more processes than can share the work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch

from pipeline.errors import ParamsError, TrainingError


def check_finite(where: str, values: Mapping[str, float]) -> None:
    """Raise TrainingError with all `values` unless each is finite."""
    if not all(math.isfinite(value) for value in values.values()):
        told = ", ".join(f"{name} {value:g}" for name, value in values.items())
        raise TrainingError(
            where, f"not finite: {told}", "lower the learning rate; the last good weights are kept"
        )


def check_weights(where: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise TrainingError unless all tensors are finite: nothing else may reach the disk."""
    bad = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    check_finite(where, dict.fromkeys(bad[:1], math.nan))


def check_metric(where: str, metric: str, known: Iterable[str]) -> None:
    """Raise ParamsError unless validation gives the `metric` of early stopping."""
    known = list(known)
    if metric not in known:
        step = f"use one of {', '.join(known)}"
        raise ParamsError(f"params: {where}.early_stop.metric", f"{metric!r} is not measured", step)


def check_dealing(where: str, accumulate: int, num_streams: int, size: int, workers: int) -> None:
    """Raise ParamsError unless `size` processes, of `workers` loader processes each, can share the
    micro-batches of a step and the streams of the training that params tell of at `where`."""
    if accumulate % size:
        what = f"{accumulate} micro-batches a step cannot be shared by {size} processes"
        step = "choose a number of processes that divides it"
        raise ParamsError(f"{where}.accumulate", what, step)
    if num_streams % (size * max(1, workers)):
        loaders = f" of {workers} loaders each" if workers > 1 else ""
        what = f"{num_streams} cannot be shared by {size} processes{loaders}"
        step = "choose numbers whose product divides it"
        raise ParamsError(f"{where}.stream.num_streams", what, step)
