"""Colors for gray pictures: networks answer with Lab a/b, the gray is kept as it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.losses import mse
from pipeline.losses.lab import (
    NUM_AB_BINS,
    ab_prior,
    decode_ab,
    lab_to_rgb,
    rebalanced_cross_entropy,
    rebalancing_weights,
    rgb_to_lab,
)
from pipeline.systems import Tensor, pad_to_multiple

ColorLoss = Literal["regression", "rebalanced"]

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as damage takes color away
AB_SCALE = 110.0  # CIE units that networks call 1 (Zhang et al. 2016)
STRIDE = 4  # of the resolution at which colors are classified (Zhang et al. 2016)
NEWS = 0.01  # least share of the running prior that a new batch makes up


class Answer(NamedTuple):
    """What an AbHead says. `raw`: N2HW a/b in units of AB_SCALE, or logits over a/b bins at a
    quarter of the resolution; `weights`: of each bin in the loss, None for regression.
    """

    raw: Tensor
    weights: Tensor | None


class AbHead(nn.Module):
    """Features N×inputs×H×W of any size → a/b: regressed, or classified with rare colors weighed
    more (Zhang et al. 2016, "Colorful image colorization").

    How often each color comes is learned on the way: a running mean over the batches of training,
    a buffer like BatchNorm's statistics.
    """

    prior: Tensor
    num_batches: Tensor

    def __init__(self, inputs: int, kind: ColorLoss) -> None:
        super().__init__()
        self.kind = kind
        self.layers: nn.Module = nn.Conv2d(inputs, 2, 1)
        with torch.no_grad():  # start near gray: loud first colors would drown what else is learned
            for parameter in self.layers.parameters():
                parameter.mul_(0.1)
        if kind == "rebalanced":
            self.register_buffer("prior", torch.full((NUM_AB_BINS,), 1 / NUM_AB_BINS))
            self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))
            self.layers = nn.Sequential(
                nn.Conv2d(inputs, 4 * inputs, STRIDE, stride=STRIDE),
                nn.ReLU(inplace=True),
                nn.Conv2d(4 * inputs, NUM_AB_BINS, 1),
            )

    def forward(self, features: Tensor, ab: Tensor | None = None) -> Answer:
        """`ab` N2HW, the true colors, where there are any to learn from."""
        if self.kind == "regression":
            return Answer(self.layers(features).float(), None)
        if self.training and ab is not None:
            self._count(_quarter(ab))
        raw = self.layers(pad_to_multiple(features, STRIDE)).float()
        return Answer(raw, rebalancing_weights(self.prior))

    @torch.no_grad()
    def _count(self, ab: Tensor) -> None:
        self.num_batches += 1
        share = torch.clamp(1 / self.num_batches, min=NEWS)
        self.prior.lerp_(ab_prior(ab).to(self.prior), share.to(self.prior))


def ab_of(answer: Answer, like: Tensor) -> Tensor:
    """Lab a/b N2HW in CIE units, of the height and width of `like`."""
    if answer.weights is None:
        return answer.raw * AB_SCALE
    ab = decode_ab(answer.raw)
    ab = F.interpolate(ab, scale_factor=STRIDE, mode="bilinear", align_corners=False)
    return ab[..., : like.shape[-2], : like.shape[-1]]


def color_loss(answer: Answer, ab: Tensor) -> Tensor:
    """Mean squared error in units of AB_SCALE, or the rebalanced cross-entropy; `ab` N2HW in CIE
    units."""
    if answer.weights is None:
        return mse(answer.raw, ab / AB_SCALE)
    return rebalanced_cross_entropy(answer.raw, _quarter(ab), answer.weights)


def luma(rgb: Tensor) -> Tensor:
    """N3HW → N1HW (ITU-R BT.601)."""
    red, green, blue = rgb.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def lightness(gray: Tensor) -> Tensor:
    """Lab's L in 0..100 of a gray picture N1HW in [0, 1]."""
    return rgb_to_lab(gray.expand(-1, 3, -1, -1))[:, :1]


def colorize(gray: Tensor, ab: Tensor) -> Tensor:
    """The picture N3HW in [0, 1] with L of `gray` and these a/b, its luma then set back to `gray`:
    colors of one L differ in luma, and the clamp of `lab_to_rgb` moves both."""
    return with_luma(lab_to_rgb(torch.cat([lightness(gray), ab], 1)), gray)


def with_luma(rgb: Tensor, gray: Tensor) -> Tensor:
    """`rgb` moved along the gray axis until its luma is `gray`, N1HW in [0, 1]; where a channel
    would leave [0, 1], color gives way and luma stays.

    Rounded to bytes, the result has the gray bytes that `images.to_gray` makes of it.
    """
    tint = rgb - luma(rgb)
    room = torch.where(tint > 0, 1 - gray, gray)
    share = (room / tint.abs().clamp(min=1e-6)).amin(1, keepdim=True).clamp(max=1)
    return (gray + share * tint).clamp(0, 1)


def true_ab(clean: Tensor) -> Tensor:
    """Lab a/b N2HW of RGB pictures."""
    return rgb_to_lab(clean)[:, 1:]


def _quarter(ab: Tensor) -> Tensor:
    return F.avg_pool2d(pad_to_multiple(ab, STRIDE), STRIDE)
