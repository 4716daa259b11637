"""Layers that several systems are built from."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor


class _ReflectOne(torch.autograd.Function):
    """Reflection by one pixel, in the memory format and dtype of its input.

    F.pad's own reflection leaves both under CPU autocast, which makes training steps slower.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        out = torch.empty(
            (count, channels, height + 2, width + 2),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last,
        )
        out[:, :, 1:-1, 1:-1] = x
        out[:, :, 0, 1:-1] = x[:, :, 1]
        out[:, :, -1, 1:-1] = x[:, :, -2]
        out[:, :, :, 0] = out[:, :, :, 2]
        out[:, :, :, -1] = out[:, :, :, -3]
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,) = grads
        rows = grad[:, :, :, 1:-1].clone(memory_format=torch.channels_last)
        rows[:, :, :, 1] += grad[:, :, :, 0]
        rows[:, :, :, -2] += grad[:, :, :, -1]
        rows[:, :, 2] += rows[:, :, 0]
        rows[:, :, -3] += rows[:, :, -1]
        return rows[:, :, 1:-1]


def reflect_one(x: Tensor) -> Tensor:
    """Pad by one pixel on each side: reflection, or the edge where a side has one pixel only."""
    if min(x.shape[-2:]) < 2:
        return F.pad(x, (1, 1, 1, 1), mode="replicate")
    padded: Tensor = _ReflectOne.apply(x)  # type: ignore[no-untyped-call]
    return padded


class ReflectConv(nn.Conv2d):
    """3×3 convolution over reflected borders, H×W in and out."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """N×inputs×H×W → N×outputs×H×W."""
        kind = x.device.type
        if torch.is_autocast_enabled(kind):
            x = x.to(torch.get_autocast_dtype(kind))
        return F.conv2d(reflect_one(x), self.weight, self.bias)


class ResidualBlock(nn.Module):
    """3×3 convolution without bias → BatchNorm → + input → SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = ReflectConv(width, width, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """N×width×H×W → the same."""
        return F.silu(self.norm(self.conv(x)) + x)


class ResidualStage(nn.Module):
    """3×3 convolution + SiLU to the new width, then residual blocks."""

    def __init__(self, inputs: int, width: int, num_blocks: int) -> None:
        super().__init__()
        self.conv = ReflectConv(inputs, width)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(num_blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """N×inputs×H×W → N×width×H×W."""
        out: Tensor = self.blocks(F.silu(self.conv(x)))
        return out


def resize_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear to `size`, in the dtype that comes in (autocast would go through float32 here)."""
    with torch.autocast(x.device.type, enabled=False):
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)
