"""Finds squares and circles and paints what was under them: one encoder, one decoder for the
picture, one for the mask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from pipeline.config import Amount, Channels, Section
from pipeline.losses import bce_on_logits, masked_l1
from pipeline.systems import SYSTEMS, Pairs, Restored, System, Tensor, Terms, pad_to_multiple
from pipeline.systems.blocks import ResidualStage, resize_to


class DualDecoderSection(Section):
    """`widths` of the levels from full resolution down, then the `bottleneck`; `num_blocks` a
    stage; `threshold`: mask probability from which a pixel counts as damaged.
    """

    widths: tuple[Channels, ...]
    bottleneck: Annotated[int, Field(ge=2, le=8_192)]
    num_blocks: Annotated[int, Field(ge=0, le=100)]
    picture_weight: Amount
    mask_weight: Amount
    threshold: Annotated[float, Field(gt=0, lt=1)]


class Decoder(nn.Module):
    """From the bottleneck up: to half the width, to the skip's size, join, stage; then a 1×1
    head."""

    def __init__(
        self, widths: tuple[int, ...], bottleneck: int, num_blocks: int, outputs: int
    ) -> None:
        super().__init__()
        self.narrow, self.stages = nn.ModuleList(), nn.ModuleList()
        above = bottleneck
        for width in reversed(widths):
            self.narrow.append(nn.Conv2d(above, above // 2, 1))
            self.stages.append(ResidualStage(width + above // 2, width, num_blocks))
            above = width
        self.head = nn.Conv2d(above, outputs, 1)

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        """Bottleneck features and the skips, top level first → N×outputs×H×W, float32."""
        for narrow, stage, skip in zip(self.narrow, self.stages, reversed(skips), strict=True):
            # The 1×1 convolution and the resize commute (both linear, the resize's weights sum to
            # 1);
            # this order is four times cheaper.
            x = resize_to(narrow(x), (skip.shape[-2], skip.shape[-1]))
            x = stage(torch.cat([x, skip], 1))
        out: Tensor = self.head(x)
        return out.float()


class DualDecoderNet(nn.Module):
    """N3HW in [-1, 1] → (picture N3HW in [-1, 1], mask logits N1HW)."""

    def __init__(self, widths: tuple[int, ...], bottleneck: int, num_blocks: int) -> None:
        super().__init__()
        inputs = (3, *widths)
        self.encoder = nn.ModuleList(
            ResidualStage(before, width, num_blocks)
            for before, width in zip(inputs, (*widths, bottleneck), strict=True)
        )
        self.picture = Decoder(widths, bottleneck, num_blocks, 3)
        self.mask = Decoder(widths, bottleneck, num_blocks, 1)
        # Most pixels are whole: starting from a low probability spares the first steps (Lin et al.
        # 2017, "Focal loss for dense object detection").
        assert self.mask.head.bias is not None
        nn.init.constant_(self.mask.head.bias, -2.0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Any height and width."""
        height, width = x.shape[-2:]
        x = pad_to_multiple(x, 2 ** (len(self.encoder) - 1))
        skips = []
        for stage in list(self.encoder)[:-1]:
            x = stage(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.encoder[-1](x)
        picture, logits = torch.tanh(self.picture(x, skips)), self.mask(x, skips)
        return picture[..., :height, :width], logits[..., :height, :width]


@SYSTEMS.add
class DualDecoder(System):
    """Loss ``picture_weight · L1 on damaged pixels + mask_weight · binary cross-entropy``."""

    section_type = DualDecoderSection
    needs_mask = True
    channels = 3

    def __init__(self, section: DualDecoderSection) -> None:
        super().__init__()
        self.section = section
        self.threshold = section.threshold
        self.net = DualDecoderNet(section.widths, section.bottleneck, section.num_blocks)

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """One network."""
        return {"restorer": self.net}

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """Both heads at once."""
        picture, logits = self.net(batch.corrupted * 2 - 1)
        yield (
            "restorer",
            {
                "picture": self.section.picture_weight
                * masked_l1(picture, batch.clean * 2 - 1, batch.mask),
                "mask": self.section.mask_weight * bce_on_logits(logits, batch.mask),
            },
        )

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
        degraded: Tensor | None = None,
    ) -> Restored:
        """Given a `mask`, it is used in place of the predicted one."""
        picture, logits = self.net(x * 2 - 1)
        prediction = ((picture + 1) / 2).clamp(0, 1)
        found = torch.sigmoid(logits) if mask is None else mask
        composite = torch.where(found >= self.threshold, prediction, x)
        return Restored(prediction, found, composite, {})
