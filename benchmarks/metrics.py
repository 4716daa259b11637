"""How fast metrics are: against scikit-image one by one, and against the time that a system takes
to restore the very tile that is measured.

The first in CPU time on one thread; the second in wall time on two, taking turns, since a system
uses both. A share is told as a rate: tiles measured a second, against those that would take just
the share of the model's time that is allowed.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from benchmarks._project import ROOT
from benchmarks._timing import Task, interleaved, one_thread, row
from pipeline import seeds
from pipeline.config import load_params
from pipeline.fidelity import Mask, Picture
from pipeline.images import resize, to_gray
from pipeline.losses.perceptual import WEIGHTS_FOLDER
from pipeline.metrics import METRICS, Ruler
from pipeline.metrics.alexnet import Distance, load_reference
from pipeline.systems import System, make_system
from pipeline.validation import to_pictures

SSIM_FLOOR, TOGETHER_FLOOR, COLOR_FLOOR = 5.0, 7.0, 5.0
SSIM_SLACK = 1e-5
CORE = ("mse", "psnr", "ssim")
CORE_SHARE, ALL_SHARE = 0.1, 0.6  # of the model's own time
HEIGHT, WIDTH, SIDE = 512, 768, 256
SIGMA, REPEATS, THREADS = 20, 15, 2
PUBLISHED = ROOT / "stages/presets/published.yaml"


def main(side: int = SIDE, size: tuple[int, int] = (HEIGHT, WIDTH), repeats: int = REPEATS) -> list:
    """Rows of pictures a CPU second beside scikit-image's, then of tiles a second beside what the
    share allows: published systems and those of the demo, one picture each as they leave it."""
    one_thread()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = _beside(size, repeats)
    cv2.setNumThreads(THREADS)
    torch.set_num_threads(THREADS)
    sizes = {
        "published": load_params(PUBLISHED)["params"],
        "demo": load_params(ROOT / "params.yaml"),
    }
    try:
        for name in ("aged_unet", "dual_decoder"):
            for kind, params in sizes.items():
                rows += _shares(f"{name}-{kind}", make_system(name, params, 7)[0], side, repeats)
    finally:
        one_thread()
        torch.set_num_threads(threads)
    return rows


def _beside(size: tuple[int, int], repeats: int) -> list[dict]:
    target = resize(data.astronaut(), *size)
    made = _noisy(target)
    core, ruler = Ruler(target, None, CORE), Ruler(target, None, ["ssim"])
    color = Ruler(target, None, ["ciede2000"])
    lab = rgb2lab(target)
    tasks: dict[str, Task] = {
        "ssim": lambda: ruler.measure(made),
        "skimage ssim": lambda: _ssim(made, target),
        "core": lambda: core.measure(made),
        "skimage core": lambda: (
            _ssim(made, target),
            peak_signal_noise_ratio(target, made, data_range=255),
            mean_squared_error(target, made),
        ),
        "color": lambda: color.measure(made),
        "skimage color": lambda: deltaE_ciede2000(lab, rgb2lab(made)).mean(),
    }
    off = abs(ruler.measure(made)["ssim"] - _ssim(made, target))
    if off > SSIM_SLACK:
        raise AssertionError(f"SSIM is {off:.2g} off scikit-image's")
    taken = interleaved(tasks, repeats)
    rates = {name: 1 / seconds for name, seconds in taken.items()}
    where = f"{size[0]}×{size[1]} RGB, pictures a CPU second"
    return [
        row("8-ssim", f"SSIM of {where}, against scikit-image ({off:.1g} off)",
            rates["ssim"], rates["skimage ssim"], SSIM_FLOOR),
        row("8-together", f"PSNR, SSIM and MSE of {where}, against scikit-image's three",
            rates["core"], rates["skimage core"], TOGETHER_FLOOR),
        row("8-ciede2000", f"CIEDE2000 of {where}, against scikit-image",
            rates["color"], rates["skimage color"], COLOR_FLOOR),
    ]  # fmt: skip


def _shares(name: str, system: System, side: int, repeats: int) -> list[dict]:
    """Rows of one system: PSNR, SSIM and MSE, all metrics without LPIPS, and with it."""
    clean = resize(data.astronaut(), side, side)
    clean = clean if system.target_channels == 3 else to_gray(clean)
    corrupted = _noisy(clean if system.channels == 3 else to_gray(clean))
    x = torch.from_numpy(corrupted).permute(2, 0, 1)[None].float() / 255
    system = system.eval()
    mask = np.zeros(clean.shape[:2], np.uint8)
    mask[side // 4 : side // 2, side // 4 : side // 2] = 255
    plain = [one for one in METRICS if one != "lpips"]
    distance = load_reference() if os.environ.get(WEIGHTS_FOLDER) else None
    wanted = {"core": (CORE, CORE_SHARE), "all-but-lpips": (plain, ALL_SHARE)}
    if distance is not None:
        wanted["all"] = ([*plain, "lpips"], ALL_SHARE)
    made = _restored(system, x)
    tasks: dict[str, Task] = {"model": lambda: _restored(system, x)}
    tasks |= {
        key: _measuring(clean, mask, made, names, distance) for key, (names, _) in wanted.items()
    }
    taken = _wall(tasks, repeats)
    channels = "RGB" if clean.shape[2] == 3 else "gray"
    return [
        row(f"8-share-{name}-{key}",
            f"{key} of a {side}² {channels} tile, tiles a second on {THREADS} threads, against "
            f"{share:.0%} of the model's time: takes {taken[key] / taken['model']:.1%} of it",
            1 / taken[key], 1 / (share * taken["model"]), 1.0)
        for key, (_, share) in wanted.items()
    ]  # fmt: skip


def _measuring(
    clean: Picture, mask: Mask, made: Picture, names: list[str], distance: Distance | None
) -> Callable[[], object]:
    """All that one sample takes, its ruler included."""
    return lambda: Ruler(clean, mask, names, distance).measure(made)


@torch.inference_mode()
def _restored(system: System, x: torch.Tensor) -> Picture:
    return to_pictures(system.restore(x).composite)[0]


def _wall(tasks: dict[str, Task], repeats: int) -> dict[str, float]:
    """Median wall seconds, in turns."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in taken.items()}


def _noisy(picture: Picture) -> Picture:
    noise = seeds.rng(7, "noise").normal(0, SIGMA, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def _ssim(made: Picture, target: Picture) -> float:
    """scikit-image's, with the settings of Wang et al."""
    return structural_similarity(
        made, target, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        data_range=255, channel_axis=-1,
    )  # fmt: skip
