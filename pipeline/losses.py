"""Losses: pure functions on float32 NCHW; each averages per sample first, then over the batch."""

import torch
import torch.nn.functional as F

Tensor = torch.Tensor


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Absolute difference summed over channels, averaged over the damaged pixels of each sample.

    `mask` is N1HW, 1 = damaged. A sample with an empty mask counts as 0.
    """
    difference = (prediction.float() - target.float()).abs().sum(1, keepdim=True) * mask
    count = mask.sum((1, 2, 3))
    return (difference.sum((1, 2, 3)) / count.clamp(min=1)).mean()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(prediction.float(), target.float())


def bce_on_logits(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of logits, mean over pixels; safe under autocast."""
    return F.binary_cross_entropy_with_logits(logits.float(), target.float())
