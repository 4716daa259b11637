"""Losses equal their formulas in numpy, have true gradients, and average per sample."""

import numpy as np
import pytest
import torch

from pipeline.losses import bce_on_logits, masked_l1, mse
from pipeline.seeds import rng


def array(*shape, name="x", low=-1.0, high=1.0):
    return rng(0, "losses", name, *shape).uniform(low, high, shape)


def tensor(values):
    return torch.from_numpy(np.asarray(values)).float()


def holes(count=3, side=7):
    """Masks N1HW with other numbers of damaged pixels for each sample."""
    mask = np.zeros((count, 1, side, side))
    for number in range(count):
        mask[number, 0, : number + 1, : 2 * number + 1] = 1
    return mask


def masked_l1_in_numpy(prediction, target, mask):
    means = [
        (np.abs(p - t) * m).sum() / max(1, m.sum())
        for p, t, m in zip(prediction, target, mask, strict=True)
    ]
    return np.mean(means)


def bce_in_numpy(logits, target):
    chance = 1 / (1 + np.exp(-logits))
    return -np.mean(target * np.log(chance) + (1 - target) * np.log(1 - chance))


@pytest.mark.parametrize("channels", [1, 3])
def test_masked_l1_is_its_formula(channels):
    a, b = array(3, channels, 7, 7), array(3, channels, 7, 7, name="y")
    for mask in (holes(), 1 - holes(), np.ones((3, 1, 7, 7))):
        expected = masked_l1_in_numpy(a, b, mask)
        assert masked_l1(tensor(a), tensor(b), tensor(mask)).item() == pytest.approx(expected, 1e-6)


def test_masked_l1_by_hand():
    """Channels are summed, pixels averaged: two damaged pixels, 3 channels off by 0.5 each."""
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., 0, :2] = 1
    target = torch.zeros(1, 3, 4, 4)
    assert masked_l1(target + 0.5, target, mask).item() == pytest.approx(1.5)


def test_masked_l1_sees_damaged_pixels_only():
    a, b = tensor(array(2, 3, 7, 7)), tensor(array(2, 3, 7, 7, name="y"))
    mask = tensor(holes(2))
    elsewhere = a + 100 * (1 - mask)
    assert masked_l1(elsewhere, b, mask).item() == pytest.approx(masked_l1(a, b, mask).item())


def test_an_empty_mask_costs_nothing_and_pulls_nowhere():
    a = tensor(array(2, 3, 5, 5)).requires_grad_()
    loss = masked_l1(a, tensor(array(2, 3, 5, 5, name="y")), torch.zeros(2, 1, 5, 5))
    loss.backward()
    assert loss.item() == 0.0 and torch.equal(a.grad, torch.zeros_like(a))


def test_masked_l1_averages_per_sample_so_that_large_holes_do_not_outweigh_small_ones():
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :1, :1], mask[1] = 1, 1
    target = torch.zeros(2, 1, 8, 8)
    prediction = torch.zeros(2, 1, 8, 8)
    prediction[0] = 1.0
    assert masked_l1(prediction, target, mask).item() == pytest.approx(0.5)
    assert masked_l1(prediction[:1], target[:1], mask[:1]).item() == pytest.approx(1.0)


def test_an_empty_sample_counts_as_zero_in_the_mean():
    mask = torch.ones(4, 1, 3, 3)
    mask[1:] = 0
    assert masked_l1(torch.ones(4, 1, 3, 3), torch.zeros(4, 1, 3, 3), mask).item() == 0.25


def test_mse_is_its_formula():
    a, b = array(3, 3, 7, 5), array(3, 3, 7, 5, name="y")
    assert mse(tensor(a), tensor(b)).item() == pytest.approx(np.mean((a - b) ** 2), 1e-6)
    assert mse(tensor(a), tensor(a)).item() == 0.0


def test_bce_is_its_formula():
    logits, target = array(3, 1, 7, 5, low=-8, high=8), holes()[..., :5]
    found = bce_on_logits(tensor(logits), tensor(target)).item()
    assert found == pytest.approx(bce_in_numpy(logits, target), 1e-6)
    assert bce_on_logits(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item() == pytest.approx(
        np.log(2)
    )


@pytest.mark.parametrize("logit", [-1e4, -300.0, 300.0, 1e4])
def test_bce_stays_finite_for_sure_answers(logit):
    logits = torch.full((1, 1, 2, 2), logit, requires_grad=True)
    for target in (0.0, 1.0):
        loss = bce_on_logits(logits, torch.full((1, 1, 2, 2), target))
        loss.backward()
        assert loss.item() == pytest.approx(max(0.0, logit * (1 - 2 * target)))
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("loss", [mse, bce_on_logits, masked_l1])
def test_losses_of_half_precision_are_float32_and_true(loss, dtype):
    a = tensor(array(2, 1, 9, 9, high=3)).to(dtype)
    b = tensor(array(2, 1, 9, 9, name="y", low=0)).to(dtype)
    mask = [tensor(holes(2, 9))] if loss is masked_l1 else []
    found = loss(a, b, *mask)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(loss(a.float(), b.float(), *mask).item(), 1e-6)


def worst_gradient_error(loss, x, step=1e-3):
    """The true gradient by central differences in float64 numpy, against autograd's."""
    x = x.requires_grad_()
    loss(x).backward()
    errors = []
    for place in np.ndindex(*x.shape):
        bump = torch.zeros_like(x)
        bump[place] = step
        with torch.no_grad():
            slope = (loss(x + bump).double() - loss(x - bump).double()) / (2 * step)
        errors.append(abs(slope - x.grad[place]).item())
    return max(errors)


@pytest.mark.parametrize("name", ["mse", "bce", "masked_l1"])
def test_gradients_are_the_slopes(name):
    x, y = tensor(array(2, 1, 3, 3)), tensor(array(2, 1, 3, 3, name="y", low=0))
    mask = tensor(holes(2, 3))
    loss = {
        "mse": lambda x: mse(x, y),
        "bce": lambda x: bce_on_logits(x, y),
        "masked_l1": lambda x: masked_l1(x, y, mask),
    }[name]
    assert worst_gradient_error(loss, x) < 2e-4
