"""Makes a whole color photo of a damaged gray one in three networks: find the hole, fill it, color
the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import nn

from pipeline.config import Amount, Channels, Positive, Section
from pipeline.losses import mse, weighted_l1
from pipeline.losses.adversarial import AdversarialKind, fake, fool, real
from pipeline.losses.perceptual import FeatureNetwork, perceptual
from pipeline.systems import SYSTEMS, Pairs, Restored, System, Tensor, Terms
from pipeline.systems.colors import (
    AbHead,
    Answer,
    ColorLoss,
    ab_of,
    color_loss,
    colorize,
    lightness,
    luma,
    true_ab,
)
from pipeline.systems.critics import PatchCritic
from pipeline.systems.dilated import Inpainter
from pipeline.systems.unet import Unet

ORDERS = {
    "inpaint_first": ("mask", "inpaint", "color"),
    "color_first": ("mask", "color", "inpaint"),
}


class ThreeStageSection(Section):
    """`order`: fill the hole in the gray or in the colored picture. `widths`, `bottleneck`,
    `num_blocks`: of the U-Nets that find the hole and the colors; `inpainter_width`: at full
    resolution, a quarter of it deep inside; `rates`: dilations of its blocks.

    Weights of the losses: `mask_weight` (L2), `mask_perceptual_weight`; `picture_weight` (L1), to
    which each pixel of the hole adds `hole_weight` times its own, `adversarial_weight`;
    `color_weight`, `color_perceptual_weight`. `threshold`: mask probability from which a pixel
    belongs to the hole.
    """

    order: Literal["inpaint_first", "color_first"]
    widths: Annotated[tuple[Channels, ...], Field(min_length=1)]
    bottleneck: Channels
    num_blocks: Annotated[int, Field(ge=0, le=100)]
    mask_weight: Amount
    mask_perceptual_weight: Amount
    inpainter_width: Channels
    inpainter_blocks: Positive
    rates: Annotated[tuple[Positive, ...], Field(min_length=1)]
    picture_weight: Amount
    hole_weight: Amount
    adversarial: AdversarialKind
    adversarial_weight: Amount
    critic_width: Channels
    critic_layers: Annotated[int, Field(ge=1, le=6)]
    color_loss: ColorLoss
    color_weight: Amount
    color_perceptual_weight: Amount
    perceptual_network: FeatureNetwork
    threshold: Annotated[float, Field(gt=0, lt=1)]


class Masker(nn.Module):
    """Gray N1HW in [0, 1] → probability of the hole N1HW, float32."""

    def __init__(self, section: ThreeStageSection) -> None:
        super().__init__()
        self.body = Unet(1, section.widths, section.bottleneck, section.num_blocks)
        self.head = nn.Conv2d(section.widths[0], 1, 1)

    def forward(self, gray: Tensor) -> Tensor:
        """Any height and width."""
        return torch.sigmoid(self.head(self.body(gray * 2 - 1)).float())


class Colorizer(nn.Module):
    """Gray N1HW in [0, 1] → what an AbHead says of its L."""

    def __init__(self, section: ThreeStageSection) -> None:
        super().__init__()
        self.body = Unet(1, section.widths, section.bottleneck, section.num_blocks)
        self.head = AbHead(section.widths[0], section.color_loss)

    def forward(self, gray: Tensor, ab: Tensor | None = None) -> Answer:
        """Any height and width; `ab`: the true colors, to learn from."""
        answer: Answer = self.head(self.body(lightness(gray) / 50 - 1), ab)
        return answer


@SYSTEMS.add
class ThreeStage(System):
    """One phase a network, in the order of the chain, and each learns on the pictures that the
    frozen networks before it leave.

    The hole is cut hard: it is where the mask's probability reaches `threshold`. Outside it, no
    stage touches the gray: the gray of the composite, rounded to bytes, is the input's.
    """

    section_type = ThreeStageSection
    needs_mask = True
    channels = 1

    def __init__(self, section: ThreeStageSection) -> None:
        super().__init__()
        self.section = section
        self.phases = ORDERS[section.order]
        self.threshold = section.threshold
        planes = 1 if section.order == "inpaint_first" else 3
        self.masker = Masker(section)
        self.inpainter = Inpainter(
            planes, section.inpainter_width, section.inpainter_blocks, section.rates
        )
        self.critic = PatchCritic(planes, section.critic_width, section.critic_layers)
        self.colorizer = Colorizer(section)

    @property
    def target_channels(self) -> int:
        """RGB."""
        return 3

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """A network, and the critic of the inpainter."""
        groups: dict[str, dict[str, nn.Module]] = {
            "mask": {"masker": self.masker},
            "inpaint": {"inpainter": self.inpainter, "critic": self.critic},
            "color": {"colorizer": self.colorizer},
        }
        return groups[phase]

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """The stages before `phase` look on without gradient."""
        if phase == "mask":
            yield "masker", self._mask_terms(batch)
        elif phase == "color":
            yield "colorizer", self._color_terms(batch)
        else:
            yield from self._inpaint_updates(batch)

    def _mask_terms(self, batch: Pairs) -> Terms:
        found, weights = self.masker(batch.corrupted), self.section
        terms = {"mask": weights.mask_weight * mse(found, batch.mask)}
        if weights.mask_perceptual_weight:  # it costs as much as the network
            shape = perceptual(found, batch.mask, weights.perceptual_network)
            terms["mask_perceptual"] = weights.mask_perceptual_weight * shape
        return terms

    def _inpaint_updates(self, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """The critic judges the picture as the chain passes it on, whole around the filled hole."""
        weights = self.section
        hole, seen = self._seen("inpaint", batch.corrupted)
        target = luma(batch.clean) if seen.shape[1] == 1 else batch.clean
        made = self._fill(seen, hole)
        filled = torch.where(hole > 0, made, seen)
        off = weighted_l1(made, target, 1 + weights.hole_weight * hole)
        fooled = fool(self.critic(filled), weights.adversarial)
        yield (
            "inpainter",
            {
                "picture": weights.picture_weight * off,
                "adversarial": weights.adversarial_weight * fooled,
            },
        )
        yield (
            "critic",
            {
                "real": real(self.critic(target), weights.adversarial),
                "fake": fake(self.critic(filled.detach()), weights.adversarial),
            },
        )

    def _color_terms(self, batch: Pairs) -> Terms:
        """The perceptual distance is taken with the gray of the clean photo, so that it tells of
        colors alone, also under a hole that is not filled yet."""
        weights, ab = self.section, true_ab(batch.clean)
        _, seen = self._seen("color", batch.corrupted)
        answer = self.colorizer(seen, ab)
        terms = {"color": weights.color_weight * color_loss(answer, ab)}
        if weights.color_perceptual_weight:
            picture = colorize(luma(batch.clean), ab_of(answer, seen))
            look = perceptual(picture, batch.clean, weights.perceptual_network)
            terms["color_perceptual"] = weights.color_perceptual_weight * look
        return terms

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
        degraded: Tensor | None = None,
    ) -> Restored:
        """Given a `mask`, it is used in place of the predicted one; with `color` False the picture
        is three times its gray. The prediction is the chain's last picture, and so the composite.
        """
        found = self.masker(x) if mask is None else mask
        hole, stages, picture = self._hole(found), {"mask": found}, x
        for stage in self.phases[1:]:
            picture = self._pass(stage, picture, hole)
            stages["inpainted" if stage == "inpaint" else "colored"] = picture
        if color is False:
            picture = torch.where(hole > 0, luma(picture), x).expand_as(picture)
        return Restored(picture, found, picture, stages)

    @torch.no_grad()
    def _seen(self, phase: str, x: Tensor) -> tuple[Tensor, Tensor]:
        """The hole that the chain finds in `x`, and the picture that it has made before `phase`."""
        hole, picture = self._hole(self.masker(x)), x
        for stage in self.phases[1 : self.phases.index(phase)]:
            picture = self._pass(stage, picture, hole)
        return hole, picture

    def _hole(self, found: Tensor) -> Tensor:
        return (found >= self.threshold).float()

    def _pass(self, stage: str, picture: Tensor, hole: Tensor) -> Tensor:
        if stage == "inpaint":
            return torch.where(hole > 0, self._fill(picture, hole), picture)
        return colorize(picture, ab_of(self.colorizer(picture), picture))

    def _fill(self, picture: Tensor, hole: Tensor) -> Tensor:
        made: Tensor = self.inpainter(torch.cat([picture * (1 - hole), hole], 1))
        return made
