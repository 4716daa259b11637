"""CIE Lab and the classification of its a and b: bins over sRGB's gamut, rare colors weighing more.

Zhang, Isola, Efros 2016, "Colorful image colorization".
"""

import functools

import numpy as np
import torch

from pipeline.losses import at_least_float32

Tensor = torch.Tensor

# sRGB (IEC 61966-2-1) and CIE Lab under D65, 2° observer, in scikit-image's digits.
SRGB_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)
_TO_XYZ = np.array(SRGB_TO_XYZ) / np.array(WHITE)[:, None]
RGB_TO_XYZ: list[list[float]] = _TO_XYZ.tolist()  # of linear RGB, relative to the white
XYZ_TO_RGB: list[list[float]] = np.linalg.inv(_TO_XYZ).tolist()

AB_STEP = 10.0  # CIE units between bins
# The bins that hold a color of sRGB: the lowest and highest b (in steps) for each a from -9 steps.
AB_LOWEST_A = -9
AB_ROWS = (
    *((8, 8), (4, 8), (2, 9), (0, 9), (-2, 9), (-3, 9), (-4, 9), (-4, 9), (-5, 9), (-6, 9)),
    *((-7, 8), (-7, 8), (-8, 8), (-9, 8), (-9, 7), (-10, 7), (-11, 7), (-11, 7), (-9, 0), (-7, -5)),
)
NUM_AB_BINS = sum(high - low + 1 for low, high in AB_ROWS)  # 261; the paper's wider hull has 313
NUM_NEAREST = 5
SOFT_SIGMA = 5.0  # CIE units
ANNEALED = 0.38  # the paper's temperature: between the mean (1) and the mode (0)
ROWS_AT_ONCE = 65536  # pixels whose distances to all bins are held together


def rgb_to_lab(x: Tensor) -> Tensor:
    """sRGB N3HW in [0, 1] → N3HW: L in 0..100, a and b in CIE units (±110). Differentiable.

    Equals scikit-image's ``color.rgb2lab``. Runs outside of autocast.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = at_least_float32(x)
        linear = torch.where(x > 0.04045, ((x.clamp(min=0.04) + 0.055) / 1.055) ** 2.4, x / 12.92)
        xyz = _mix(linear, RGB_TO_XYZ)
        # Clamped above 0, whose root has no slope: a branch not taken must not give NaN either.
        root = torch.where(xyz > 0.008856, xyz.clamp(min=0.008) ** (1 / 3), 7.787 * xyz + 16 / 116)
        fx, fy, fz = root.unbind(1)
        return torch.stack((116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)), 1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """N3HW as from `rgb_to_lab` → sRGB N3HW, clamped to [0, 1]: colors out of gamut lose their
    slope. Equals scikit-image's ``color.lab2rgb``. Runs outside of autocast."""
    with torch.autocast(lab.device.type, enabled=False):
        light, a, b = at_least_float32(lab).unbind(1)
        fy = (light + 16) / 116
        root = torch.stack((fy + a / 500, fy, (fy - b / 200).clamp(min=0)), 1)
        xyz = torch.where(root > 0.2068966, root**3, (root - 16 / 116) / 7.787)
        linear = _mix(xyz, XYZ_TO_RGB)
        curved = 1.055 * linear.clamp(min=0.003) ** (1 / 2.4) - 0.055
        return torch.where(linear > 0.0031308, curved, 12.92 * linear).clamp(0, 1)


