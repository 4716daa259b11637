"""Denoises and deblurs photos of parts and keeps their real defects: a U-Net with attention that is
told where the defects are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from pipeline.complaints import broken
from pipeline.config import Amount, Channels, Section, Share
from pipeline.losses import l1, mse, weighted_l1, weighted_mse
from pipeline.losses.perceptual import FeatureNetwork, perceptual
from pipeline.losses.structure import edge_l1, masked_ssim, ssim
from pipeline.systems import SYSTEMS, Pairs, Restored, System, Tensor, Terms, pad_to_multiple


class TermWeights(Section):
    """Of the five parts of the loss; a part of weight 0 is not computed."""

    defect: Amount
    ssim: Amount
    perceptual: Amount
    edge: Amount
    basic: Amount

    @model_validator(mode="after")
    def _some_part(self) -> TermWeights:
        if not any(self.model_dump().values()):
            raise broken("basic", "must be more than 0 where all other parts are 0")
        return self


class DefectWeights(Section):
    """Inside the part `defect`; a pixel to keep counts ``1 + gain`` times in its means."""

    mse: Amount
    ssim: Amount
    l1: Amount
    gain: Amount


class BasicWeights(Section):
    """Inside the part `basic`."""

    mse: Amount
    l1: Amount


class DefectUnetSection(Section):
    """`widths` of the levels from full resolution down, then the `bottleneck`; `skips`: one switch
    a level; `dropout` of whole channels; `reduction` of channels inside the attention.

    `blend_width`: channels between the keep mask and the blend of both heads; `keep_drop`: how
    often training hides the keep mask from the network.
    """

    widths: Annotated[tuple[Channels, ...], Field(min_length=1)]
    bottleneck: Channels
    skips: tuple[bool, ...]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    reduction: Channels
    blend_width: Channels
    keep_drop: Share
    weights: TermWeights
    defect_weights: DefectWeights
    basic_weights: BasicWeights
    perceptual_network: FeatureNetwork

    @model_validator(mode="after")
    def _a_switch_a_level(self) -> DefectUnetSection:
        if len(self.skips) != len(self.widths):
            raise broken("skips", f"must have one switch a level: {len(self.widths)}")
        return self


class Attention(nn.Module):
    """Channel, then spatial attention (Woo et al. 2018, "CBAM: convolutional block attention
    module"), equations 2 and 3: all layers without bias, as written there."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        hidden = max(1, width // reduction)
        self.squeeze = nn.Linear(width, hidden, bias=False)
        self.widen = nn.Linear(hidden, width, bias=False)
        self.spatial = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×width×H×W → the same, scaled by both."""
        pooled = torch.stack([x.mean((2, 3)), x.amax((2, 3))])
        scale = torch.sigmoid(self.widen(F.relu(self.squeeze(pooled))).sum(0))
        x = x * scale[:, :, None, None]
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.spatial(pooled))


class DefectUnetNet(nn.Module):
    """N3HW in [0, 1] and its keep mask N1HW → N3HW float32, not clamped; any height and width."""

    def __init__(self, section: DefectUnetSection) -> None:
        super().__init__()
        self.skips = section.skips
        self.down, self.attention = nn.ModuleList(), nn.ModuleList()
        self.up, self.join = nn.ModuleList(), nn.ModuleList()
        before = 4
        for width in section.widths:
            self.down.append(_stage(before, width, section.dropout))
            self.attention.append(Attention(width, section.reduction))
            before = width
        self.bottleneck = _stage(before, section.bottleneck, section.dropout)
        before = section.bottleneck
        for width, skip in zip(reversed(section.widths), reversed(self.skips), strict=True):
            self.up.append(nn.ConvTranspose2d(before, width, 2, stride=2))
            self.join.append(_stage(2 * width if skip else width, width, section.dropout))
            before = width
        self.blend = nn.Sequential(
            nn.Conv2d(1, section.blend_width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(section.blend_width, 1, 1),
        )
        self.defect, self.rest = _head(before), _head(before)

    def forward(self, x: Tensor, keep: Tensor) -> Tensor:
        """Padding to a whole number of poolings goes through the network and is cropped off: with
        the skips off too, each pixel comes back at its own place."""
        height, width = x.shape[-2:]
        x = pad_to_multiple(torch.cat([x, keep], 1), 2 ** len(self.down))
        keep = x[:, 3:]
        levels = []
        for stage, attend in zip(self.down, self.attention, strict=True):
            x = attend(stage(x))
            levels.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for up, join, level, skip in zip(
            self.up, self.join, reversed(levels), reversed(self.skips), strict=True
        ):
            x = up(x)
            x = join(torch.cat([x, level], 1) if skip else x)
        share = torch.sigmoid(self.blend(keep).float())
        picture: Tensor = torch.lerp(self.rest(x).float(), self.defect(x).float(), share)
        return picture[..., :height, :width]


@SYSTEMS.add
class DefectUnet(System):
    """Five-part loss on the whole picture, the pixels to keep weighed up; no mask is predicted."""

    section_type = DefectUnetSection
    channels = 3

    def __init__(self, section: DefectUnetSection) -> None:
        super().__init__()
        self.section = section
        self.net = DefectUnetNet(section)

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """One network."""
        return {"restorer": self.net}

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """Five terms. A sample whose keep mask the network does not see still has it in the
        loss."""
        keep = torch.zeros_like(batch.mask) if batch.keep is None else batch.keep
        seen = keep
        if self.net.training:
            shown = torch.rand(len(keep), 1, 1, 1, device=keep.device) >= self.section.keep_drop
            seen = keep * shown
        yield "restorer", self._terms(self.net(batch.corrupted, seen), batch.clean, keep)

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
        degraded: Tensor | None = None,
    ) -> Restored:
        """`keep` tells where the defects are; without one the network looks for itself. Given a
        `mask`, only its pixels change."""
        seen = torch.zeros_like(x[:, :1]) if keep is None else keep
        prediction = self.net(x, seen).clamp(0, 1)
        composite = prediction
        if mask is not None:
            composite = torch.where(mask >= self.threshold, prediction, x)
        return Restored(prediction, None, composite, {})

    def _terms(self, made: Tensor, clean: Tensor, keep: Tensor) -> Terms:
        basic = self.section.basic_weights
        network = self.section.perceptual_network
        parts: dict[str, Callable[[], Tensor]] = {
            "defect": lambda: self._defect(made, clean, keep),
            "ssim": lambda: 1 - ssim(made, clean),
            "perceptual": lambda: perceptual(made, clean, network),
            "edge": lambda: edge_l1(made, clean),
            "basic": lambda: basic.mse * mse(made, clean) + basic.l1 * l1(made, clean),
        }
        weights = self.section.weights.model_dump()
        # `ssim` is what validation calls the metric, which is no loss.
        names = {"ssim": "structure"}
        return {
            names.get(name, name): weights[name] * part()
            for name, part in parts.items()
            if weights[name]
        }

    def _defect(self, made: Tensor, clean: Tensor, keep: Tensor) -> Tensor:
        weights = self.section.defect_weights
        weight = 1 + weights.gain * keep
        return (
            weights.mse * weighted_mse(made, clean, weight)
            + weights.ssim * (1 - masked_ssim(made, clean, keep))
            + weights.l1 * weighted_l1(made, clean, weight)
        )


def _stage(before: int, width: int, dropout: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (before, width):
        # BatchNorm takes the mean off again: a bias would do nothing.
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Dropout2d(dropout))


def _head(width: int) -> nn.Conv2d:
    head = nn.Conv2d(width, 3, 1)
    assert head.bias is not None
    nn.init.constant_(head.bias, 0.5)  # the middle of [0, 1]
    return head
