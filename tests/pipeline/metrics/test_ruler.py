"""One ruler for many pictures gives the numbers of each metric alone."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from pipeline import fidelity
from pipeline.errors import ParamsError, PipelineError
from pipeline.metrics import METRICS, Ruler
from pipeline.metrics import base as metrics_base
from tests.conftest import ROOT
from tests.pipeline.metrics.pictures import blurred, holes, noisy, photo, random_picture

WEIGHTS = "PATINA_REFERENCE_WEIGHTS"
NAMES = [name for name in METRICS if name != "lpips" or os.environ.get(WEIGHTS)]
REGIONAL = ("mse", "mae", "psnr", "ssim")


def test_all_that_reports_name_is_registered():
    ends = ("", "_luma", "_masked", "_outside", "_rim")
    expected = {f"{base}{end}" for base in REGIONAL for end in ends}
    expected |= {"ms_ssim", "ms_ssim_luma", "histogram_correlation", "hue_correlation"}
    expected |= {"dacon_score", "colorfulness", "colorfulness_ratio", "ciede2000", "lpips"}
    expected |= {"contrast_masked"}
    assert set(METRICS) == expected
    assert all(name in METRICS for name in expected) and "psnr_mask" not in METRICS
    assert all(METRICS[name].__name__ == name and METRICS[name].__doc__ for name in METRICS)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_answers_for_every_kind_of_picture(name):
    for shape in [(1, 1, 1), (1, 1, 3), (11, 11, 1), (3, 300, 3), (64, 48, 3)]:
        prediction, target = random_picture("p", shape=shape), random_picture("t", shape=shape)
        before = prediction.copy(), target.copy()
        for mask in (None, np.zeros(shape[:2], np.uint8), np.full(shape[:2], 255, np.uint8)):
            value = METRICS[name](prediction, target, mask)
            assert value is None or (isinstance(value, float) and math.isfinite(value))
            if name.endswith("_masked") and (mask is None or not mask.any()):
                assert value is None
        np.testing.assert_array_equal((prediction, target), before)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("masked", [True, False])
def test_a_ruler_gives_what_each_metric_gives_alone(channels, masked):
    clean = photo("astronaut", 170, 190, channels)
    mask = holes(clean.shape) if masked else None
    pictures = {"input": noisy(clean, 20), "restored": blurred(clean), "same": clean.copy()}
    ruler = Ruler(clean, mask, NAMES)
    together = ruler.measure_all(pictures)
    for name, picture in pictures.items():
        alone = {one: METRICS[one](picture, clean, mask) for one in NAMES}
        again = ruler.measure(picture)
        assert list(together[name]) == list(again) == sorted(NAMES)
        assert together[name].keys() == alone.keys()
        for one, value in alone.items():
            expected = value if value is None else pytest.approx(value, rel=2e-5, abs=1e-7)
            assert together[name][one] == expected and again[one] == expected, one
    assert all(seconds > 0 for seconds in ruler.seconds.values())
    assert {"core", "color", "ciede2000", "dacon_score", "ms_ssim"} <= set(ruler.seconds)


def test_a_ruler_agrees_with_what_training_measures():
    clean, mask = photo("coffee"), holes((192, 200))
    restored = blurred(clean)
    expected = fidelity.measure(restored, clean, mask)
    found = Ruler(clean, mask).measure(restored)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_only_what_is_asked_for_is_measured():
    clean = photo("rocket")
    ruler = Ruler(clean, None, ["psnr", "mse_luma"])
    assert list(ruler.measure(blurred(clean))) == ["mse_luma", "psnr"]
    assert set(ruler.seconds) == {"core", "luma"}
    assert "lpips" not in Ruler(clean, None).names


def test_equal_pictures_are_measured_once(monkeypatch):
    clean = photo("rocket")
    seen = []
    monkeypatch.setitem(metrics_base.METRICS._entries, "seen", lambda *all: seen.append(1) or 1.0)
    made = blurred(clean)
    values = Ruler(clean, None, ["seen", "psnr"]).measure_all({"a": made, "b": made.copy()})
    assert values["a"] == values["b"] and len(seen) == 1


def test_a_new_metric_is_one_decorated_function(monkeypatch):
    monkeypatch.setattr(METRICS, "_entries", dict(METRICS._entries))

    @METRICS.add
    def worst_error(prediction, target, mask=None):
        """Largest difference of any value."""
        assert prediction.ndim == 3 and mask.shape == prediction.shape[:2]
        return float(np.abs(prediction.astype(int) - target).max())

    clean = photo("rocket", channels=1)
    restored = clean.copy()
    restored[3, 4] ^= 64
    ruler = Ruler(clean, holes(clean.shape))
    assert "worst_error" in METRICS and "worst_error" in list(METRICS)
    assert ruler.measure(restored)["worst_error"] == 64.0
    assert ruler.seconds["worst_error"] > 0


def test_views_measure_like_their_copies():
    a, b = random_picture("a", shape=(60, 60, 3)), random_picture("b", shape=(60, 60, 3))
    mask = holes(a.shape)
    for view in (np.s_[::-1, ::2], np.s_[3:40, 5:], np.s_[:, ::-1, ::-1]):
        x, y, m = a[view], b[view], mask[view[:2]]
        assert Ruler(y, m).measure(x) == Ruler(y.copy(), m.copy()).measure(x.copy())


def test_what_does_not_fit_is_refused_in_one_line():
    good, mask = random_picture("a"), np.zeros((40, 50), np.uint8)
    for prediction, target, where in [
        (good.astype(np.float32), good, None), (good[..., 0], good[..., 0], None),
        (good[:9], good, None), (good[:0], good[:0], None), (good, good, mask[:4]),
        (good, good, mask.astype(bool)), (good, good[..., :1], None),
    ]:  # fmt: skip
        with pytest.raises(PipelineError, match="cannot measure"):
            Ruler(target, where).measure(prediction)
    with pytest.raises(ParamsError, match=r"'psnrr': is not known.*did you mean 'psnr'"):
        Ruler(good, None, ["psnrr"])


def test_metrics_are_known_without_torch():
    code = (
        "import sys; from pipeline.metrics import METRICS; list(METRICS);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
