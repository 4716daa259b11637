"""Plots of reports decode, look different in each theme, and are the same bytes again."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.report.numbers import Gain
from pipeline.report.plots import Group, plot_gains, plot_ranking, plot_reliability, plot_thresholds
from pipeline.themes import DARK, LIGHT
from tests.pipeline.reported import calibration, thresholds
from tests.pipeline.test_plots import chunks

GROUPS = [
    Group("folds $x_1", 12, {"one": Gain(3.0, 2.0, 4.5), "telea": Gain(-1.0, -2.0, 0.5)}),
    Group("a name that is longer than any label may be", 1, {"one": Gain(-2.0)}),
]
PLOTS = {
    "gains": lambda theme: plot_gains(GROUPS, theme),
    "one gain": lambda theme: plot_gains(GROUPS[1:], theme),
    "ranking": lambda theme: plot_ranking([("one", True, Gain(3.0, 2.0, 4.0))], theme),
    "thresholds": lambda theme: plot_thresholds(thresholds(), 0.1, 0.4, theme),
    "the best threshold used": lambda theme: plot_thresholds(thresholds(), 0.4, 0.4, theme),
    "reliability": lambda theme: plot_reliability(calibration(), theme),
}


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_png_for_light_and_for_dark_screens(name):
    light, dark = (PLOTS[name](theme) for theme in (LIGHT, DARK))
    assert light == PLOTS[name](LIGHT) and light != dark
    assert not set(chunks(light)) & {"tEXt", "zTXt", "iTXt", "tIME", "eXIf"}
    with Image.open(io.BytesIO(light)) as image:
        pixels = np.asarray(image.convert("RGBA"))
    assert (pixels[..., 3] == 255).all() and (pixels[..., :3] != 255).any(2).mean() > 0.005
    with Image.open(io.BytesIO(dark)) as image:
        assert np.asarray(image.convert("RGBA"))[0, 0, 3] == 0, "the page shows through"


def test_the_plot_grows_with_its_groups():
    heights = [Image.open(io.BytesIO(plot_gains(GROUPS * n))).height for n in (1, 4)]
    assert heights[1] > 2 * heights[0]


def test_marks_move_with_the_thresholds():
    assert plot_thresholds(thresholds(), 0.1, 0.4) != plot_thresholds(thresholds(), 0.2, 0.4)
