"""Fills holes from far around them: residual blocks of several dilations side by side (AOT-GAN,
Zeng et al. 2021, "Aggregated contextual transformations for high-resolution image inpainting",
arXiv 2104.01431)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.systems import Tensor, pad_to_multiple

STRIDE = 4  # of the resolution that the blocks work at


class Inpainter(nn.Module):
    """N×(channels + 1)×H×W, the picture with its hole at 0 and the hole as a plane, in [0, 1] →
    N×channels×H×W in [0, 1], float32; any height and width.

    Two strided convolutions from `width` to ``4 · width`` at a quarter of the resolution,
    `num_blocks` aggregated blocks, and back up. The authors end in tanh; a sigmoid meets targets in
    [0, 1].
    """

    def __init__(self, channels: int, width: int, num_blocks: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels + 1, width, 7)
        self.down = nn.ModuleList(
            nn.Conv2d(factor * width, 2 * factor * width, 4, stride=2, padding=1)
            for factor in (1, 2)
        )
        self.blocks = nn.Sequential(*(AotBlock(4 * width, rates) for _ in range(num_blocks)))
        self.up = nn.ModuleList(
            nn.Conv2d(2 * factor * width, factor * width, 3, padding=1) for factor in (2, 1)
        )
        self.head = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """The picture that the network sees under and around the hole."""
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, STRIDE)
        x = F.relu(self.first(pad_around(x, 3)))
        for layer in self.down:
            x = F.relu(layer(x))
        x = self.blocks(x)
        for layer in self.up:
            x = F.relu(layer(_twice(x)))
        return torch.sigmoid(self.head(x).float())[..., :height, :width]


class AotBlock(nn.Module):
    """Aggregated contextual transformation: 3×3 convolutions of several dilation `rates`, joined,
    and a gate that chooses for each place and channel between them and what came in."""

    def __init__(self, width: int, rates: tuple[int, ...]) -> None:
        super().__init__()
        branch = max(1, width // len(rates))
        self.rates = rates
        self.branches = nn.ModuleList(nn.Conv2d(width, branch, 3, dilation=rate) for rate in rates)
        self.join = nn.Conv2d(branch * len(rates), width, 3)
        self.gate = nn.Conv2d(width, width, 3, bias=False)  # the gate's norm takes any bias away

    def forward(self, x: Tensor) -> Tensor:
        """N×width×H×W → the same."""
        seen = [
            F.relu(branch(pad_around(x, rate)))
            for rate, branch in zip(self.rates, self.branches, strict=True)
        ]
        joined = self.join(pad_around(torch.cat(seen, 1), 1))
        gate = torch.sigmoid(_spread(self.gate(pad_around(x, 1)))).to(joined.dtype)
        mixed: Tensor = x * (1 - gate) + joined * gate
        return mixed


def pad_around(x: Tensor, amount: int) -> Tensor:
    """Pad each side by reflection; by the edge along a direction that is too short to reflect. The
    dtype that comes in stays (autocast would go through float32 here)."""
    vertical, horizontal = (
        "reflect" if amount < length else "replicate" for length in x.shape[-2:]
    )
    with torch.autocast(x.device.type, enabled=False):
        if vertical == horizontal:
            return F.pad(x, (amount, amount, amount, amount), mode=vertical)
        x = F.pad(x, (0, 0, amount, amount), mode=vertical)
        return F.pad(x, (amount, amount, 0, 0), mode=horizontal)


def _spread(x: Tensor) -> Tensor:
    """The authors' norm for gates: each channel of each sample has mean -5 and deviation 10."""
    x = x.float()
    off = x - x.mean((2, 3), keepdim=True)
    deviation: Tensor = (off.square().mean((2, 3), keepdim=True) + 1e-5).sqrt()
    return 10 * off / deviation - 5


def _twice(x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)
