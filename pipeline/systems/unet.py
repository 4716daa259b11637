"""A U-shape of residual stages that ends in features: its owner puts the head on."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.systems import Tensor, pad_to_multiple
from pipeline.systems.blocks import ResidualStage, resize_to


class Unet(nn.Module):
    """N×inputs×H×W → N×``widths[0]``×H×W of any height and width.

    `widths` of the levels from full resolution down, then the `bottleneck`; `num_blocks` a stage.
    """

    def __init__(
        self, inputs: int, widths: tuple[int, ...], bottleneck: int, num_blocks: int
    ) -> None:
        super().__init__()
        self.down, self.narrow, self.up = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for before, width in zip((inputs, *widths), (*widths, bottleneck), strict=True):
            self.down.append(ResidualStage(before, width, num_blocks))
        for width, below in zip(reversed(widths), (bottleneck, *reversed(widths)), strict=False):
            self.narrow.append(nn.Conv2d(below, width, 1))
            self.up.append(ResidualStage(2 * width, width, num_blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Features."""
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, 2 ** len(self.up))
        skips: list[Tensor] = []
        for stage in list(self.down)[:-1]:
            x = stage(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for narrow, stage, skip in zip(self.narrow, self.up, reversed(skips), strict=True):
            x = resize_to(narrow(x), (skip.shape[-2], skip.shape[-1]))
            x = stage(torch.cat([x, skip], 1))
        return x[..., :height, :width]
