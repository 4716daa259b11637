"""The restorer's network: a U of residual blocks, deep enough to see past large holes."""

from __future__ import annotations

import itertools
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.systems import pad_to_multiple

Tensor = torch.Tensor
BlockKind = Literal["drunet", "naf"]
FAINT = 0.1  # of the default start: an untrained head hardly says anything
SILENCE = 1e-3  # of features, beside which nothing is told apart
HOLDING = -3.0  # first logit: what is there stays
RARE = -2.0  # first logit: most pixels are whole (Lin et al. 2017, "Focal loss")


class ConvBlock(nn.Module):
    """3×3 convolution → ReLU → 3×3 convolution → + input; no norm.

    The block of DRUNet (Zhang et al. 2021, "Plug-and-play image restoration with deep denoiser
    prior"), with biases: without them the network could not tell black from nothing.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N×width×H×W → the same."""
        out: Tensor = x + self.second(F.relu(self.first(x)))
        return out


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each pixel; no copy where memory is channels-last."""

    def forward(self, x: Tensor) -> Tensor:
        """N×width×H×W → the same."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NafBlock(nn.Module):
    """Layer norm, 1×1 and depthwise 3×3 convolutions, halves multiplied, channels weighed by their
    mean; then layer norm and 1×1 convolutions (Chen et al. 2022, "Simple baselines for image
    restoration").

    Its channel weights look at the whole tile. `first_share` and `second_share` scale what each
    half adds; published start: 0, here small, so that every weight learns from the first step on.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = LayerNorm2d(width), LayerNorm2d(width)
        self.widen = nn.Conv2d(width, 2 * width, 1)
        self.around = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.weigh = nn.Conv2d(width, width, 1)
        self.narrow = nn.Conv2d(width, width, 1)
        self.mix = nn.Sequential(nn.Conv2d(width, 2 * width, 1), Gate(), nn.Conv2d(width, width, 1))
        self.first_share = nn.Parameter(torch.full((1, width, 1, 1), 0.1))
        self.second_share = nn.Parameter(torch.full((1, width, 1, 1), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        """N×width×H×W → the same."""
        inner = gate(self.around(self.widen(self.first_norm(x))))
        inner = inner * self.weigh(inner.mean((2, 3), keepdim=True))
        x = x + self.narrow(inner) * self.first_share.to(inner.dtype)
        out: Tensor = x + self.mix(self.second_norm(x)) * self.second_share.to(inner.dtype)
        return out


def gate(x: Tensor) -> Tensor:
    """One half of the channels times the other."""
    one, other = x.chunk(2, 1)
    return one * other


class Gate(nn.Module):
    """`gate` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """N×2w×H×W → N×w×H×W."""
        return gate(x)


BLOCKS: dict[BlockKind, type[ConvBlock | NafBlock]] = {"drunet": ConvBlock, "naf": NafBlock}


class Outputs(NamedTuple):
    """float32: `change` N×channels×H×W to add to the picture, `mask` logits N1HW, `degraded`
    logits N."""

    change: Tensor
    mask: Tensor
    degraded: Tensor


class Encoder(nn.Module):
    """The way down: blocks, 2×2 convolutions of stride 2; and what all levels say of the whole."""

    def __init__(
        self, inputs: int, widths: tuple[int, ...], num_blocks: tuple[int, ...], kind: BlockKind
    ) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(
            stage(width, count, kind) for width, count in zip(widths, num_blocks, strict=True)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(width, below, 2, stride=2) for width, below in itertools.pairwise(widths)
        )
        verdict = nn.Linear(widths[-1], 1)
        with torch.no_grad():
            verdict.weight *= FAINT
            verdict.bias.fill_(RARE)
        self.judge = nn.Sequential(nn.Linear(sum(widths), widths[-1]), nn.ReLU(), verdict)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """N×inputs×H×W, sides a multiple of 2^downs → features of each level, top first, and the
        logit N of "the whole photo is degraded", float32."""
        x = self.enter(x)
        levels, seen = [], []
        for number, blocks in enumerate(self.stages):
            x = blocks(self.down[number - 1](x) if number else x)
            levels.append(x)
            seen.append(log_size(x))
        with torch.autocast(x.device.type, enabled=False):  # logarithms need their digits
            logit: Tensor = self.judge(torch.cat(seen, 1))
        return levels, logit[:, 0]


class RestorerNet(nn.Module):
    """Picture and planes in, `Outputs` out: an encoder, and a decoder whose skips are added.

    Squares of ``fold²`` pixels become channels first, and channels pixels again last (as in FFDNet,
    Zhang et al. 2018): few wide layers fill a processor's units where many thin ones do not.
    """

    def __init__(
        self,
        channels: int,
        planes: int,
        widths: tuple[int, ...],
        num_blocks: tuple[int, ...],
        kind: BlockKind,
        fold: int,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.encoder = Encoder((channels + planes) * fold**2, widths, num_blocks, kind)
        self.stages, self.up = nn.ModuleList(), nn.ModuleList()
        for width, below, count in zip(widths, widths[1:], num_blocks, strict=False):
            self.up.append(nn.ConvTranspose2d(below, width, 2, stride=2))
            self.stages.append(stage(width, count, kind))
        # All from one layer: each of its own costs as much, so few channels they have.
        self.channels = channels
        self.heads = nn.Conv2d(widths[0], (channels + 2) * fold**2, 3, padding=1)
        self.multiple = fold * 2 ** (len(widths) - 1)
        assert self.heads.bias is not None
        with torch.no_grad():
            shares = fold**2
            self.heads.weight[: channels * shares] *= FAINT
            self.heads.bias[: channels * shares] = 0
            self.heads.bias[-2 * shares : -shares] = HOLDING
            self.heads.bias[-shares:] = RARE

    def forward(self, seen: Tensor) -> Outputs:
        """N×(channels + planes)×H×W of any height and width, the picture in [-1, 1].

        The change is what is painted, less that share of the picture which is to be forgotten: in a
        hole nothing of it is worth keeping, and to take it away exactly is hard to learn.
        """
        height, width = seen.shape[-2:]
        levels, degraded = self.encoder(self.padded(seen))
        x = levels[-1]
        for up, blocks, skip in reversed(list(zip(self.up, self.stages, levels[:-1], strict=True))):
            x = blocks(up(x) + skip)
        heads = F.pixel_shuffle(self.heads(x), self.fold)[..., :height, :width].float()
        paint, forget, mask = torch.split(heads, [self.channels, 1, 1], 1)
        picture = (seen[:, : self.channels] + 1) / 2
        return Outputs(paint - torch.sigmoid(forget) * picture, mask, degraded)

    def padded(self, x: Tensor) -> Tensor:
        """Sides that can be halved as often as the net goes down, folded, memory channels-last."""
        x = F.pixel_unshuffle(pad_to_multiple(x, self.multiple), self.fold)
        return x.contiguous(memory_format=torch.channels_last)


def log_size(x: Tensor) -> Tensor:
    """N×width: logarithm of the mean of |x| over the pixels, in float32 at least.

    Of noise the mean is nearly 0, its size is not; and the logarithm tells faint noise from none.
    """
    dtype = torch.promote_types(x.dtype, torch.float32)
    total: Tensor = torch.linalg.vector_norm(x, 1, dim=(2, 3), dtype=dtype)
    return torch.log(total / (x.shape[-2] * x.shape[-1]) + SILENCE)


def stage(width: int, num_blocks: int, kind: BlockKind) -> nn.Sequential:
    """Blocks of one level."""
    return nn.Sequential(*(BLOCKS[kind](width) for _ in range(num_blocks)))
