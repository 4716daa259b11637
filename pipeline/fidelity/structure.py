"""SSIM: how much alike two pictures are in light, contrast and structure, window by window.

Wang, Bovik, Sheikh, Simoncelli 2004, "Image quality assessment: from error visibility to structural
similarity": a Gaussian window of 11×11 px and σ 1.5.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from pipeline.fidelity.pictures import PEAK, Floats, Mask, Picture

SSIM_SIDE = 11  # px, the window
SSIM_SIGMA = 1.5  # px
SSIM_K1, SSIM_K2 = 0.01, 0.03
STRIP_VALUES = 150_000  # pixels × channels worked on at once, so that all stays in the CPU's cache
MIN_STRIP_ROWS = 16
FLOAT32_DOUBT = 1.5e-6  # estimated error above which float64 does a strip again; true ones: ≤ 5.5 ×
RIM = SSIM_SIDE // 2  # px along each border that no whole window is centered on


class Similarity(NamedTuple):
    """Means of the SSIM map over its valid interior: over each region asked for (None where it has
    no pixel there), of each channel, and of each channel's contrast and structure alone (the map
    without its factor of light)."""

    regions: list[float | None]
    channels: list[float]
    contrast: list[float]


def similarity(
    prediction: Picture | Floats,
    target: Picture | Floats,
    regions: Sequence[Mask | None] = (None,),
    exact: bool = False,
) -> Similarity | None:
    """SSIM of pictures H×W or H×W×3 in 0..255, contiguous uint8 or float32; a region is a mask H×W
    that is not 0 there, None is everywhere.

    In float32, and again in float64 wherever rounding could shift the mean of a region by 1e-5; all
    in float64 if `exact`. None for pictures with a side under 11 px: no window fits. Works through
    strips of rows: temporaries that fit the cache take half the time.
    """
    height, width = target.shape[:2]
    if min(height, width) < SSIM_SIDE:
        return None
    num_channels = target.shape[2] if target.ndim == 3 else 1
    totals, counts = [0.0] * len(regions), [0] * len(regions)
    channels, contrast = [0.0] * num_channels, [0.0] * num_channels
    rows = max(MIN_STRIP_ROWS, STRIP_VALUES // target[0].size)
    for top in range(0, height - 2 * RIM, rows):
        strip = slice(top, top + rows + 2 * RIM)
        inner = [None if one is None else one[strip][RIM:-RIM, RIM:-RIM] for one in regions]
        whole, structure = _maps(prediction[strip], target[strip], inner, exact)
        _add(channels, cv2.sumElems(whole))
        _add(contrast, cv2.sumElems(structure))
        for number, region in enumerate(inner):
            num_pixels = _num_pixels(whole, region)
            totals[number] += _mean(whole, region) * num_pixels
            counts[number] += num_pixels
    num_pixels = (height - 2 * RIM) * (width - 2 * RIM)
    return Similarity(
        [total / count if count else None for total, count in zip(totals, counts, strict=True)],
        [value / num_pixels for value in channels],
        [value / num_pixels for value in contrast],
    )


def _maps(
    a: Picture, b: Picture, regions: Sequence[Mask | None], exact: bool
) -> tuple[Floats, Floats]:
    """SSIM of every whole window, H-10 × W-10 (× 3), and its contrast and structure, in float32
    where that is good enough for every region of the map."""
    if not exact:
        whole, structure, doubt = _maps_in(a, b, cv2.CV_32F)
        doubts = (_mean(doubt, one) for one in (None, *regions))
        if max(doubts) * 2**-23 <= FLOAT32_DOUBT:
            return whole, structure
    return _maps_in(a, b, cv2.CV_64F)[:2]


def _maps_in(a: Picture, b: Picture, depth: int) -> tuple[Floats, Floats, Floats]:
    """Both maps in an OpenCV `depth`, and an estimate of what float32 rounding did to the first, in
    units of 2^-23.

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
    both = cv2.add(s_var, d_var)
    # Rounding shifts var(d) by about d_off · 2^-23, var(s) likewise; this is what the map feels.
    cv2.multiply(s_off, cv2.divide(d_var, both), dst=s_off)
    doubt = cv2.divide(cv2.add(d_off, s_off, dst=d_off), both, dst=d_off)
    cv2.multiply(doubt, light, dst=doubt)
    structure = cv2.divide(cv2.subtract(s_var, d_var, dst=s_var), both, dst=s_var)
    whole = cv2.multiply(light, structure, dst=light)
    inner = np.s_[RIM:-RIM, RIM:-RIM]
    return whole[inner], structure[inner], doubt[inner]


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


def _num_pixels(values: Floats, region: Mask | None) -> int:
    return values.shape[0] * values.shape[1] if region is None else cv2.countNonZero(region)


def _mean(values: Floats, region: Mask | None) -> float:
    """Over pixels and channels; 0 where the region has no pixel."""
    total: float = sum(cv2.mean(values, region))
    return total / (values.shape[2] if values.ndim == 3 else 1)


def _add(totals: list[float], more: Sequence[float]) -> None:
    for number in range(len(totals)):
        totals[number] += more[number]
