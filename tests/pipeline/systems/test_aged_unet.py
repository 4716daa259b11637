"""The small U-Net: gray as published, and two ways to color."""

import numpy as np
import pytest
import torch

from pipeline.errors import ParamsError
from pipeline.images import to_gray
from pipeline.losses import mse
from pipeline.losses.lab import NUM_AB_BINS, lab_to_rgb
from pipeline.systems import count_parameters
from pipeline.systems.colors import AB_SCALE, lightness, luma, true_ab
from pipeline.validation import to_pictures
from tests.conftest import ROOT, load_yaml
from tests.pipeline.test_systems import assert_kept, noise, small, step_all, tiles

SIZES = {"widths": [16, 32, 64], "bottleneck": [128, 256, 128]}
COLORED = {
    "rgb": {"color": "rgb"},
    "regression": {"color": "lab", "color_loss": "regression"},
    "rebalanced": {"color": "lab", "color_loss": "rebalanced", "color_weight": 0.03},
}
each_mode = pytest.mark.parametrize("mode", COLORED)


def aged(mode, **changes):
    return small("aged_unet", **COLORED[mode], **changes)


def test_the_modes_differ_in_their_heads_alone():
    gray = count_parameters(small("aged_unet", color="gray", **SIZES))
    assert gray == 924_369
    assert count_parameters(aged("rgb", **SIZES)) == gray + 2 * (16 + 1)
    assert count_parameters(aged("regression", **SIZES)) == gray + 2 * (16 + 1)
    hidden = 64 * (16 * 16 + 1) + NUM_AB_BINS * (64 + 1)
    assert count_parameters(aged("rebalanced", **SIZES)) == gray + hidden


def test_gray_stays_what_it_was():
    """Its weights keep their names, and colors_loss means nothing to it."""
    names = set(small("aged_unet", color="gray").state_dict())
    assert names == set(aged("rgb").state_dict()) and "net.head.weight" in names
    assert names == set(small("aged_unet", color="grayscale", color_loss="rebalanced").state_dict())
    assert set(aged("rebalanced").state_dict()) > names


@each_mode
def test_color_comes_of_gray(mode):
    system = aged(mode)
    assert (system.channels, system.target_channels) == (1, 3)
    assert small("aged_unet", color="gray").target_channels == 1


def test_an_unknown_color_is_refused():
    with pytest.raises(ParamsError, match=r"systems\.aged_unet\.color"):
        small("aged_unet", color="sepia")


@each_mode
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 33), (33, 30), (65, 97)])
@torch.no_grad()
def test_any_size_comes_back_in_color(mode, size):
    made = aged(mode).restore(noise(2, 1, *size))
    assert made.prediction.shape == (2, 3, *size) and made.prediction.dtype == torch.float32
    assert float(made.prediction.min()) >= 0 and float(made.prediction.max()) <= 1
    assert torch.equal(made.composite, made.prediction) and made.mask is None


@each_mode
def test_every_weight_learns(mode):
    system = aged(mode).train()
    ((group, terms),) = system.updates("fit", tiles(system))
    sum(terms.values()).backward()
    assert group == "restorer" and set(terms) == (
        {"picture"} if mode == "rgb" else {"gray", "color"}
    )
    for parameter in system.parameters():
        assert torch.isfinite(parameter.grad).all() and parameter.grad.abs().max() > 0


def test_the_losses_are_their_formulas():
    system = aged("regression", color_weight=3.0)
    batch = tiles(system)
    ((_, terms),) = system.updates("fit", batch)
    gray, answer = system.net(batch.corrupted)
    assert terms["gray"].item() == pytest.approx(mse(gray, luma(batch.clean)).item(), rel=1e-5)
    expected = 3 * (answer.raw - true_ab(batch.clean) / AB_SCALE).square().mean().item()
    assert terms["color"].item() == pytest.approx(expected, rel=1e-5)
    system = aged("rgb")
    ((_, terms),) = system.updates("fit", batch)
    made = system.restore(batch.corrupted).prediction
    assert terms["picture"].item() == pytest.approx(mse(made, batch.clean).item(), rel=1e-5)


@torch.no_grad()
def test_lab_takes_its_light_from_the_restored_gray():
    system, x = aged("regression"), noise(1, 1, 24, 24)
    gray, answer = system.net(x)
    made = system.restore(x).prediction
    torch.testing.assert_close(luma(made), gray, atol=1e-6, rtol=0)
    answer.raw.mul_(0.05)  # near to gray, where nothing leaves the gamut, luma is L's own
    faint = lab_to_rgb(torch.cat([lightness(gray), answer.raw * AB_SCALE], 1))
    assert (luma(faint) - gray).abs().max() < 0.05


@each_mode
def test_eighty_steps_learn_the_colors_of_a_batch(mode):
    system = aged(mode, widths=[8, 16], bottleneck=[16, 16, 16]).train()
    batch = tiles(system)
    optimizers = {"restorer": torch.optim.Adam(system.parameters(), lr=0.01)}
    for _ in range(80):
        step_all(system, batch, optimizers, "fit")
    with torch.no_grad():
        made = system.eval().restore(batch.corrupted).composite
    assert mse(made, batch.clean) < 0.3 * mse(batch.corrupted.expand_as(made), batch.clean)
    assert mse(made, batch.clean) < 0.7 * mse(luma(made).expand_as(made), batch.clean)


@each_mode
@torch.no_grad()
def test_a_given_mask_keeps_the_gray_of_all_else_to_the_byte(mode):
    system, x = aged(mode), (noise(1, 1, 24, 17) * 255).round() / 255
    mask = (noise(1, 1, 24, 17, name="mask") > 0.6).float()
    made = system.restore(x, mask=mask)
    assert_kept(system, made, x, mask == 0)
    kept = (mask == 0)[0, 0].numpy()
    (picture,), (given,) = to_pictures(made.composite), to_pictures(x)
    np.testing.assert_array_equal(to_gray(picture)[kept], given[kept])


@each_mode
@torch.no_grad()
def test_without_color_the_picture_is_gray(mode):
    system, x = aged(mode), noise(1, 1, 24, 17)
    gray, colored = system.restore(x, color=False), system.restore(x)
    assert torch.equal(gray.prediction[:, :1].expand(-1, 3, -1, -1), gray.prediction)
    torch.testing.assert_close(luma(gray.prediction), luma(colored.prediction))
    assert not torch.equal(gray.prediction, colored.prediction)


def test_the_recipe_of_colors_wears_the_input_as_the_gray_one_does():
    recipes = load_yaml(ROOT / "params.yaml")["recipes"]
    gray, color = recipes["aged"], recipes["aged_color"]
    assert gray["steps"][0]["on"] == "both" and color["steps"][0]["on"] == "input"
    assert gray["steps"][1:] == color["steps"][1:]
