"""What a system makes of a sample, and what it does where nothing is wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pipeline.answers import altered, family_names, harm, look_aside, restore_sample, undamaged
from pipeline.fidelity import psnr
from pipeline.samples import Sample
from pipeline.seeds import rng
from pipeline.systems import Restored, System, make_system
from tests.conftest import small_params

CPU = torch.device("cpu")


class Brightener(System):
    """Adds 10 levels where it finds damage: on the left columns that it is told of."""

    threshold = 0.5

    def __init__(self, columns: int, channels: int = 3, everywhere: int = 0) -> None:
        super().__init__()
        self.columns, self.channels, self.everywhere = columns, channels, everywhere

    def restore(self, x, mask=None, keep=None, color=None, degraded=None):
        found = torch.zeros_like(x[:, :1])
        found[..., : self.columns] = 0.9
        prediction = (x + 10 / 255).clamp(0, 1)
        composite = torch.where(found >= self.threshold, prediction, x) + self.everywhere / 255
        return Restored(prediction, found, composite, {"mask": found, "half": x / 2})


def sample(side=20, channels=3, steps=()):
    clean = rng(1, "clean").integers(20, 200, (side, side, channels), np.uint8)
    corrupted, mask = clean.copy(), np.zeros((side, side), np.uint8)
    corrupted[:, :4], mask[:, :4] = 255, 255
    story = {"photo": {"name": "a.png", "source": "sample"}, "steps": list(steps)}
    return Sample("a_0000_00", clean, corrupted, mask, story)


def test_an_answer_is_in_the_channels_of_the_original_and_of_the_system():
    answer = restore_sample(Brightener(4, channels=1), sample(), CPU)
    assert answer.composite.shape == answer.prediction.shape == (20, 20, 3)
    assert answer.seen.shape == answer.given.shape == (20, 20, 1)
    assert answer.mask.shape == (20, 20) and answer.marked(0.5).sum() == 80
    assert set(answer.stages) == {"mask", "half"} and set(answer.between) == {"half"}


def test_shares_of_altered_pixels():
    """4 of 20 columns are marked and changed; with a constant added, all others change, too."""
    one = restore_sample(Brightener(4), undamaged(sample()), CPU)
    assert altered(one, 0.5) == (0.2, 0.0)
    other = restore_sample(Brightener(4, everywhere=3), undamaged(sample()), CPU)
    assert altered(other, 0.5) == (1.0, 1.0)
    whole = restore_sample(Brightener(20), undamaged(sample()), CPU)
    assert altered(whole, 0.5) == (1.0, None), "nothing lies outside"


def test_harm_is_measured_against_the_input():
    answer = restore_sample(Brightener(4), undamaged(sample()), CPU)
    told = harm(answer, 0.5)
    # 10 levels on a fifth of the pixels: MSE 20.
    assert told["psnr"] == pytest.approx(10 * np.log10(255**2 / 20), abs=1e-6)
    assert (told["marked"], told["altered"], told["altered_outside"]) == (
        pytest.approx(0.2), 0.2, 0.0,
    )  # fmt: skip
    untouched = harm(restore_sample(Brightener(0), undamaged(sample()), CPU), 0.5)
    assert untouched == {"psnr": 100.0, "marked": 0.0, "altered": 0.0, "altered_outside": 0.0}


def test_the_undamaged_twin_is_the_original_with_nothing_to_find():
    steps = [{"family": "shapes", "on": "input", "severity": 0.4}]
    damaged = sample(steps=steps)
    twin = undamaged(damaged)
    np.testing.assert_array_equal(twin.corrupted, damaged.clean)
    assert not twin.mask.any() and family_names(twin) == "undamaged"
    assert damaged.mask.any() and family_names(damaged) == "shapes", "the sample itself is kept"
    missing = Sample("b", *(getattr(damaged, n) for n in ("clean", "corrupted", "mask")),
                     {**damaged.story, "given": True, "mask": "missing"})  # fmt: skip
    assert missing.mask_missing and not undamaged(missing).mask_missing


def test_a_system_that_colors_is_held_to_the_lightness_alone():
    params = small_params()
    params["systems"]["aged_unet"]["color"] = "rgb"
    system = make_system("aged_unet", params, 7)[0].eval()
    assert (system.channels, system.target_channels) == (1, 3)
    answer = restore_sample(system, undamaged(sample(32)), CPU)
    told = harm(answer, 0.5)
    assert told["altered"] is None and told["marked"] is None
    luma = np.array([0.299, 0.587, 0.114])
    gray = np.rint(answer.given @ luma)[..., None].clip(0, 255).astype(np.uint8)
    assert told["psnr"] == pytest.approx(psnr(gray, answer.seen), abs=0.2)


def test_families_are_those_to_be_undone_each_once():
    def step(family, on="input", severity=0.5):
        return {"family": family, "on": on, "severity": severity}

    steps = [step("grain"), step("grayscale", "both"), step("dust"), step("grain"),
             step("folds", severity=0.0)]  # fmt: skip
    assert family_names(sample(steps=steps)) == "dust grain"
    given = SimpleNamespace(story={"given": True})
    assert family_names(given) == "given"


def test_what_a_system_tells_of_itself_comes_in_the_originals_channels():
    params = small_params()
    system = make_system("skip_vae", params, 7)[0].eval()
    pictures, numbers = look_aside(system, sample(40, channels=1), CPU)
    assert pictures["without_skips"].shape == (40, 40, 1) and numbers["kl"] > 0
    assert look_aside(Brightener(2), sample(), CPU) == ({}, {})
