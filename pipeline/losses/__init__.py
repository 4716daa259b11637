"""Losses: pure functions on float NCHW, at least float32 inside, a 0-d tensor out."""

import torch
import torch.nn.functional as F

Tensor = torch.Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Half precision as float32; float32 and float64 as they are."""
    return x if x.dtype == torch.float64 else x.float()


def l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference."""
    return F.l1_loss(at_least_float32(prediction), at_least_float32(target))


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference."""
    return F.mse_loss(at_least_float32(prediction), at_least_float32(target))


def weighted_l1(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean of weight × |difference|; `weight` NCHW or N1HW. Not divided by the weights' sum."""
    difference = at_least_float32(prediction) - at_least_float32(target)
    return (at_least_float32(weight) * difference.abs()).mean()


def weighted_mse(prediction: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean of weight × difference²; `weight` NCHW or N1HW. Not divided by the weights' sum."""
    difference = at_least_float32(prediction) - at_least_float32(target)
    return (at_least_float32(weight) * difference.square()).mean()


def masked_l1(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Absolute difference summed over channels, averaged over the damaged pixels of each sample,
    then over the batch.

    `mask` is N1HW, 1 = damaged. A sample with an empty mask counts as 0.
    """
    mask = at_least_float32(mask)
    difference = at_least_float32(prediction) - at_least_float32(target)
    total = (difference.abs().sum(1, keepdim=True) * mask).sum((1, 2, 3))
    return (total / mask.sum((1, 2, 3)).clamp(min=1)).mean()


def bce_on_logits(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of logits, mean over pixels; safe under autocast."""
    return F.binary_cross_entropy_with_logits(at_least_float32(logits), at_least_float32(target))


def bce_sum(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of logits summed over channels and pixels, mean over the batch.

    With `target` in [0, 1] this is minus the log-likelihood of a VAE's Bernoulli decoder (Kingma &
    Welling 2014, "Auto-encoding variational Bayes"). Its least value is the target's entropy, not
    0.
    """
    total = F.binary_cross_entropy_with_logits(
        at_least_float32(logits), at_least_float32(target), reduction="sum"
    )
    return total / logits.shape[0]


def kl_normal(mu: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mu, exp(log_variance)) ‖ N(0, 1)) in nats, N×D: summed over D, mean over the batch.

    ½ Σ (mu² + exp(log_variance) - 1 - log_variance), Kingma & Welling 2014, appendix B.
    """
    mu, log_variance = at_least_float32(mu), at_least_float32(log_variance)
    # expm1(v) - v keeps the digits that exp(v) - 1 - v loses where v is near 0.
    return (0.5 * (mu.square() + torch.expm1(log_variance) - log_variance)).flatten(1).sum(1).mean()
