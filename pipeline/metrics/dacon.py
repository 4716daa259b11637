"""The score of the competition that the three-stage system comes from, with its own quirks."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity import Picture
from pipeline.metrics.base import Clock, Ground, Values, add_gauge
from pipeline.metrics.color import correlation, hue_histogram

SSIM_WEIGHT, MASKED_WEIGHT, HUE_WEIGHT = 0.2, 0.4, 0.4
SIDE = 7  # px, scikit-image's default window
K1, K2 = 0.01, 0.03

Sums: TypeAlias = NDArray[np.int32]

EXPLAINED = {
    "dacon_score": "0.2 SSIM + 0.4 masked SSIM + 0.4 hue correlation, as the competition had it: "
    "scikit-image's SSIM with its default window (7×7, uniform, sample covariance) and the range "
    "of the prediction's own values for a data range; masked SSIM over the list of masked pixels, "
    "row by row, as if it were a signal. None for gray pictures, without 7 masked pixels, for a "
    "side under 7 px, and for a prediction of one value."
}


class Windows:
    """What SSIM needs of one picture alone: sums over whole windows, as exact integers.

    `values` H×W×3 uint8; `shape` of the window, height and width.
    """

    def __init__(self, values: Picture, shape: tuple[int, int]) -> None:
        self.values, self.shape, self.size = values, shape, shape[0] * shape[1]
        self.sums = self._whole(values)
        self.float_sums = self.sums.astype(np.float32)
        self.float_squares = self.float_sums * self.float_sums
        self.variances = self.products(self).astype(np.float32)

    def products(self, other: "Windows") -> Sums:
        """Covariance under each window, times size²."""
        total = self._whole(cv2.multiply(self.values, other.values, dtype=cv2.CV_16U))
        return self.size * total - self.sums * other.sums

    def _whole(self, values: Any) -> Sums:
        down, right = self.shape
        sums = cv2.boxFilter(values, cv2.CV_32S, (right, down), normalize=False)
        high, wide = values.shape[0] - down + 1, values.shape[1] - right + 1
        inner = sums[down // 2 : down // 2 + high, right // 2 : right // 2 + wide]
        return np.asarray(inner, np.int32)


@add_gauge(EXPLAINED.__getitem__)
class Dacon:
    """The target's windows, also of its masked pixels, and its hues are made once."""

    names: ClassVar[tuple[str, ...]] = tuple(EXPLAINED)
    batched: ClassVar[bool] = False

    def __init__(self, ground: Ground, clock: Clock) -> None:
        target, inside = ground.target, ground.mask
        self.places = np.flatnonzero([] if inside is None else inside)
        fits = len(self.places) >= SIDE and min(target.shape[:2]) >= SIDE
        self.defined = ground.color and fits
        if self.defined:
            self.whole = Windows(target, (SIDE, SIDE))
            self.masked = Windows(self._signal(target), (SIDE, 1))
            self.hues = hue_histogram(target)
        clock.lap("dacon_score")

    def measure(self, predictions: Sequence[Picture], clock: Clock) -> list[Values]:
        """``dacon_score`` of each."""
        found: list[Values] = [{"dacon_score": self._score(one)} for one in predictions]
        clock.lap("dacon_score")
        return found

    def _score(self, prediction: Picture) -> float | None:
        low, high, _, _ = cv2.minMaxLoc(prediction.reshape(-1))
        if not self.defined or low == high:
            return None
        whole = Windows(prediction, (SIDE, SIDE))
        masked = Windows(self._signal(prediction), (SIDE, 1))
        hue = correlation(hue_histogram(prediction), self.hues)
        ssim, masked_ssim = (
            _ssim(one, other, high - low)
            for one, other in ((whole, self.whole), (masked, self.masked))
        )
        return SSIM_WEIGHT * ssim + MASKED_WEIGHT * masked_ssim + HUE_WEIGHT * hue

    def _signal(self, picture: Picture) -> Picture:
        """The masked pixels as a column, N×1×3."""
        return picture.reshape(-1, 3).take(self.places, axis=0)[:, None]


def _ssim(one: Windows, other: Windows, data_range: float) -> float:
    """Means over windows and channels, with the covariances of samples (n - 1)."""
    size = one.size
    c1 = np.float32((K1 * data_range * size) ** 2)  # of sums, not of means
    c2 = np.float32((K2 * data_range) ** 2 * size * (size - 1))
    above = one.float_sums * other.float_sums
    below = one.float_squares + other.float_squares
    both = one.products(other).astype(np.float32)
    spread = one.variances + other.variances
    for part in (above, both):
        part *= 2
    above += c1
    below += c1
    both += c2
    spread += c2
    above *= both
    below *= spread
    above /= below
    return float(above.mean(dtype=np.float64))
