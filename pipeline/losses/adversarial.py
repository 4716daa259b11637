"""What a generator and its critic play for: least squares or hinge, on the critic's logits."""

from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F

from pipeline.losses import at_least_float32

Tensor = torch.Tensor
AdversarialKind: TypeAlias = Literal["lsgan", "hinge"]


def fool(logits: Tensor, kind: AdversarialKind) -> Tensor:
    """The generator's loss, from the critic's logits D of generated pictures; mean over all.

    lsgan: ½ (D - 1)², Mao et al. 2017, "Least squares generative adversarial networks", equation
    9 (a 0, b = c = 1). hinge: -D, Lim & Ye 2017, "Geometric GAN".
    """
    logits = at_least_float32(logits)
    return -logits.mean() if kind == "hinge" else 0.5 * (logits - 1).square().mean()


def real(logits: Tensor, kind: AdversarialKind) -> Tensor:
    """The critic's loss on true pictures. lsgan: ½ (D - 1)²; hinge: max(0, 1 - D)."""
    logits = at_least_float32(logits)
    return F.relu(1 - logits).mean() if kind == "hinge" else 0.5 * (logits - 1).square().mean()


def fake(logits: Tensor, kind: AdversarialKind) -> Tensor:
    """The critic's loss on generated pictures. lsgan: ½ D²; hinge: max(0, 1 + D)."""
    logits = at_least_float32(logits)
    return F.relu(1 + logits).mean() if kind == "hinge" else 0.5 * logits.square().mean()
