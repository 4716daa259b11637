"""Restores distorted paintings: a variational autoencoder of 128×128 pictures with additive
skips."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from pipeline.config import Amount, Channels, Section
from pipeline.errors import TrainingError
from pipeline.losses import bce_sum, kl_normal
from pipeline.systems import SYSTEMS, Aside, Pairs, Restored, System, Tensor, Terms
from pipeline.systems.tiles import restore_tiles

SIDE = 128  # px: the fully connected layers take no other


class SkipVaeSection(Section):
    """`widths` of the encoder's levels, the first at half resolution; `hidden`: between features
    and `latent`; `skips`: may the decoder see the encoder's levels, or the latent code alone?

    `beta` weighs the Kullback-Leibler term (Higgins et al. 2017, "beta-VAE"); `overlap` px: what
    neighbouring tiles of larger pictures share.
    """

    widths: Annotated[tuple[Channels, ...], Field(min_length=1, max_length=6)]
    hidden: Channels
    latent: Channels
    skips: bool
    beta: Amount
    overlap: Annotated[int, Field(ge=0, le=SIDE // 2)]


class SkipVaeNet(nn.Module):
    """Encoder, latent code, decoder (Kingma, Welling 2014, "Auto-encoding variational Bayes")."""

    def __init__(self, widths: tuple[int, ...], hidden: int, latent: int, skips: bool) -> None:
        super().__init__()
        side = SIDE >> len(widths)
        self.skips = skips
        self.shape = (widths[-1], side, side)
        self.down = nn.ModuleList(
            nn.Conv2d(before, width, 4, stride=2, padding=1)
            for before, width in itertools.pairwise((3, *widths))
        )
        self.squeeze = nn.Linear(widths[-1] * side * side, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.widen = nn.Linear(latent, hidden)
        self.spread = nn.Linear(hidden, widths[-1] * side * side)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, width, 4, stride=2, padding=1)
            for before, width in itertools.pairwise((*reversed(widths), 3))
        )

    def forward(self, x: Tensor, sample: bool) -> tuple[Tensor, Tensor, Tensor]:
        """N3×128×128 in [0, 1] → (logits of the same shape, mean and log-variance N×latent), all
        float32. `sample`: draw the latent code with torch's generator, or take its mean?
        """
        if x.shape[-2:] != (SIDE, SIDE):
            what = f"trains on {SIDE}×{SIDE} px only, not {x.shape[-2]}×{x.shape[-1]}"
            raise TrainingError("skip_vae", what, f"set stream.crop of its training to {SIDE}")
        levels = []
        for layer in self.down:
            x = F.relu(layer(x))
            levels.append(x)
        x = F.relu(self.squeeze(x.flatten(1)))
        mean, log_variance = self.mean(x).float(), self.log_variance(x).float()
        code = mean
        if sample:
            code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        x = F.relu(self.spread(F.relu(self.widen(code)))).view(-1, *self.shape)
        # The deepest level has no skip of its own: all that it knows went through the code.
        for layer, level in zip(list(self.up)[:-1], reversed(levels[:-1]), strict=True):
            x = F.relu(layer(x))
            x = x + level if self.skips else x
        logits: Tensor = self.up[-1](x)
        return logits.float(), mean, log_variance


@SYSTEMS.add
class SkipVae(System):
    """Binary cross-entropy summed over a picture + ``beta`` · divergence from the normal prior.

    Learns to copy clear pictures first (phase "clear"), then to clear distorted ones from there.
    """

    section_type = SkipVaeSection
    phases = ("clear", "distorted")
    channels = 3
    tile = SIDE

    def __init__(self, section: SkipVaeSection) -> None:
        super().__init__()
        self.section = section
        self.net = SkipVaeNet(section.widths, section.hidden, section.latent, section.skips)

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """One network."""
        return {"restorer": self.net}

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """The code is sampled in training mode, its mean taken in evaluation."""
        seen = batch.clean if phase == "clear" else batch.corrupted
        logits, mean, log_variance = self.net(seen, sample=self.net.training)
        yield (
            "restorer",
            {
                "bce": bce_sum(logits, batch.clean),
                "kl": self.section.beta * kl_normal(mean, log_variance),
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
        """From the mean code; other sizes than 128×128 by overlapping tiles. Given a `mask`, only
        its pixels change."""
        prediction = restore_tiles(x, SIDE, self.section.overlap, self._restore_tile).clamp(0, 1)
        composite = prediction
        if mask is not None:
            composite = torch.where(mask >= self.threshold, prediction, x)
        return Restored(prediction, None, composite, {})

    def aside(self, x: Tensor) -> Aside:
        """With skips, the same without them, for they let the network ignore its code; and the
        divergence of the code from the normal prior in nats, mean over the tiles of a picture."""
        section, divergences = self.section, []

        def restore(tile: Tensor) -> Tensor:
            logits, mean, log_variance = self.net(tile, sample=False)
            pairs = zip(mean, log_variance, strict=True)
            divergences.append(torch.stack([kl_normal(m[None], v[None]) for m, v in pairs]))
            return torch.sigmoid(logits)

        pictures, skips = {}, self.net.skips
        self.net.skips = False
        try:
            made = restore_tiles(x, SIDE, section.overlap, restore).clamp(0, 1)
        finally:
            self.net.skips = skips
        if skips:
            pictures["without_skips"] = made
        # Each call had the tiles of all N pictures in one row of tiles, N after N.
        kl = torch.cat([one.view(-1, x.shape[0]) for one in divergences]).mean(0)
        return Aside(pictures, {"kl": kl})

    def _restore_tile(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(x, sample=False)[0]
        return torch.sigmoid(logits)
