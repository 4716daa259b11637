"""What training itself measures: MSE, PSNR and SSIM of pictures, counts and scores of masks.

Pictures are uint8 H×W×3 (RGB) or H×W×1 (gray), masks uint8 H×W with 0 = whole and anything else
(255) = damaged. Every measure is ``fn(prediction, target, mask) -> float | None``; None means
undefined, e.g. a masked one under an empty mask. Nothing is cropped. All other metrics are in
`metrics/`, which no training knows, so that a new one trains nothing again.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity.pictures import PEAK, Mask, Picture, misfit, plain_mask, plain_pair
from pipeline.fidelity.structure import similarity

__all__ = [
    "MASK_THRESHOLD",
    "PSNR_CLIP",
    "Mask",
    "MaskCounts",
    "Picture",
    "aggregate",
    "clip_psnr",
    "mask_counts",
    "mask_scores",
    "measure",
    "mse",
    "mse_masked",
    "mse_psnr",
    "psnr",
    "psnr_masked",
    "ssim",
    "ssim_masked",
]

PSNR_CLIP = 100.0  # dB; equal pictures (inf) enter means as this
MASK_THRESHOLD = 0.1  # a pixel is called damaged from this probability on


class MaskCounts(NamedTuple):
    """Pixels of one photo: rightly marked, wrongly marked, and missed."""

    tp: int
    fp: int
    fn: int


def measure(
    prediction: Picture, target: Picture, mask: Mask | None = None
) -> dict[str, float | None]:
    """``mse, psnr, ssim`` and the same ``…_masked`` of one photo.

    `psnr` is inf for equal pictures (`clip_psnr` before JSON). Raises PipelineError where shapes
    or types do not fit.
    """
    pair = _pair(prediction, target, mask)
    return _error_values(*pair) | _ssim_values(*pair)


def mse(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """Mean squared error of values taken as [0, 1], as papers print it (0.002 is 27 dB)."""
    return _error_values(*_pair(prediction, target, mask))["mse"]


def mse_masked(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """`mse` over damaged pixels only; None without any."""
    return _error_values(*_pair(prediction, target, mask))["mse_masked"]


def psnr(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """Peak signal-to-noise ratio in dB, from the exact integer sum of squares; inf if equal."""
    return _error_values(*_pair(prediction, target, mask))["psnr"]


def psnr_masked(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """`psnr` over damaged pixels only; None without any."""
    return _error_values(*_pair(prediction, target, mask))["psnr_masked"]


def ssim(
    prediction: Picture, target: Picture, mask: Mask | None = None, *, exact: bool = False
) -> float | None:
    """Structural similarity in [-1, 1], averaged over channels and the valid interior.

    Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to
    structural similarity": Gaussian window σ 1.5, 11×11, K1 0.01, K2 0.03. Equals scikit-image's
    ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=255, channel_axis=-1)`` within 1e-5, with `exact` (float64) within 1e-10.
    None for pictures with a side under 11 px: no window fits.
    """
    return _ssim_values(*_pair(prediction, target, mask), exact=exact)["ssim"]


def ssim_masked(
    prediction: Picture, target: Picture, mask: Mask | None = None, *, exact: bool = False
) -> float | None:
    """The SSIM map averaged over damaged pixels of the valid interior (5 px from each border).

    None where there are none; the windows themselves reach out of the mask.
    """
    return _ssim_values(*_pair(prediction, target, mask), exact=exact)["ssim_masked"]


def mse_psnr(total: float, num_values: int, suffix: str) -> dict[str, float | None]:
    """``mse<suffix>`` and ``psnr<suffix>`` of the sum of squared differences (0..255) of so many
    values; None of none."""
    error = _ratio(total, num_values * PEAK**2)
    decibel = None if error is None else math.inf if error == 0 else 10 * math.log10(1 / error)
    return {f"mse{suffix}": error, f"psnr{suffix}": decibel}


def clip_psnr(values: Iterable[float | None]) -> tuple[list[float], int]:
    """PSNRs in dB ready for a mean (clipped at 100, None left out), and how many were clipped."""
    defined = [value for value in values if value is not None]
    return [min(value, PSNR_CLIP) for value in defined], sum(v >= PSNR_CLIP for v in defined)


def aggregate(rows: Iterable[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Means over photos (rows of `measure`), the same in any order of rows.

    For each name: its mean over the photos where it is defined (None if nowhere), and
    ``<name>_undefined_count``, the photos left out; for ``psnr…`` also ``<name>_clipped_count``.
    """
    rows = list(rows)
    means: dict[str, float | None] = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        column = [row.get(name) for row in rows]
        values = [value for value in column if value is not None]
        if name.startswith("psnr"):
            values, means[f"{name}_clipped_count"] = clip_psnr(values)
        means[name] = math.fsum(values) / len(values) if values else None
        means[f"{name}_undefined_count"] = len(rows) - len(values)
    return dict(sorted(means.items()))


