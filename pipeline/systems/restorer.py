"""One blind network for every kind of damage: restores the picture, finds the local damage, and
tells whether the whole photo is degraded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from pipeline.complaints import broken
from pipeline.config import Amount, Channels, Count, Section, Share
from pipeline.losses import bce_on_logits
from pipeline.losses.perceptual import FeatureNetwork, perceptual
from pipeline.systems import SYSTEMS, Pairs, Restored, System, Tensor, Terms
from pipeline.systems.colors import luma, with_luma
from pipeline.systems.restorer_blocks import BlockKind, Outputs, RestorerNet

PLANES = 2  # keep, color
Threshold = Annotated[float, Field(gt=0, lt=1)]
ROUNDED = 0.6 / 255  # what rounding to bytes may move a gray by
BARELY = 0.02  # what damage that nobody sees counts
EPSILON = 1e-3  # of Charbonnier's distance (Zamir et al. 2021, MPRNet)


class RestorerSection(Section):
    """`fold`: side of the squares of pixels that the network sees as one; `widths` of the levels
    from there down, `num_blocks` of each (also on the way up);
    `hole_weight`: what a damaged pixel counts beside a whole one's 1; a `perceptual_weight` of 0
    saves that network's time; `keep_drop`: share of the samples that train without their keep mask;
    `visible_levels`: how far from the original, of 255 levels, a damaged pixel must be to count
    fully in the mask's loss (0: all do); `threshold` and `degraded_threshold`: probability from
    which a pixel counts as damaged, and a photo as degraded everywhere.
    """

    blocks: BlockKind
    channels: Literal[1, 3]
    fold: Annotated[int, Field(ge=1, le=8)]
    widths: Annotated[tuple[Channels, ...], Field(min_length=1)]
    num_blocks: tuple[Count, ...]
    distance: Literal["l1", "charbonnier"]
    picture_weight: Amount
    hole_weight: Amount
    perceptual_weight: Amount
    perceptual_network: FeatureNetwork
    mask_weight: Amount
    visible_levels: Amount
    degraded_weight: Amount
    keep_drop: Share
    threshold: Threshold
    degraded_threshold: Threshold

    @model_validator(mode="after")
    def _one_count_a_level(self) -> RestorerSection:
        if len(self.num_blocks) != len(self.widths):
            raise broken("num_blocks", "must have as many numbers as widths")
        return self


@SYSTEMS.add
class Restorer(System):
    """Composite: the prediction where the mask says damaged, or everywhere if the photo is
    degraded; else the input, of which a gray one gets colors where they are wanted, and keeps its
    gray.

    The network sees the picture and two planes, both 0 where nobody says otherwise: `keep`, and
    `color` (0: a gray photo stays gray; 1: color it). With `channels` 3 a gray photo is three equal
    channels. With `channels` 1 pictures are gray in and out, and `color` has no meaning.

    Sizes of DRUNet's blocks, widths and blocks a level, parameters and receptive field of an output
    pixel: tiny 32-48-64-96-128, 2-1-1-1-1, of folds of 2, 1.18 M, 452 px; base, unfolded,
    32-64-96-128-192-256, 2-2-2-2-2-1, 7.01 M, 634 px; large, unfolded, 64-128-256-384-512,
    4-4-4-2-1, 31.1 M, 434 px. NAFNet's blocks weigh channels by means over all that they are given.
    """

    section_type = RestorerSection
    needs_mask = True

    def __init__(self, section: RestorerSection) -> None:
        super().__init__()
        self.section = section
        self.channels = section.channels
        self.threshold = section.threshold
        self.net = RestorerNet(
            section.channels,
            PLANES,
            section.widths,
            section.num_blocks,
            section.blocks,
            section.fold,
        )

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """One network."""
        return {"restorer": self.net}

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """All three outputs at once."""
        weights = self.section
        corrupted, clean = self._seen(batch.corrupted), self._seen(batch.clean)
        colored = to_be_colored(corrupted, clean, batch.mask)
        change, mask, degraded = self._look(corrupted, self._some_of(batch.keep), colored)
        off = changed(corrupted, clean, colored)
        truly = degraded_outside(off, batch.mask)
        kept = (colored * (1 - truly)).reshape(-1, 1, 1, 1) * (1 - batch.mask)
        picture = corrupted + change
        if colored.any():  # the gray that `restore` will set back teaches nothing
            picture = picture + kept * (luma(corrupted) - luma(picture))
        error = self._distance(picture, clean) * (1 + (weights.hole_weight - 1) * batch.mask)
        terms = {
            "picture": weights.picture_weight * error.mean(),
            "mask": weights.mask_weight * self._mask_loss(mask, batch.mask, off),
            "degraded": weights.degraded_weight * bce_on_logits(degraded, truly),
        }
        if weights.perceptual_weight:
            look = perceptual(picture, clean, weights.perceptual_network)
            terms["perceptual"] = weights.perceptual_weight * look
        yield "restorer", terms

    def judge(self, x: Tensor, keep: Tensor | None = None, color: bool | None = None) -> Tensor:
        """Probability that each whole photo is degraded, N in [0, 1], from half of the network.

        Over the tiles of one photo, average it and hand the mean to `restore` for each of them.
        """
        _, logits = self.net.encoder(self.net.padded(self._planes(self._seen(x), keep, color)))
        return torch.sigmoid(logits)

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
        degraded: Tensor | None = None,
    ) -> Restored:
        """Given a `mask`, only its pixels change. `degraded`: N, or one for all: what `judge` said
        of the photos that these are tiles of; without it, each picture is judged by itself."""
        x = self._seen(x)
        change, logits, own = self._look(x, keep, color)
        prediction = (x + change).clamp(0, 1)
        whole = colored_alone(prediction, x) if color is True and self.channels == 3 else x
        if mask is not None:
            composite = torch.where(mask >= self.threshold, prediction, whole)
            return Restored(prediction, mask, composite, {})
        found = torch.sigmoid(logits)
        probability = torch.sigmoid(own) if degraded is None else degraded
        everywhere = (probability >= self.section.degraded_threshold).reshape(-1, 1, 1, 1)
        composite = torch.where((found >= self.threshold) | everywhere, prediction, whole)
        return Restored(prediction, found, composite, {})

    def _some_of(self, keep: Tensor | None) -> Tensor | None:
        """In training, the keep masks of some samples only."""
        if keep is None or not self.training:
            return keep
        kept = torch.rand(len(keep), 1, 1, 1, device=keep.device) >= self.section.keep_drop
        return keep * kept

    def _look(self, x: Tensor, keep: Tensor | None, color: Tensor | bool | None) -> Outputs:
        out: Outputs = self.net(self._planes(x, keep, color))
        return out

    def _planes(self, x: Tensor, keep: Tensor | None, color: Tensor | bool | None) -> Tensor:
        """The picture in [-1, 1] and its planes in [0, 1]."""
        planes = x.new_zeros(len(x), PLANES, *x.shape[-2:])
        if keep is not None:
            planes[:, :1] = keep
        if color is not None:
            planes[:, 1:] = color if isinstance(color, bool) else color.reshape(-1, 1, 1, 1)
        return torch.cat([x * 2 - 1, planes], 1)

    def _seen(self, x: Tensor) -> Tensor:
        """A gray picture as three equal channels where the network wants three."""
        return x.expand(-1, self.channels, -1, -1)

    def _mask_loss(self, logits: Tensor, mask: Tensor, off: Tensor) -> Tensor:
        """Damage counts as far as it shows: half of a thin layer of dust differs from the photo
        under it by a few levels, and asking for it too hides what there is to find."""
        if not self.section.visible_levels:
            return bce_on_logits(logits, mask)
        shown = (off * 255 / self.section.visible_levels).clamp(BARELY, 1)
        weight = torch.where(mask > 0.5, shown, 1)
        return F.binary_cross_entropy_with_logits(logits, mask, weight)

    def _distance(self, prediction: Tensor, target: Tensor) -> Tensor:
        off = prediction - target
        if self.section.distance == "l1":
            return off.abs()
        return (off.square() + EPSILON**2).sqrt()


def to_be_colored(corrupted: Tensor, clean: Tensor, mask: Tensor) -> Tensor:
    """N, 1.0 for samples whose input is gray outside the mask and whose target is not."""
    gray = ~_any(_spread(corrupted) * (mask < 0.5))
    return (gray & _any(_spread(clean))).float()


def changed(corrupted: Tensor, clean: Tensor, colored: Tensor) -> Tensor:
    """N1HW, how far each pixel is from its target, in [0, 1]; in samples that are `colored` (N, as
    `to_be_colored` says), its gray from the target's."""
    off = (corrupted - clean).abs().amax(1, keepdim=True)
    if colored.any():
        gray = (luma(corrupted) - luma(clean)).abs()
        gray = gray * (gray > ROUNDED)
        off = torch.where(colored.reshape(-1, 1, 1, 1) > 0, gray, off)
    return off


def degraded_outside(off: Tensor, mask: Tensor) -> Tensor:
    """N, 1.0 for samples that are `off` (N1HW, of `changed`) also where the mask says whole."""
    return _any(off * (mask < 0.5)).float()


def colored_alone(prediction: Tensor, x: Tensor) -> Tensor:
    """`x` N3HW, those of its pictures that are gray with the colors of `prediction`, their gray
    kept."""
    gray = ~_any(_spread(x)).reshape(-1, 1, 1, 1)
    return torch.where(gray, with_luma(prediction, x[:, :1]), x)


def _spread(x: Tensor) -> Tensor:
    return x.amax(1, keepdim=True) - x.amin(1, keepdim=True)


def _any(x: Tensor) -> Tensor:
    return x.flatten(1).amax(1) > 0
