"""The literature's protocol: the noise, the sets and their figures, the oracle, whole and tiled."""

import itertools

import numpy as np
import pytest
import torch
from skimage import data

from pipeline import fidelity
from pipeline.images import resize
from pipeline.literature.measuring import (
    Bench,
    measure_input,
    measure_oracle,
    measure_system,
    restore,
)
from pipeline.literature.protocol import Noise, input_psnr
from pipeline.systems import Restored, System, make_system
from pipeline.systems.baselines import NLM_STRENGTHS, NLM_TEMPLATES, NonLocalMeans
from tests.conftest import small_params
from tests.pipeline.clean_pictures import put_pictures, seen_in, silent

CPU = torch.device("cpu")
REACH = 2  # px that a pixel of two convolutions depends on


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return put_pictures(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def bsd68(photos):
    return seen_in(photos / "benchmarks/BSD68_gray")


class Identity(System):
    """Answers with its input, so that only the protocol is measured."""

    channels = 1

    def restore(self, x, mask=None, keep=None, color=None, degraded=None):
        return Restored(x, None, x, {})


# noise


@pytest.mark.parametrize("color", [False, True])
def test_noise_is_white_gaussian_of_its_sigma_and_unclipped(astronaut, color):
    pair = Noise(25, 7, color).pair("a.png", astronaut)
    noise = pair.given - pair.clean
    assert pair.clean.shape[2] == (3 if color else 1)
    assert noise.std() == pytest.approx(25, rel=0.01)
    assert abs(noise.mean()) < 0.3
    assert (np.abs(noise) < 25).mean() == pytest.approx(0.6827, abs=0.005)
    beside = np.corrcoef(noise[:, 1:].ravel(), noise[:, :-1].ravel())[0, 1]
    assert abs(beside) < 0.01
    assert pair.given.min() < 0
    assert pair.given.max() > 255
    assert not np.array_equal(pair.given, np.rint(pair.given))


def test_noise_follows_from_the_seed_and_the_name_alone(astronaut):
    def given(seed, name, sigma=25):
        return Noise(sigma, seed, False).pair(name, astronaut).given

    assert np.array_equal(given(7, "a"), given(7, "a"))
    assert not np.array_equal(given(7, "a"), given(7, "b"))
    assert not np.array_equal(given(7, "a"), given(8, "a"))


def test_clipping_and_rounding_are_done_when_asked_for(astronaut):
    clipped = Noise(50, 7, False, clip=True).pair("a", astronaut).given
    assert (clipped.min(), clipped.max()) == (0, 255)
    rounded = Noise(50, 7, False, quantize=True).pair("a", astronaut).given
    assert np.array_equal(rounded, np.rint(rounded))
    assert rounded.min() < 0
    assert Noise(25, 7, False).plain
    assert not Noise(25, 7, False, quantize=True).plain


def test_a_gray_file_keeps_its_values(folder):
    stored = resize(data.camera()[:, :, None], 96, 128)
    assert np.array_equal(Bench(seen_in(folder), Noise(25, 7, False), 80).pair(2).clean, stored)


def test_noisy_bsd68_has_the_psnr_of_its_noise(bsd68):
    for sigma, decibel in ((15, 24.61), (25, 20.17), (50, 14.15)):
        measured = measure_input(Bench(bsd68, Noise(sigma, 7, False), 80), silent)
        assert measured.means["psnr"] == pytest.approx(decibel, abs=0.05)


# systems


def test_what_comes_out_is_clipped_and_rounded_and_nothing_else(folder):
    bench = Bench(seen_in(folder), Noise(25, 7, False), 80)
    kept = []
    measured = measure_system(bench, Identity(), CPU, silent, lambda *both: kept.append(both))
    assert len(measured.rows) == len(kept) == 3
    for row, (pair, restored) in zip(measured.rows, kept, strict=True):
        assert np.array_equal(restored, pair.quantized)
        assert row["psnr"] == pytest.approx(fidelity.psnr(pair.quantized, pair.clean), abs=1e-5)
        assert row["ssim"] == pytest.approx(fidelity.ssim(pair.quantized, pair.clean), abs=1e-5)
        assert row["psnr"] > input_psnr(pair)  # clipping alone removes some noise


def test_a_system_sees_the_noise_beyond_black_and_white(folder):
    seen = []

    class Watching(Identity):
        def restore(self, x, **others):
            seen.append((float(x.min()), float(x.max())))
            return super().restore(x)

    measure_system(Bench(seen_in(folder), Noise(50, 7, False), 80), Watching(), CPU, silent)
    assert min(low for low, _ in seen) < 0
    assert max(high for _, high in seen) > 1


def test_tiles_of_a_large_picture_rejoin_as_the_whole():
    params = small_params()
    params["systems"]["aged_unet"] |= {"widths": [], "bottleneck": [6, 6]}
    system = make_system("aged_unet", params, 7)[0].eval()
    pixels = resize(data.astronaut(), 600, 700)
    pair = Noise(25, 7, False).pair("a", pixels)
    whole, _ = restore(pair, system, CPU)
    tiled, _ = restore(pair, system, CPU, max_whole=1)
    assert whole.shape == (600, 700, 1)
    apart = np.abs(whole.astype(int) - tiled)[:, :, 0]
    assert apart.max() <= 4  # where a tile ends, its edge has little weight, but some
    for seam in (188, 512):
        apart[:, seam - REACH : seam + REACH] = 0
    for seam in (88, 512):
        apart[seam - REACH : seam + REACH] = 0
    assert apart.max() <= 1


def test_masks_and_judgements_are_of_the_whole_picture_when_it_is_tiled():
    params = small_params()
    system = make_system("dual_decoder", params, 7)[0].eval()
    pair = Noise(25, 7, True).pair("a", resize(data.astronaut(), 530, 40))
    restored, mask = restore(pair, system, CPU, max_whole=1)
    assert restored.shape == pair.clean.shape
    assert mask.shape == (530, 40)
    assert 0 <= mask.min() <= mask.max() <= 1


def test_gray_pictures_go_through_systems_of_color(folder):
    system = make_system("dual_decoder", small_params(), 7)[0].eval()
    bench = Bench(seen_in(folder), Noise(25, 7, False), 80)
    restored, _ = restore(bench.pair(0), system, CPU)
    assert restored.shape == (96, 128, 1)


# the oracle


def test_the_oracle_is_the_best_of_all_strengths(folder):
    bench = Bench(seen_in(folder), Noise(25, 7, False), 80)
    found = measure_oracle(bench, silent)
    pairs = [bench.pair(place) for place in range(3)]
    means = {}
    for h, template in itertools.product(NLM_STRENGTHS[25:41], NLM_TEMPLATES):
        strength = {"h": h, "template": template}
        made = [NonLocalMeans().restore(pair.quantized, None, strength) for pair in pairs]
        values = [fidelity.psnr(a, pair.clean) for a, pair in zip(made, pairs, strict=True)]
        means[h, template] = np.mean(values)
    assert found.means["psnr"] == pytest.approx(max(means.values()), abs=1e-5)
    strength = found.more["strength"]
    assert means[strength["h"], strength["template"]] == max(means.values())


def test_the_oracle_stands_where_the_literature_has_it(photos):
    """BM3D has 29.45 and 32.85 dB on these two, non-local means is known to be worse."""
    seen = seen_in(photos / "benchmarks/Set12_gray")[:2]
    found = measure_oracle(Bench(seen, Noise(25, 7, False), 80), silent)
    assert 28 < found.means["psnr"] < 31.15
