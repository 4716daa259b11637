"""In which numbers a training computes, and how fp16 keeps small gradients from vanishing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from lightning_fabric.plugins.precision import MixedPrecision, Precision

PrecisionName = Literal["auto", "fp32", "bf16", "fp16"]
FIRST_SCALE = 2.0**13  # ten halvings lead to 8: sums over pictures need no more than 128
GROWTH_STEPS = 2000  # good steps after which the scale is tried twice as large
MAX_SKIPPED = 10  # steps in a row; then the gradients are bad at any scale


class HalfPrecision(MixedPrecision):
    """Autocast to float16 on any device, without the scaler that Fabric would hide: ours is part of
    the state that a resumed run goes on with."""

    def __init__(self, device: str) -> None:
        super().__init__("16-mixed", device, torch.amp.GradScaler(device, enabled=False))
        self.scaler = None


@dataclass
class LossScale:
    """Micikevicius et al. 2018, "Mixed precision training": the losses of a group of weights are
    multiplied by `value`, so that their gradients fit into float16; it is halved when they do
    not."""

    value: float = FIRST_SCALE
    good: int = 0  # steps since it changed
    skipped: int = 0  # steps in a row

    def update(self, finite: bool) -> None:
        """After a step was made (`finite`) or had to be skipped."""
        self.skipped = 0 if finite else self.skipped + 1
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.value /= 2
        elif self.good == GROWTH_STEPS:
            self.value, self.good = self.value * 2, 0


def resolve_precision(name: str, device: str) -> str:
    """ "fp32", "bf16" or "fp16"; "auto" is bf16 where the processor computes in it."""
    if name != "auto":
        return name
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if _fast_bf16() else "fp32"


def make_precision(name: str, device: str) -> Precision:
    """Fabric's plugin for a resolved precision."""
    if name == "fp16":
        return HalfPrecision(device)
    return MixedPrecision("bf16-mixed", device) if name == "bf16" else Precision()


def unscale(gradients: Sequence[torch.Tensor], scale: float) -> None:
    """Divide gradients, in place, by what their loss was multiplied with."""
    if scale != 1.0 and gradients:
        torch._foreach_mul_(list(gradients), 1 / scale)


def autocast_dtype(name: str) -> Any:
    """torch's type of a resolved precision, or None for float32."""
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(name)


def _fast_bf16() -> bool:
    """Does this processor multiply bf16 itself? Emulated, it is slower than float32."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
