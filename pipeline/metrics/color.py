"""Colors and tones: how histograms agree, how colorful a picture is, how far its colors are off."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import cv2
import numpy as np

from pipeline.fidelity import Picture
from pipeline.metrics.base import Clock, Ground, Values, add_gauge
from pipeline.metrics.ciede2000 import Lab, lab_of, mean_difference

OPPONENTS = np.array([[1, -1, 0], [1, 1, -2]], np.float32)  # rg and, doubled, yb
NUM_HUES = 180  # OpenCV's 8-bit hue, in steps of 2°

EXPLAINED = {
    "histogram_correlation": "Correlation in [-1, 1] of the 256-bin histograms (OpenCV's "
    "HISTCMP_CORREL), mean over channels; it does not ask where in the picture a value is.",
    "hue_correlation": "Correlation in [-1, 1] of the 180-bin histograms of hue (OpenCV's 8-bit "
    "HSV, HISTCMP_CORREL); gray pixels count as hue 0. None for gray pictures.",
    "colorfulness": "Of the prediction alone, √(σrg² + σyb²) + 0.3 √(μrg² + μyb²) with rg = R - G "
    "and yb = (R + G) / 2 - B in 0..255: 0 gray, 33 moderately, 82 and more highly colorful; "
    'Hasler & Süsstrunk 2003, "Measuring colourfulness in natural images".',
    "colorfulness_ratio": "Colorfulness of the prediction over that of the target: under 1 it is "
    "too pale. None for a target without any.",
    "ciede2000": "Mean ΔE00 over pixels (`ciede2000.mean_difference`), in CIE units: 1 is just "
    "noticeable. Gray pictures are RGB of equal channels.",
}


@add_gauge(EXPLAINED.__getitem__)
class Colors:
    """Histograms, colorfulness and Lab of the target are made once."""

    names: ClassVar[tuple[str, ...]] = tuple(EXPLAINED)
    batched: ClassVar[bool] = False

    def __init__(self, ground: Ground, clock: Clock) -> None:
        self.ground = ground
        target, wants = ground.target, ground.wants
        self.tones = tone_histograms(target) if wants("histogram_correlation") else []
        self.hues = hue_histogram(target) if wants("hue_correlation") and ground.color else None
        self.colorful = colorfulness(target) if wants("colorfulness_ratio") else 0.0
        clock.lap("color")
        self.lab: Lab | None = lab_of(target) if wants("ciede2000") else None
        clock.lap("ciede2000")

    def measure(self, predictions: Sequence[Picture], clock: Clock) -> list[Values]:
        """The wanted values by name."""
        found = [self._measure(one, clock) for one in predictions]
        return [{name: one[name] for name in one if name in self.ground.wanted} for one in found]

    def _measure(self, prediction: Picture, clock: Clock) -> Values:
        wants = self.ground.wants
        values: Values = dict.fromkeys(self.names)
        if wants("histogram_correlation"):
            pairs = zip(tone_histograms(prediction), self.tones, strict=True)
            found = [correlation(*pair) for pair in pairs]
            values["histogram_correlation"] = math.fsum(found) / len(found)
        if self.hues is not None:
            values["hue_correlation"] = correlation(hue_histogram(prediction), self.hues)
        if wants("colorfulness", "colorfulness_ratio"):
            own = values["colorfulness"] = colorfulness(prediction)
            values["colorfulness_ratio"] = own / self.colorful if self.colorful else None
        clock.lap("color")
        if self.lab is not None:
            values["ciede2000"] = mean_difference(lab_of(prediction), self.lab)
            clock.lap("ciede2000")
        return values


def tone_histograms(plain: Picture) -> list[Any]:
    """256 counts of each channel."""
    channels = 1 if plain.ndim == 2 else plain.shape[2]
    return [cv2.calcHist([plain], [one], None, [256], [0, 256]) for one in range(channels)]


def hue_histogram(rgb: Picture) -> Any:
    """Counts of OpenCV's 180 hues."""
    hsv = cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV)
    return cv2.calcHist([hsv], [0], None, [NUM_HUES], [0, NUM_HUES])


def correlation(one: Any, other: Any) -> float:
    """Of two histograms, OpenCV's HISTCMP_CORREL, in [-1, 1]; 1 where one of them is flat."""
    return float(cv2.compareHist(one, other, cv2.HISTCMP_CORREL))


def colorfulness(plain: Picture) -> float:
    """Hasler & Süsstrunk's, of values in 0..255; 0 for gray."""
    if plain.ndim == 2:
        return 0.0
    opponents = cv2.transform(plain.astype(np.int16), OPPONENTS)
    mean, deviation = (one.ravel() * (1.0, 0.5) for one in cv2.meanStdDev(opponents))
    return math.hypot(*deviation) + 0.3 * math.hypot(*mean)