@functools.cache
def ab_bins(device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """K×2 (K = `NUM_AB_BINS`): the a and b of each bin's center, in CIE units."""
    with torch.inference_mode(False):  # cached for trainings too
        steps = [(a, b) for a, (low, high) in enumerate(AB_ROWS) for b in range(low, high + 1)]
        centers = torch.tensor(steps, dtype=dtype) + torch.tensor([AB_LOWEST_A, 0], dtype=dtype)
        return (centers * AB_STEP).to(device)


def nearest_bins(ab: Tensor, count: int = NUM_NEAREST) -> tuple[Tensor, Tensor]:
    """ab N×2×H×W in CIE units → the nearest bins' numbers, int64 N×count×H×W, nearest first, and
    their squared distances. Without gradient."""
    with torch.autocast(ab.device.type, enabled=False), torch.no_grad():
        flat = at_least_float32(ab).movedim(1, -1)
        centers = ab_bins(ab.device, flat.dtype)
        found = [
            # Differences, not products: float32 would lose the digits that tell near bins apart.
            (rows[:, None] - centers).square().sum(-1).topk(count, largest=False)
            for rows in torch.split(flat.reshape(-1, 2), ROWS_AT_ONCE)
        ]
        shape = (*flat.shape[:-1], count)
        numbers = torch.cat([one.indices for one in found]).view(shape)
        squares = torch.cat([one.values for one in found]).view(shape)
        return numbers.movedim(-1, 1), squares.movedim(-1, 1)


def encode_ab(ab: Tensor) -> Tensor:
    """ab N×2×H×W in CIE units → N×K×H×W shares of bins, sum 1: the five nearest bins, weighed by a
    Gaussian of σ 5 of their distance. Without gradient."""
    numbers, shares = _soft_bins(ab)
    count, _, height, width = ab.shape
    return shares.new_zeros(count, NUM_AB_BINS, height, width).scatter_(1, numbers, shares)


def decode_ab(logits: Tensor, temperature: float = ANNEALED) -> Tensor:
    """Logits N×K×H×W → ab N×2×H×W: the mean of the bins' centers under softmax(logits / T).

    Zhang's annealed mean; towards T = 0 the likeliest bin, 1 the plain mean. Differentiable.
    """
    with torch.autocast(logits.device.type, enabled=False):
        logits = at_least_float32(logits)
        chance = torch.softmax(logits / temperature, 1)
        return torch.einsum("nkhw,kc->nchw", chance, ab_bins(logits.device, logits.dtype))


def ab_prior(ab: Tensor) -> Tensor:
    """How often each bin is the nearest one: ab N×2×H×W of true photos → float32 K, sum 1.

    Counts of batches of one size may be averaged.
    """
    numbers, _ = nearest_bins(ab, 1)
    counts = torch.bincount(numbers.flatten(), minlength=NUM_AB_BINS).float()
    return counts / counts.sum()


def rebalancing_weights(prior: Tensor, mix: float = 0.5, smoothing: float = SOFT_SIGMA) -> Tensor:
    """Weights of bins, K, from `ab_prior`: rare colors weigh more.

    Zhang's equation 4: w ∝ 1 / ((1 - mix) · p̃ + mix / K), scaled so that Σ p̃ w = 1; p̃ is the
    prior smoothed over ab by a Gaussian of σ `smoothing` CIE units (0: as it is). `mix` (λ): 1
    weighs all alike, 0 by the inverse of p̃ alone, which then must be above 0 everywhere.
    """
    prior = at_least_float32(prior) / at_least_float32(prior).sum()
    if smoothing > 0:
        centers = ab_bins(prior.device, prior.dtype)
        squares = (centers[:, None] - centers).square().sum(-1)
        spread = torch.exp(-squares / (2 * smoothing**2))
        prior = prior @ (spread / spread.sum(1, keepdim=True))
    weights = 1 / ((1 - mix) * prior + mix / len(prior))
    return weights / (prior * weights).sum()


def rebalanced_cross_entropy(logits: Tensor, ab: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of logits N×K×H×W and the soft bins of the true ab N×2×H×W, each pixel weighed
    by its nearest bin's weight (K, from `rebalancing_weights`); mean over pixels. Zhang's equation
    2, with the mean in place of the sum; `encode_ab` is not spread out in memory.
    """
    numbers, shares = _soft_bins(ab)
    with torch.autocast(logits.device.type, enabled=False):
        chosen = torch.log_softmax(at_least_float32(logits), 1).gather(1, numbers)
        pixel = -(shares.to(chosen.dtype) * chosen).sum(1)
        return (weights.to(chosen.dtype)[numbers[:, 0]] * pixel).mean()


def _soft_bins(ab: Tensor) -> tuple[Tensor, Tensor]:
    numbers, squares = nearest_bins(ab)
    return numbers, torch.softmax(-squares / (2 * SOFT_SIGMA**2), 1)


def _mix(x: Tensor, matrix: list[list[float]]) -> Tensor:
    """Each pixel's three channels times a 3×3 matrix, as sums: a product could round to TF32."""
    red, green, blue = x.unbind(1)
    return torch.stack([r * red + g * green + b * blue for r, g, b in matrix], 1)
