"""Plots are PNG files that decode, the same bytes again, and tell neither time nor library."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.files import sha256_bytes
from pipeline.plots import (
    plot_curves,
    plot_gain,
    plot_losses,
    plot_pictures,
    plot_psnr,
    plot_validation,
)
from pipeline.seeds import rng
from pipeline.themes import DARK
from tests.conftest import ROOT
from tests.pipeline.test_rows import row


def rows(count=5):
    random = rng(0, "rows")
    return [
        row(str(number), random.uniform(15, 40, 3), random.random(), telea=25.0) | {"severity": at}
        for number, at in enumerate(random.random(count))
    ]


def history(count=4):
    return [
        {"step": step, "values": {
            "train/loss": 1 / step, "val/loss": 2 / step, "val/psnr": 20.0 + step, "train/x": 0.5,
        }}
        for step in range(1, count + 1)
    ]  # fmt: skip


def phases():
    """A chain's history: a phase has losses of its own, and one knows no PSNR."""
    made = history()
    for line in made:
        line["phase"] = "a" if line["step"] < 3 else "b"
    del made[0]["values"]["val/psnr"], made[3]["values"]["train/x"]
    return made


def pictures():
    random = rng(0, "pictures")
    color = random.integers(0, 256, (40, 30, 3), np.uint8)
    gray, mask = color[:, :, :1], np.uint8(255) * (color[:, :, 0] > 99)
    return [("a\n+1.0 dB", [color, mask, gray]), ("ö & $x_1", [gray, mask, color])]


PLOTS = {
    "psnr": lambda: plot_psnr(rows(), "title"),
    "psnr of one sample": lambda: plot_psnr(rows(1), "title"),
    "psnr of equal pictures": lambda: plot_psnr([row("a", (100.0, 100.0, 100.0))], "title"),
    "gain": lambda: plot_gain(rows(), "title"),
    "gain of one severity": lambda: plot_gain([row("a"), row("b", covered=0.4)], "title"),
    "curves": lambda: plot_curves(history(), "title"),
    "curves of one validation": lambda: plot_curves(history(1), "title"),
    "curves of two phases": lambda: plot_curves(phases(), "title"),
    "losses": lambda: plot_losses(history()),
    "validation": lambda: plot_validation(history()),
    "pictures": lambda: plot_pictures(pictures(), ("one", "two", "three")),
    "one picture": lambda: plot_pictures([("a", pictures()[0][1][:1])], ("one",)),
}


def chunks(data):
    """The names of a PNG file's chunks, in order."""
    names, place = [], 8
    while place < len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        names.append(data[place + 4 : place + 8].decode())
        place += 12 + length
    return names


def digests():
    return [sha256_bytes(PLOTS[name]()) for name in sorted(PLOTS)]


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_a_whole_png_with_something_on_it(name):
    with Image.open(io.BytesIO(PLOTS[name]())) as image:
        image.load()
        assert image.format == "PNG" and min(image.size) > 100
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels != 255).any(2).mean() > 0.005
    assert (pixels == 255).all(2).mean() > 0.05


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_tells_neither_library_nor_time(name):
    data = PLOTS[name]()
    assert not set(chunks(data)) & {"tEXt", "zTXt", "iTXt", "tIME", "eXIf"}
    assert b"matplotlib" not in data.lower()


def test_the_same_rows_are_the_same_bytes_in_any_process():
    code = "from tests.pipeline.test_plots import digests; print(digests())"
    other = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONHASHSEED": "5", "TZ": "Asia/Tokyo", "LC_ALL": "C",
             "MPLBACKEND": "svg"},
    ).stdout.strip()  # fmt: skip
    assert other == str(digests()) == str(digests())


def test_other_rows_are_other_plots():
    made = digests()
    assert len(set(made)) == len(made)
    assert plot_psnr(rows(5), "title") != plot_psnr(rows(4), "title")
    assert plot_gain(rows(5), "title") != plot_gain(rows(5), "other")


def test_the_psnr_plot_grows_with_the_number_of_pictures():
    few, many = rows(3), [one | {f"b{n}.psnr": 20.0 + n for n in range(6)} for one in rows(3)]
    heights = [Image.open(io.BytesIO(plot_psnr(one, "t"))).height for one in (few, many)]
    assert heights[1] > 1.5 * heights[0]


def test_a_prediction_that_is_the_composite_is_drawn_once():
    masked = [one | {"mask.tp": 1} for one in rows()]
    once, twice = (Image.open(io.BytesIO(plot_psnr(made, "t"))) for made in (rows(), masked))
    assert once.height < twice.height


def test_undamaged_samples_are_not_among_the_dots():
    whole = row("w", (100.0, 90.0, 50.0), telea=80.0) | {"severity": 0.9}
    for plot in (plot_psnr, plot_gain):
        assert plot([*rows(), whole], "t") == plot(rows(), "t") != plot([whole], "t")


def test_no_figure_is_left_open():
    import matplotlib.pyplot as plt

    digests()
    assert plt.get_fignums() == []


def test_pictures_that_do_not_fit_the_columns_are_an_error():
    with pytest.raises(ValueError, match="zip"):
        plot_pictures(pictures(), ("one", "two"))


def test_plots_for_dark_screens_let_the_page_through():
    for plot in (plot_psnr(rows(), "t", DARK), plot_losses(history(), DARK),
                 plot_curves(phases(), "t", DARK)):  # fmt: skip
        with Image.open(io.BytesIO(plot)) as image:
            pixels = np.asarray(image.convert("RGBA"))
        assert pixels[0, 0, 3] == 0
        opaque = pixels[pixels[..., 3] == 255][:, :3]
        assert opaque.max() > 150 and (opaque.max(1) < 40).mean() < 0.2, "black on black"
