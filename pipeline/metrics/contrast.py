"""How much of what stands out in a region still stands out: the contrast of real defects, which a
restoration must not smooth away."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity import Mask, Picture
from pipeline.metrics.base import Clock, Ground, Values, add_gauge, luma_of

SIDES = (9, 17, 33, 65, 129)  # px of windows, the smallest that fits is taken
LEAST_WHOLE = 0.25  # share of a window that must lie outside the region
LEAST_CONTRAST = 1.0  # levels of 255; what stands out less, in the target, tells nothing

Floats: TypeAlias = NDArray[np.float32]

EXPLAINED = {
    "contrast_masked": "Contrast of the damaged pixels against their surroundings, by that of the "
    "target: Σ d·t / Σ t² over these pixels, where d and t are the luma of prediction and target "
    "less the mean luma of the undamaged pixels around, in the smallest window of 9, 17, 33, 65 or "
    "129 px of which a quarter is undamaged. 1: all of it is there, as strong; 0: none; noise that "
    "has nothing to do with the target adds nothing, which a ratio of deviations would count as "
    "contrast. None without damaged pixels that have surroundings, and where those of the target "
    "differ from them by less than 1 of 255 levels (root mean square)."
}


@add_gauge(EXPLAINED.__getitem__)
class Contrast:
    """The least-squares slope of the prediction's local contrast on the target's, which is found
    once."""

    names: ClassVar[tuple[str, ...]] = tuple(EXPLAINED)
    batched: ClassVar[bool] = False

    def __init__(self, ground: Ground, clock: Clock) -> None:
        self.region = ground.mask if ground.mask is not None and ground.mask.any() else None
        self.true: Floats | None = None
        if self.region is not None:
            self.around = Surroundings(self.region)
            found = self.around.contrast(luma_of(ground.target))
            strong = found.size and float(np.square(found).mean()) >= LEAST_CONTRAST**2
            self.true = found if strong else None
        clock.lap("contrast")

    def measure(self, predictions: Sequence[Picture], clock: Clock) -> list[Values]:
        """``contrast_masked`` of each."""
        found: list[Values] = [{"contrast_masked": self._slope(one)} for one in predictions]
        clock.lap("contrast")
        return found

    def _slope(self, prediction: Picture) -> float | None:
        if self.true is None:
            return None
        own = self.around.contrast(luma_of(prediction)).astype(np.float64)
        true = self.true.astype(np.float64)
        return float(own @ true / (true @ true))


class Surroundings:
    """Which window tells what is around each pixel of a region: H×W, not 0 inside; pixels that even
    the largest does not lead out of are left out."""

    def __init__(self, region: Mask) -> None:
        self.outside = (region == 0).astype(np.float32)
        self.windows: list[tuple[int, Any, Floats]] = []  # side, where it is taken, share outside
        open_still = region > 0
        for side in SIDES:
            share = _mean(self.outside, side)
            taken = open_still & (share >= LEAST_WHOLE)
            if taken.any():
                self.windows.append((side, taken, share[taken]))
            open_still &= ~taken

    def contrast(self, luma: Picture) -> Floats:
        """H×W → what the region's pixels have over the mean of what is around them, in levels."""
        values = luma.astype(np.float32)
        whole = values * self.outside
        parts = [values[at] - _mean(whole, side)[at] / share for side, at, share in self.windows]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _mean(values: Floats, side: int) -> Floats:
    """Over the windows around each pixel; beyond the border there is nothing, as in the region."""
    found = cv2.boxFilter(values, cv2.CV_32F, (side, side), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(found, np.float32)