def mask_counts(
    predicted: NDArray[Any], truth: Mask, threshold: float = MASK_THRESHOLD
) -> MaskCounts:
    """Count one photo's pixels that are marked (≥ `threshold`) and truly damaged (> 0).

    `predicted` H×W is a float probability in [0, 1], a bool, or uint8 that stands for value / 255.
    """
    if predicted.shape != truth.shape or predicted.ndim != 2:
        raise misfit(f"masks of {predicted.shape} and {truth.shape}", "give both as H×W")
    scale = PEAK if predicted.dtype == np.uint8 else 1
    marked, damaged = predicted >= threshold * scale, truth > 0
    tp = int(np.count_nonzero(marked & damaged))
    fp = int(np.count_nonzero(marked)) - tp
    return MaskCounts(tp, fp, int(np.count_nonzero(damaged)) - tp)


def mask_scores(counts: Iterable[MaskCounts]) -> dict[str, float | None]:
    """Precision, recall, F1 and IoU, micro-averaged: from counts summed over all photos.

    None where the denominator is 0. ``empty_count`` tells how many photos have an empty true mask
    (their false marks are in the sums), ``empty_marked_count`` how many of those were marked.
    """
    counts = list(counts)
    tp, fp, fn = (sum(part) for part in zip(*counts, strict=True)) if counts else (0, 0, 0)
    empty = [one for one in counts if one.tp + one.fn == 0]
    return {
        "precision": _ratio(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "iou": _ratio(tp, tp + fp + fn),
        "empty_count": len(empty),
        "empty_marked_count": sum(one.fp > 0 for one in empty),
    }


def _pair(
    prediction: Picture, target: Picture, mask: Mask | None
) -> tuple[Picture, Picture, Mask | None]:
    """Checked and as OpenCV likes them."""
    return *plain_pair(prediction, target), plain_mask(mask, target)


def _error_values(
    prediction: Picture, target: Picture, mask: Mask | None
) -> dict[str, float | None]:
    # On uint8 cv2 sums squares as integers: exact, and a dozen times faster than float64 numpy.
    total = cv2.norm(prediction, target, cv2.NORM_L2SQR)
    values = mse_psnr(total, prediction.size, "")
    num_damaged = 0 if mask is None else cv2.countNonZero(mask)
    if num_damaged == 0:
        return values | mse_psnr(0, 0, "_masked")
    total = cv2.norm(prediction, target, cv2.NORM_L2SQR, mask)
    num_values = num_damaged * (prediction.size // target[..., 0].size if target.ndim == 3 else 1)
    return values | mse_psnr(total, num_values, "_masked")


def _ssim_values(
    prediction: Picture, target: Picture, mask: Mask | None, exact: bool = False
) -> dict[str, float | None]:
    regions = (None,) if mask is None else (None, mask)
    found = similarity(prediction, target, regions, exact)
    whole, masked = (None, None) if found is None else (*found.regions, None)[:2]
    return {"ssim": whole, "ssim_masked": masked}


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
