"""Colors for gray pictures: gray is kept to the byte, a/b come back, rare colors are counted."""

import numpy as np
import pytest
import torch
from skimage import color as reference

from pipeline.images import to_gray
from pipeline.losses.lab import NUM_AB_BINS, ab_prior, encode_ab, rebalancing_weights
from pipeline.systems.colors import (
    AB_SCALE,
    NEWS,
    STRIDE,
    AbHead,
    Answer,
    ab_of,
    color_loss,
    colorize,
    lightness,
    luma,
    true_ab,
    with_luma,
)
from pipeline.validation import to_pictures
from tests.pipeline.test_systems import noise


@pytest.fixture
def photo(astronaut):
    """A real photo, N3HW in [0, 1]."""
    return torch.from_numpy(astronaut[100:228, 150:260].copy()).permute(2, 0, 1)[None] / 255


def test_luma_is_the_gray_that_damage_leaves(astronaut):
    x = torch.from_numpy(astronaut).permute(2, 0, 1)[None] / 255
    off = to_pictures(luma(x))[0].astype(int) - to_gray(astronaut)
    assert np.abs(off).max() <= 1 and (off != 0).mean() < 0.001


def test_lightness_of_gray_is_labs():
    gray = torch.linspace(0, 1, 256).reshape(1, 1, 16, 16)
    expected = reference.rgb2lab(gray[0].expand(3, -1, -1).permute(1, 2, 0).numpy())[..., 0]
    np.testing.assert_allclose(lightness(gray)[0, 0].numpy(), expected, atol=1e-3)


def test_every_gray_byte_survives_any_color():
    levels = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 300, 1)
    gray = torch.from_numpy(levels)[None, None] / 255
    for rgb in (
        noise(1, 3, 256, 300),
        noise(1, 3, 256, 300).round(),  # the corners of the cube
        colorize(gray, 250 * (noise(1, 2, 256, 300, name="ab") - 0.5)),  # far out of gamut
    ):
        made = with_luma(rgb, gray)
        assert float(made.min()) >= 0 and float(made.max()) <= 1
        torch.testing.assert_close(luma(made), gray, atol=1e-6, rtol=0)
        np.testing.assert_array_equal(to_gray(to_pictures(made)[0])[..., 0], levels)


def test_a_picture_that_has_its_luma_already_stays():
    rgb = noise(2, 3, 9, 9)
    torch.testing.assert_close(with_luma(rgb, luma(rgb)), rgb, atol=1e-6, rtol=0)


def test_true_colors_on_the_true_gray_give_the_photo_back(photo):
    made = colorize(luma(photo), true_ab(photo))
    assert -10 * torch.log10((made - photo).square().mean()) > 40


def test_black_and_white_take_no_color_and_gradients_stay_finite():
    gray = torch.tensor([0.0, 1.0, 0.5, 1e-7]).reshape(1, 1, 1, 4)
    ab = torch.tensor([90.0, -90.0]).reshape(1, 2, 1, 1).repeat(1, 1, 1, 4).requires_grad_()
    made = colorize(gray, ab)
    assert torch.equal(made[..., :2], gray[..., :2].expand(1, 3, 1, 2))
    made.square().sum().backward()
    assert torch.isfinite(ab.grad).all() and ab.grad[..., 2].abs().max() > 0


def test_with_luma_has_true_slopes():
    rgb = noise(1, 3, 3, 4).double().requires_grad_()
    gray = (0.05 + 0.9 * noise(1, 1, 3, 4, name="gray")).double().requires_grad_()
    assert torch.autograd.gradcheck(with_luma, (rgb, gray))


# the head


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (16, 12), (33, 7)])
@pytest.mark.parametrize("kind", ["regression", "rebalanced"])
def test_colors_have_the_size_of_the_picture(kind, size):
    features = noise(2, 6, *size)
    answer = AbHead(6, kind).eval()(features)
    assert ab_of(answer, features).shape == (2, 2, *size)
    if kind == "rebalanced":
        assert answer.raw.shape == (2, NUM_AB_BINS, *(-(-side // STRIDE) for side in size))


def test_regression_measures_in_the_units_of_the_network(photo):
    ab = true_ab(photo)
    off = Answer(ab / AB_SCALE + 0.1, None)
    assert color_loss(off, ab).item() == pytest.approx(0.01, rel=1e-4)
    torch.testing.assert_close(ab_of(Answer(ab / AB_SCALE, None), ab), ab)


def test_the_true_bins_give_true_colors_a_quarter_as_fine(photo):
    ab = true_ab(photo)[..., :128, :108]
    coarse = torch.nn.functional.avg_pool2d(ab, STRIDE)
    weights = torch.ones(NUM_AB_BINS)
    sure = Answer(encode_ab(coarse).clamp(min=1e-9).log() * 0.38, weights)  # the annealing undone
    assert (ab_of(sure, ab) - ab).abs().mean() < 4
    blank = Answer(torch.zeros_like(sure.raw), weights)
    assert color_loss(Answer(sure.raw / 0.38, weights), ab) < 0.7 * color_loss(blank, ab)


def test_how_often_colors_come_is_counted_while_training_alone(photo):
    head, features, ab = AbHead(4, "rebalanced"), noise(1, 4, 128, 108), true_ab(photo)[..., :108]
    start = head.prior.clone()
    torch.testing.assert_close(start, torch.full_like(start, 1 / NUM_AB_BINS))
    assert torch.equal(head.eval()(features, ab).weights, rebalancing_weights(start))
    head.train()(features)
    assert torch.equal(head.prior, start) and head.num_batches == 0
    weights = head(features, ab).weights
    seen = ab_prior(torch.nn.functional.avg_pool2d(ab, STRIDE)).float()
    torch.testing.assert_close(head.prior, seen)  # the first batch is all that is known
    assert weights[seen.argmax()] < 0.5 * weights[seen.argmin()]
    head(features, -ab)
    other = ab_prior(torch.nn.functional.avg_pool2d(-ab, STRIDE)).float()
    torch.testing.assert_close(head.prior, (seen + other) / 2)
    assert {"prior", "num_batches"} <= set(head.state_dict())


def test_after_many_batches_a_new_one_counts_for_little():
    head, features = AbHead(4, "rebalanced").train(), noise(1, 4, 4, 4)
    head.num_batches += 10_000
    before = head.prior.clone()
    head(features, torch.zeros(1, 2, 4, 4))
    gray = ab_prior(torch.zeros(1, 2, 4, 4)).float()
    torch.testing.assert_close(head.prior, (1 - NEWS) * before + NEWS * gray)
