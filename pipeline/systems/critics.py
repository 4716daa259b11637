"""Critics: networks that tell true pictures from generated ones, patch by patch."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

Tensor = torch.Tensor


class PatchCritic(nn.Module):
    """PatchGAN of Isola et al. 2017, "Image-to-image translation with conditional adversarial
    networks": with three layers each logit sees 70×70 px.

    4×4 convolutions, LeakyReLU 0.2; `num_layers` of stride 2, each twice as wide up to 8 × `width`,
    then two of stride 1; BatchNorm on all but the first and the last. Weights start at N(0, 0.02).
    """

    def __init__(self, channels: int, width: int = 64, num_layers: int = 3) -> None:
        super().__init__()
        self.least_side = 3 * 2**num_layers  # px; fewer leave the last convolution nothing
        widths = [width * min(2**i, 8) for i in range(num_layers + 1)]
        layers = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for number, (inputs, outputs) in enumerate(itertools.pairwise(widths), 1):
            stride = 2 if number < num_layers else 1
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.apply(_start)

    def forward(self, x: Tensor) -> Tensor:
        """N×channels×H×W → float32 N×1×h×w logits; sides under 24 px (3 · 2^layers) get their edge
        repeated."""
        below, right = (max(0, self.least_side - side) for side in x.shape[-2:])
        x = F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x
        logits: Tensor = self.layers(x)
        return logits.float()


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
