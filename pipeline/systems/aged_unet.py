"""Takes grain and wear from old gray photos: a small U-Net without norm layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from pipeline.config import Channels, Section
from pipeline.losses import mse
from pipeline.systems import SYSTEMS, Pairs, Restored, System, Tensor, Terms, pad_to_multiple


class AgedUnetSection(Section):
    """`widths` from full resolution down, then the three layers of the `bottleneck`."""

    color: Literal["gray", "grayscale"]
    widths: tuple[Channels, ...]
    bottleneck: Annotated[tuple[Channels, ...], Field(min_length=1)]


class AgedNet(nn.Module):
    """N1HW in [0, 1] → the same, through a sigmoid; any height and width."""

    def __init__(self, channels: int, widths: tuple[int, ...], bottleneck: tuple[int, ...]) -> None:
        super().__init__()
        self.down, self.up, self.join = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = channels
        for width in widths:
            self.down.append(_convs(before, width, width))
            before = width
        self.bottleneck = _convs(before, *bottleneck)
        before = bottleneck[-1]
        for width in reversed(widths):
            self.up.append(nn.ConvTranspose2d(before, width, 2, stride=2))
            self.join.append(_convs(2 * width, width, width))
            before = width
        self.head = nn.Conv2d(before, channels, 1)
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Restore a picture."""
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, 2 ** len(self.down))
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for up, join, skip in zip(self.up, self.join, reversed(skips), strict=True):
            x = join(torch.cat([up(x), skip], 1))
        return torch.sigmoid(self.head(x).float())[..., :height, :width]


@SYSTEMS.add
class AgedUnet(System):
    """Mean squared error on the whole picture; damage is everywhere, so composite = prediction."""

    section_type = AgedUnetSection
    channels = 1

    def __init__(self, section: AgedUnetSection) -> None:
        super().__init__()
        self.net = AgedNet(self.channels, section.widths, section.bottleneck)

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """One network."""
        return {"restorer": self.net}

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """One term."""
        yield "restorer", {"mse": mse(self.net(batch.corrupted), batch.clean)}

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
    ) -> Restored:
        """Given a `mask`, only its pixels change."""
        prediction = self.net(x)
        composite = prediction if mask is None else torch.where(mask >= 0.5, prediction, x)
        return Restored(prediction, None, composite, {})


def _convs(*widths: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, width in itertools.pairwise(widths):
        layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _initialize(module: nn.Module) -> None:
    """He et al. 2015, for ReLU: without norm layers the default start is too faint to learn
    quickly."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
