"""How near a restored photo comes to its clean twin, and a predicted mask to the true one.

Pictures are uint8 H×W×3 (RGB) or H×W×1 (gray), masks uint8 H×W with 0 = whole and anything else
(255) = damaged. Every metric is ``fn(prediction, target, mask) -> float | None``; None means
undefined, e.g. a masked metric under an empty mask. Nothing is cropped before a metric.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config import Registry
from pipeline.errors import PipelineError

PEAK = 255  # the data range of 8-bit pictures
PSNR_CLIP = 100.0  # dB; equal pictures (inf) enter means as this
MASK_THRESHOLD = 0.1  # a pixel is called damaged from this probability on

SSIM_SIDE = 11  # px, the window of Wang et al.
SSIM_SIGMA = 1.5  # px
SSIM_K1, SSIM_K2 = 0.01, 0.03
STRIP_VALUES = 150_000  # pixels × channels worked on at once, so that all stays in the CPU's cache
MIN_STRIP_ROWS = 16
FLOAT32_DOUBT = 1.5e-6  # estimated error above which float64 does a strip again; true ones: ≤ 5.5 ×

Picture: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[Any]  # float32 or float64


class Metric(Protocol):
    """What the registry holds; a new metric is one decorated function of this shape."""

    def __call__(
        self, prediction: Picture, target: Picture, mask: Mask | None = None
    ) -> float | None: ...


METRICS: Registry[Metric] = Registry("metric")


class MaskCounts(NamedTuple):
    """Pixels of one photo: rightly marked, wrongly marked, and missed."""

    tp: int
    fp: int
    fn: int


def measure(
    prediction: Picture, target: Picture, mask: Mask | None = None
) -> dict[str, float | None]:
    """Every registered metric of one photo by name; those of this file share their work.

    `psnr` is inf for equal pictures (`clip_psnr` before JSON). Raises PipelineError where shapes
    or types do not fit.
    """
    pair = _pair(prediction, target, mask)
    shared = _error_values(*pair) | _ssim_values(*pair)
    return {
        name: shared[name] if name in shared else METRICS[name](prediction, target, mask)
        for name in METRICS
    }


@METRICS.add
def mse(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """Mean squared error of values taken as [0, 1], as papers print it (0.002 is 27 dB)."""
    return _error_values(*_pair(prediction, target, mask))["mse"]


@METRICS.add
def mse_masked(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """`mse` over damaged pixels only; None without any."""
    return _error_values(*_pair(prediction, target, mask))["mse_masked"]


@METRICS.add
def psnr(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """Peak signal-to-noise ratio in dB, from the exact integer sum of squares; inf if equal."""
    return _error_values(*_pair(prediction, target, mask))["psnr"]


@METRICS.add
def psnr_masked(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
    """`psnr` over damaged pixels only; None without any."""
    return _error_values(*_pair(prediction, target, mask))["psnr_masked"]


@METRICS.add
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


@METRICS.add
def ssim_masked(
    prediction: Picture, target: Picture, mask: Mask | None = None, *, exact: bool = False
) -> float | None:
    """The SSIM map averaged over damaged pixels of the valid interior (5 px from each border).

    None where there are none; the windows themselves reach out of the mask. Float32 was never more
    than 1e-5 off here either, but only the mean of the whole map is guarded.
    """
    return _ssim_values(*_pair(prediction, target, mask), exact=exact)["ssim_masked"]


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
        raise _misfit(f"masks of {predicted.shape} and {truth.shape}", "give both as H×W")
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
    """Checked and as OpenCV likes them: contiguous, and gray without its channel axis."""
    for picture in (prediction, target):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3):
            raise _misfit(f"a {picture.dtype} picture of {picture.shape}", "give uint8 H×W×3 or ×1")
    if prediction.shape != target.shape or prediction.size == 0:
        raise _misfit(f"pictures of {prediction.shape} and {target.shape}", "give one size above 0")
    if mask is not None and (mask.dtype != np.uint8 or mask.shape != target.shape[:2]):
        raise _misfit(f"a {mask.dtype} mask of {mask.shape} for {target.shape}", "give uint8 H×W")
    shape = target.shape if target.shape[2] == 3 else target.shape[:2]
    plain = [np.ascontiguousarray(picture).reshape(shape) for picture in (prediction, target)]
    return plain[0], plain[1], None if mask is None else np.ascontiguousarray(mask)


def _error_values(
    prediction: Picture, target: Picture, mask: Mask | None
) -> dict[str, float | None]:
    # On uint8 cv2 sums squares as integers: exact, and a dozen times faster than float64 numpy.
    total = cv2.norm(prediction, target, cv2.NORM_L2SQR)
    values = _mse_psnr(total, prediction.size, "")
    num_damaged = 0 if mask is None else cv2.countNonZero(mask)
    if num_damaged == 0:
        return values | _mse_psnr(0, 0, "_masked")
    total = cv2.norm(prediction, target, cv2.NORM_L2SQR, mask)
    num_values = num_damaged * (prediction.size // target[..., 0].size if target.ndim == 3 else 1)
    return values | _mse_psnr(total, num_values, "_masked")


def _mse_psnr(total: float, num_values: int, suffix: str) -> dict[str, float | None]:
    error = _ratio(total, num_values * PEAK**2)
    decibel = None if error is None else math.inf if error == 0 else 10 * math.log10(1 / error)
    return {f"mse{suffix}": error, f"psnr{suffix}": decibel}


def _ssim_values(
    prediction: Picture, target: Picture, mask: Mask | None, exact: bool = False
) -> dict[str, float | None]:
    """Work through strips of rows: temporaries that fit the cache take half the time."""
    height, width = target.shape[:2]
    rim = SSIM_SIDE // 2
    if min(height, width) < SSIM_SIDE:
        return {"ssim": None, "ssim_masked": None}
    total, masked_total = 0.0, 0.0
    num_values, num_masked = 0, 0
    rows = max(MIN_STRIP_ROWS, STRIP_VALUES // target[0].size)
    for top in range(0, height - 2 * rim, rows):
        strip = slice(top, top + rows + 2 * rim)
        similarity = _ssim_map(prediction[strip], target[strip], exact)
        total += _total(similarity)
        num_values += similarity.size
        if mask is not None:
            inner = mask[strip][rim:-rim, rim:-rim]
            num_pixels = cv2.countNonZero(inner)
            masked_total += sum(cv2.mean(similarity, inner)) * num_pixels
            num_masked += num_pixels * (similarity.size // inner.size)
    return {"ssim": _ratio(total, num_values), "ssim_masked": _ratio(masked_total, num_masked)}


def _ssim_map(a: Picture, b: Picture, exact: bool) -> Floats:
    """SSIM of every whole window, H-10 × W-10 (× 3), in float32 where that is good enough."""
    if not exact:
        similarity, doubt = _ssim_map_in(a, b, cv2.CV_32F)
        if doubt <= FLOAT32_DOUBT:
            return similarity
    return _ssim_map_in(a, b, cv2.CV_64F)[0]


def _ssim_map_in(a: Picture, b: Picture, depth: int) -> tuple[Floats, float]:
    """The map in an OpenCV `depth`, and an estimate of what float32 rounding did to its mean.

    Written in sum s = a + b and difference d = a - b: four blurs instead of five, and where d is
    small, as between a restoration and its target, the rounding of var(s) cancels out. Subtracting
    each channel's mean first keeps E[s²] - E[s]² from losing its digits on flat bright pictures.
    """
    means = [(round(x), round(y)) for x, y in zip(cv2.mean(a), cv2.mean(b), strict=True)]
    s, d = cv2.add(a, b, dtype=depth), cv2.subtract(a, b, dtype=depth)
    c1, c2 = 2 * (SSIM_K1 * PEAK) ** 2, 2 * (SSIM_K2 * PEAK) ** 2  # s and d double every term
    s_square, s_var, s_off = _moments(s, [x + y for x, y in means], c1, c2)
    d_square, d_var, d_off = _moments(d, [x - y for x, y in means], 0.0, 0.0)
    light = cv2.divide(cv2.subtract(s_square, d_square), cv2.add(s_square, d_square))
    whole = cv2.add(s_var, d_var)
    # Rounding shifts var(d) by about d_off · 2^-23, var(s) likewise; this is what the map feels.
    cv2.multiply(s_off, cv2.divide(d_var, whole), dst=s_off)
    doubt = cv2.divide(cv2.add(d_off, s_off, dst=d_off), whole, dst=d_off)
    cv2.multiply(doubt, light, dst=doubt)
    cv2.divide(cv2.subtract(s_var, d_var, dst=s_var), whole, dst=s_var)
    rim = SSIM_SIDE // 2
    similarity = cv2.multiply(light, s_var, dst=light)[rim:-rim, rim:-rim]
    return similarity, _total(doubt) / doubt.size * 2**-23


def _moments(x: Floats, pivots: list[int], c1: float, c2: float) -> tuple[Floats, Floats, Floats]:
    """E[x]² + c1, var(x) + c2 and E[x - pivot]² under the window; `x` is overwritten.

    The rim stays on until the end: OpenCV takes a 4-tuple for an array beside arrays of 4 or 1
    values, so that scalars are safe only with larger ones.
    """
    window = cv2.getGaussianKernel(SSIM_SIDE, SSIM_SIGMA, cv2.CV_64F).astype(x.dtype)
    pivot: Any = tuple(float(value) for value in pivots)
    cv2.subtract(x, pivot, dst=x)
    mean = cv2.sepFilter2D(x, -1, window, window)
    cv2.multiply(x, x, dst=x)
    variance = cv2.sepFilter2D(x, -1, window, window)
    offset = cv2.multiply(mean, mean, dst=x)
    cv2.subtract(variance, offset, dst=variance)
    cv2.add(mean, pivot, dst=mean)
    cv2.multiply(mean, mean, dst=mean)
    if c1 or c2:
        cv2.add(mean, _everywhere(c1), dst=mean)
        cv2.add(variance, _everywhere(c2), dst=variance)
    return mean, variance, offset


def _everywhere(value: float) -> Any:
    return (value,) * 4  # a bare number would reach only the first channel


def _total(values: Floats) -> float:
    return sum(cv2.sumElems(values))


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _misfit(what: str, next_step: str) -> PipelineError:
    return PipelineError("metrics", f"cannot measure {what}", next_step)
