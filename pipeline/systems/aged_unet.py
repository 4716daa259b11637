"""Takes grain and wear from old gray photos, and colors them where wanted: a small U-Net without
norm layers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from pipeline.config import Amount, Channels, Section
from pipeline.losses import mse
from pipeline.systems import SYSTEMS, Pairs, Restored, System, Tensor, Terms, pad_to_multiple
from pipeline.systems.colors import (
    AbHead,
    Answer,
    ColorLoss,
    ab_of,
    color_loss,
    colorize,
    luma,
    true_ab,
    with_luma,
)


class AgedUnetSection(Section):
    """`widths` from full resolution down, then the three layers of the `bottleneck`.

    `color`: the picture that comes out; `rgb` and `lab` make a colored one of a gray one. For `lab`
    alone, `color_loss` says how a/b are learned, and `color_weight` what that counts beside the
    squared error of the gray.
    """

    color: Literal["gray", "grayscale", "rgb", "lab"]
    widths: tuple[Channels, ...]
    bottleneck: Annotated[tuple[Channels, ...], Field(min_length=1)]
    color_loss: ColorLoss
    color_weight: Amount


class AgedNet(nn.Module):
    """Gray N1HW in [0, 1] → N×channels×H×W in [0, 1], through a sigmoid; any height and width."""

    def __init__(self, channels: int, widths: tuple[int, ...], bottleneck: tuple[int, ...]) -> None:
        super().__init__()
        self.down, self.up, self.join = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before = 1
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
        return torch.sigmoid(self.head(self._features(x)).float())

    def _features(self, x: Tensor) -> Tensor:
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
        return x[..., :height, :width]


class AgedLabNet(AgedNet):
    """Gray N1HW in [0, 1] → (restored gray N1HW in [0, 1], what an AbHead says of its colors)."""

    def __init__(
        self, widths: tuple[int, ...], bottleneck: tuple[int, ...], kind: ColorLoss
    ) -> None:
        super().__init__(1, widths, bottleneck)
        self.colors = AbHead(widths[0], kind)

    def forward(self, x: Tensor, ab: Tensor | None = None) -> tuple[Tensor, Answer]:  # type: ignore[override]
        """`ab` N2HW: the true colors, to learn from."""
        features = self._features(x)
        return torch.sigmoid(self.head(features).float()), self.colors(features, ab)


@SYSTEMS.add
class AgedUnet(System):
    """Mean squared error on the whole picture, in mode `lab` of its gray, beside a loss of a/b.
    Damage is everywhere, so composite = prediction.
    """

    section_type = AgedUnetSection
    channels = 1

    def __init__(self, section: AgedUnetSection) -> None:
        super().__init__()
        self.section = section
        self.net: AgedNet = (
            AgedLabNet(section.widths, section.bottleneck, section.color_loss)
            if section.color == "lab"
            else AgedNet(self.target_channels, section.widths, section.bottleneck)
        )

    @property
    def target_channels(self) -> int:
        """What `color` says."""
        return 3 if self.section.color in ("rgb", "lab") else 1

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """One network."""
        return {"restorer": self.net}

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """One term, or two for gray and colors."""
        if self.section.color == "lab":
            ab = true_ab(batch.clean)
            gray, answer = self.net(batch.corrupted, ab)
            colors = self.section.color_weight * color_loss(answer, ab)
            yield "restorer", {"gray": mse(gray, luma(batch.clean)), "color": colors}
        else:
            yield "restorer", {"picture": mse(self.net(batch.corrupted), batch.clean)}

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
        degraded: Tensor | None = None,
    ) -> Restored:
        """Given a `mask`, the gray of its pixels alone changes; with `color` False what would be
        colored is three times its gray."""
        if self.section.color == "lab":
            gray, answer = self.net(x)
            prediction = colorize(gray, ab_of(answer, gray))
        else:
            prediction = self.net(x)
        if self.target_channels == 3 and color is False:
            prediction = luma(prediction).expand_as(prediction)
        if mask is None:
            return Restored(prediction, None, prediction, {})
        whole = x if self.target_channels == 1 else with_luma(prediction, x)
        return Restored(prediction, None, torch.where(mask >= 0.5, prediction, whole), {})


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
