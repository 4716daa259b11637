"""The adversarial losses are their papers' formulas, and pull logits where they should."""

import numpy as np
import pytest
import torch

from pipeline.losses.adversarial import fake, fool, real
from pipeline.seeds import rng

FORMULAS = {
    ("lsgan", fool): lambda d: 0.5 * (d - 1) ** 2,
    ("lsgan", real): lambda d: 0.5 * (d - 1) ** 2,
    ("lsgan", fake): lambda d: 0.5 * d**2,
    ("hinge", fool): lambda d: -d,
    ("hinge", real): lambda d: np.maximum(0, 1 - d),
    ("hinge", fake): lambda d: np.maximum(0, 1 + d),
}


def logits(dtype=torch.float64):
    return torch.from_numpy(rng(0, "adversarial").uniform(-3, 3, (2, 1, 5, 4))).to(dtype)


@pytest.mark.parametrize(("kind", "loss"), FORMULAS)
def test_losses_are_their_formulas_with_true_gradients(kind, loss):
    x = logits().requires_grad_()
    expected = FORMULAS[kind, loss](x.detach().numpy()).mean()
    assert loss(x, kind).item() == pytest.approx(expected, 1e-12)
    assert torch.autograd.gradcheck(lambda x: loss(x, kind), (x,))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("kind", "loss"), FORMULAS)
def test_half_precision_comes_out_as_float32(kind, loss, dtype):
    found = loss(1000 * logits(dtype), kind)  # whose squares float16 does not have
    assert found.dtype == torch.float32 and torch.isfinite(found)


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
def test_each_side_pulls_its_way(kind):
    """By hand, at logits of 0: towards 1 for the true and for whom fools; lsgan's fakes rest."""
    slopes = {}
    for loss in (fool, real, fake):
        x = torch.zeros(1, requires_grad=True)
        loss(x, kind).backward()
        slopes[loss] = x.grad.item()
    assert (slopes[fool], slopes[real]) == (-1, -1)
    assert slopes[fake] == (1 if kind == "hinge" else 0)


def test_hinge_leaves_sure_critics_alone():
    sure = torch.full((4,), 1.5, requires_grad=True)
    (real(sure, "hinge") + fake(-sure, "hinge")).backward()
    assert not sure.grad.any()
