"""How alike two pictures are in structure: SSIM, and the L1 distance of their edges."""

import functools
import math

import torch
import torch.nn.functional as F

from pipeline.errors import TrainingError
from pipeline.losses import at_least_float32, l1

Tensor = torch.Tensor

SSIM_SIDE = 11  # px, the window of Wang et al.
SSIM_SIGMA = 1.5  # px
SSIM_K1, SSIM_K2 = 0.01, 0.03  # squared they are C1 and C2: the data range is 1
RIM = SSIM_SIDE // 2  # px at each border over which no whole window lies
SOBEL_EPS = 1e-12  # under the root, whose slope at 0 is infinite


def ssim_map(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity of each whole window: NCHW in [0, 1] → N×C×(H-10)×(W-10) in [-1, 1].

    Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to
    structural similarity": Gaussian window σ 1.5, 11×11, K1 0.01, K2 0.03, data range 1. Data in
    [-1, 1] or 0..255 must be brought to [0, 1] first: the constants belong to that range. Runs
    outside of autocast. Raises TrainingError where a side is under 11 px.
    """
    height, width = target.shape[-2:]
    if min(height, width) < SSIM_SIDE:
        what = f"no window of {SSIM_SIDE}×{SSIM_SIDE} px fits into {height}×{width} px"
        raise TrainingError("ssim", what, f"train on tiles of {SSIM_SIDE} px or more")
    with torch.autocast(target.device.type, enabled=False):
        return _ssim_map(at_least_float32(prediction), at_least_float32(target))


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """`ssim_map` averaged over all: 1 for equal pictures. The loss is 1 - ssim.

    Equals scikit-image's ``structural_similarity(gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False, data_range=1)``, which crops the same rim, within 1e-5.
    """
    return ssim_map(prediction, target).mean()


def masked_ssim(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """`ssim_map` averaged over each sample's masked pixels (N1HW, 1 = counts), then the batch.

    A sample without any, as where they all lie within 5 px of the border, counts as 1. The windows
    themselves reach out of the mask.
    """
    similarity = ssim_map(prediction, target).mean(1, keepdim=True)
    inner = at_least_float32(mask)[..., RIM:-RIM, RIM:-RIM]
    count = inner.sum((1, 2, 3))
    mean = (similarity * inner).sum((1, 2, 3)) / count.clamp(min=1)
    return torch.where(count > 0, mean, 1.0).mean()


def sobel(x: Tensor) -> Tensor:
    """Gradient magnitude of each channel, NCHW → NCHW: √(gx² + gy² + 1e-12), edges repeated.

    Sobel's kernels are the integer ones (1 2 1 against -1 0 1), so a step from 0 to 1 reads 4, and
    scikit-image's ``filters.sobel`` is this divided by 4√2.
    """
    x = F.pad(at_least_float32(x), (1, 1, 1, 1), mode="replicate")
    rows = x[..., :-2, :] + 2 * x[..., 1:-1, :] + x[..., 2:, :]
    columns = x[..., :, :-2] + 2 * x[..., :, 1:-1] + x[..., :, 2:]
    across = rows[..., 2:] - rows[..., :-2]
    down = columns[..., 2:, :] - columns[..., :-2, :]
    return (across.square() + down.square() + SOBEL_EPS).sqrt()


def edge_l1(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the Sobel magnitudes."""
    return l1(sobel(prediction), sobel(target))


def _ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Written in sum s = a + b and difference d = a - b: four blurs instead of five, and where the
    pictures are near each other, the rounding of var(s) cancels out in the quotient."""
    # E[s²] - E[s]² loses its digits on flat bright pictures; a shift changes no variance.
    pivot = (a + b).detach().mean((2, 3), keepdim=True)
    s, d = a + b - pivot, a - b
    s_mean, d_mean, s_square, d_square = _blur(torch.cat((s, d, s * s, d * d), 1)).chunk(4, 1)
    s_variance, d_variance = s_square - s_mean.square(), d_square - d_mean.square()
    c1, c2 = 2 * SSIM_K1**2, 2 * SSIM_K2**2  # s and d double every term
    s_light, d_light = (s_mean + pivot).square() + c1, d_mean.square()
    light = (s_light - d_light) / (s_light + d_light)
    return light * (s_variance - d_variance + c2) / (s_variance + d_variance + c2)


def _blur(x: Tensor) -> Tensor:
    """NCHW → N×C×(H-10)×(W-10), the mean under the Gaussian window: down, then across."""
    channels = x.shape[1]
    # Contiguous: on CUDA a channels_last one would go to cuDNN, which may round to TF32.
    down = _window(x.device, x.dtype).expand(channels, 1, -1, 1)
    return F.conv2d(
        F.conv2d(x.contiguous(), down, groups=channels), down.transpose(2, 3), groups=channels
    )


@functools.cache
def _window(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The Gaussian's 1×1×11×1 weights, sum 1."""
    weights = [math.exp(-0.5 * (i / SSIM_SIGMA) ** 2) for i in range(-RIM, RIM + 1)]
    with torch.inference_mode(False):  # cached for trainings too
        exact = torch.tensor(weights, dtype=torch.float64)
        return (exact / exact.sum()).to(device, dtype).view(1, 1, -1, 1)
