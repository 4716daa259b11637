"""Histograms, colorfulness and the competition's score against plain numpy and scikit-image."""

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from pipeline.metrics import METRICS, Ruler
from tests.pipeline.metrics.pictures import (
    block,
    blurred,
    holes,
    noisy,
    pairs,
    photo,
    random_picture,
)


def test_histograms_correlate_as_numpy_says():
    for prediction, target in pairs():
        found = METRICS["histogram_correlation"](prediction, target)
        expected = [
            np.corrcoef(*(np.bincount(one[..., c].ravel(), minlength=256) for one in pair))[0, 1]
            for pair in [(prediction, target)]
            for c in range(3)
        ]
        assert found == pytest.approx(np.mean(expected), abs=1e-6)
        hues = [cv2.cvtColor(x, cv2.COLOR_RGB2HSV)[..., 0].ravel() for x in (prediction, target)]
        counts = [np.bincount(one, minlength=180)[:180] for one in hues]
        if target.std(axis=2).any() and prediction.std(axis=2).any():
            found = METRICS["hue_correlation"](prediction, target)
            assert found == pytest.approx(np.corrcoef(*counts)[0, 1], abs=1e-6)


def test_histograms_do_not_ask_where():
    clean = photo("astronaut")
    turned = np.ascontiguousarray(clean[::-1, ::-1])
    found = Ruler(clean, None).measure(turned)
    assert found["histogram_correlation"] == pytest.approx(1) == found["hue_correlation"]
    assert found["colorfulness_ratio"] == pytest.approx(1) and found["ssim"] < 0.6


def test_colorfulness_is_its_formula():
    for picture, _ in pairs():
        red, green, blue = (picture[..., c].astype(float) for c in range(3))
        rg, yb = red - green, (red + green) / 2 - blue
        expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
        assert METRICS["colorfulness"](picture, picture) == pytest.approx(expected, rel=1e-9)


def test_paler_pictures_are_less_colorful():
    clean = photo("coffee")
    gray = cv2.cvtColor(cv2.cvtColor(clean, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    pale = cv2.addWeighted(clean, 0.5, gray, 0.5, 0)
    ruler = Ruler(clean, None)
    assert ruler.measure(pale)["colorfulness_ratio"] == pytest.approx(0.5, abs=0.01)
    assert ruler.measure(gray)["colorfulness_ratio"] == 0
    assert Ruler(gray, None).measure(clean)["colorfulness_ratio"] is None
    values = Ruler(gray[..., :1], None).measure(noisy(gray[..., :1], 5))
    assert values["colorfulness"] == 0 and values["colorfulness_ratio"] is None
    assert values["hue_correlation"] is None and values["dacon_score"] is None
    assert 0 < values["histogram_correlation"] < 1


def competition_score(prediction, target, mask):
    """As the competition's own code has it, with its libraries."""
    span = int(prediction.max()) - int(prediction.min())
    whole = structural_similarity(target, prediction, channel_axis=-1, data_range=span)
    inside = [one[mask > 0] for one in (target, prediction)]
    masked = structural_similarity(*inside, channel_axis=-1, data_range=span)
    hues = [
        cv2.normalize(
            cv2.calcHist([cv2.cvtColor(one, cv2.COLOR_RGB2HSV)], [0], None, [180], [0, 180]), None
        )
        for one in (target, prediction)
    ]
    hue = cv2.compareHist(*hues, cv2.HISTCMP_CORREL)
    return 0.2 * whole + 0.4 * masked + 0.4 * hue


@pytest.mark.parametrize("make", [block, holes])
def test_the_competition_s_score(make):
    others = [(random_picture(n, shape=(31, 45, 3)) // (n + 1), random_picture(n, "t",
              shape=(31, 45, 3))) for n in range(4)]  # fmt: skip
    for prediction, target in [*pairs(), *others]:
        mask = make(target.shape)
        found = METRICS["dacon_score"](prediction, target, mask)
        assert found == pytest.approx(competition_score(prediction, target, mask), abs=2e-6)


def test_the_competition_s_score_where_it_is_undefined():
    clean = photo("coffee")
    few = np.zeros(clean.shape[:2], np.uint8)
    few[0, :6] = 255
    made = blurred(clean)
    assert METRICS["dacon_score"](made, clean, few) is None
    assert METRICS["dacon_score"](made, clean, None) is None
    assert METRICS["dacon_score"](np.full_like(clean, 9), clean, block(clean.shape)) is None
    few[0, 6] = 255
    assert METRICS["dacon_score"](clean, clean, few) == pytest.approx(1)
