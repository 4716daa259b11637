"""What the numbers of reports mean, for the pages that show them."""

from __future__ import annotations

from pipeline.metrics.base import RIM_REACH
from pipeline.metrics.perception import GOOD_LPIPS
from pipeline.metrics.scales import LEAST_SIDE

DEFINITIONS = (
    "Pictures are RGB (or gray) and quantised to 8 bits; nothing is cropped before a metric.",
    "PSNR, MSE and MAE are over all pixels and channels; PSNR is averaged over samples after "
    "clipping at 100 dB.",
    "SSIM: Gaussian σ = 1.5, 11×11, K1 0.01, K2 0.03, data range 255, averaged over the valid "
    "interior. MS-SSIM: the same over five scales, weighted as by Wang, Simoncelli and Bovik "
    f"(2003), for pictures whose shorter side is {LEAST_SIDE} px or more.",
    "Of luma: of the ITU-R BT.601 luma of both pictures alone. In damage (masked): over the truly "
    "damaged pixels; outside damage: over all others; on its rim: over those up to "
    f"{RIM_REACH} px to either side of the true mask's boundary. SSIM of a region is the map of "
    "the whole picture, averaged over the region.",
    "Dacon score: 0.2 SSIM + 0.4 SSIM in damage + 0.4 hue correlation. CIEDE2000: mean over pixels "
    "(Sharma, Wu, Dalal 2005). Colorfulness: Hasler and Süsstrunk (2003); its ratio is that to the "
    "original's.",
    "Contrast in a region: how its pixels stand out from what is around them, by how those of the "
    "original do, as a least-squares slope: 1 is all of it, 0 none. On what is kept: over the "
    "pixels of real defects, which are in the original too.",
)
WEIGHTS = {  # of LPIPS, as `evaluate.<pair>.lpips` names them
    "reference": "the half-precision weights that PATINA_REFERENCE_WEIGHTS leads to",
    "official": "torchvision's AlexNet and the authors' linear layers",
}


def define_lpips(weights: str) -> str:
    """What LPIPS is with these weights, and what is counted as good."""
    return (
        f"LPIPS v0.1 with AlexNet, on {WEIGHTS.get(weights, weights)}. Share good: of samples "
        f"whose LPIPS is {GOOD_LPIPS:g} or less."
    )
