"""The autoencoder of paintings: published layers, its two phases, its sampling, its tiles."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from pipeline.errors import ParamsError, TrainingError
from pipeline.seeds import rng
from pipeline.stream import Batch
from pipeline.systems import count_parameters, make_system
from pipeline.systems.tiles import restore_tiles
from tests.conftest import small_params

PUBLISHED = {"widths": [32, 64, 128, 256], "hidden": 512, "latent": 128}
SIZES = [(1, 1), (7, 33), (65, 97), (128, 128), (128, 129), (300, 129), (400, 260)]


def made(**changes):
    """An untrained system of small widths, in eval mode."""
    params = small_params()
    params["systems"]["skip_vae"] |= changes
    return make_system("skip_vae", params, 7)[0].eval()


def noise(*shape, name="noise"):
    return torch.from_numpy(rng(0, "skip_vae", name, *shape).random(shape, np.float32))


def pairs(count=2):
    clean, corrupted = noise(count, 3, 128, 128), noise(count, 3, 128, 128, name="corrupted")
    return Batch(clean, corrupted, torch.zeros(count, 1, 128, 128))


def terms_of(system, batch, phase="distorted"):
    ((group, terms),) = system.updates(phase, batch)
    assert group == "restorer"
    return {name: term.item() for name, term in terms.items()}


# the published layers


@pytest.mark.parametrize("skips", [True, False])
def test_the_published_size(skips):
    assert count_parameters(made(**PUBLISHED, skips=skips)) == 18_371_523


@torch.no_grad()
def test_the_published_layers():
    net = made(**PUBLISHED).net
    assert net.squeeze.weight.shape == (512, 16384) and net.mean.weight.shape == (128, 512)
    assert net.spread.weight.shape == (16384, 512)
    assert all(layer.kernel_size == (4, 4) and layer.stride == (2, 2) for layer in net.down)
    logits, mean, log_variance = net(noise(2, 3, 128, 128), sample=False)
    assert logits.shape == (2, 3, 128, 128)
    assert mean.shape == log_variance.shape == (2, 128)


@torch.no_grad()
def test_skips_pass_the_inner_levels_around_the_code_and_off_nothing_does():
    one, two = noise(1, 3, 128, 128, name="a"), noise(1, 3, 128, 128, name="b")
    for skips in (True, False):
        system = made(widths=[4, 4, 4, 4], skips=skips)
        system.net.mean.weight.zero_()  # the code says nothing now
        same = torch.equal(system.restore(one).prediction, system.restore(two).prediction)
        assert same != skips


@torch.no_grad()
def test_the_decoder_adds_each_level_after_its_own_activation():
    net = made(widths=[2, 3]).net
    x = noise(2, 3, 128, 128)
    first = F.relu(net.down[0](x))
    second = F.relu(net.down[1](first))
    code = net.mean(F.relu(net.squeeze(second.flatten(1))))
    deep = F.relu(net.spread(F.relu(net.widen(code)))).reshape(2, 3, 32, 32)
    expected = net.up[1](F.relu(net.up[0](deep)) + first)
    torch.testing.assert_close(net(x, sample=False)[0], expected)


@pytest.mark.parametrize("overlap", [-1, 65])
def test_an_overlap_beyond_half_a_tile_is_refused(overlap):
    with pytest.raises(ParamsError, match=r"systems\.skip_vae\.overlap"):
        made(overlap=overlap)


def test_training_on_another_size_is_refused_in_one_line():
    batch = Batch(*(part[..., :64, :64] for part in pairs()[:3]))
    with pytest.raises(TrainingError, match=r"trains on 128×128 px only, not 64×64; set .*crop"):
        terms_of(made(), batch)


# training


def test_the_loss_sums_over_a_picture_and_weighs_the_divergence():
    batch = pairs()
    system, heavy = made(), made(beta=4.0)
    with torch.no_grad():
        logits, mean, log_variance = system.net(batch.corrupted, sample=False)
    terms, other = terms_of(system, batch), terms_of(heavy, batch)
    p = torch.sigmoid(logits.double())
    cross = -(batch.clean * p.log() + (1 - batch.clean) * (1 - p).log()).sum() / 2
    assert terms["bce"] == pytest.approx(cross.item(), rel=1e-5)
    given = Normal(mean.double(), torch.exp(log_variance.double() / 2))
    divergence = kl_divergence(given, Normal(0.0, 1.0)).sum() / 2
    assert terms["kl"] == pytest.approx(divergence.item(), rel=1e-4)
    assert other["kl"] == pytest.approx(4 * terms["kl"], rel=1e-5)
    assert other["bce"] == terms["bce"]


def test_the_first_phase_copies_and_the_second_restores():
    system, batch = made(), pairs()
    assert system.phases == ("clear", "distorted")
    clear, distorted = terms_of(system, batch, "clear"), terms_of(system, batch, "distorted")
    copied = batch._replace(corrupted=batch.clean)
    assert clear == terms_of(system, copied, "distorted") != distorted
    assert clear == terms_of(system, batch._replace(corrupted=batch.clean * 0), "clear")


def test_training_draws_the_code_under_the_seed_and_validation_takes_its_mean():
    system, batch = made().train(), pairs()
    told = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        told.append(terms_of(system, batch))
    assert told[0] == told[1]
    assert told[0]["bce"] != told[2]["bce"] and told[0]["kl"] == told[2]["kl"]
    system.eval()
    assert terms_of(system, batch) == terms_of(system, batch)


def test_the_drawn_codes_have_the_mean_and_variance_that_the_encoder_says():
    system = made(widths=[2, 2], latent=4, skips=False)
    codes = []
    system.net.widen.register_forward_pre_hook(lambda _, given: codes.append(given[0]))
    torch.manual_seed(5)
    x = noise(1, 3, 128, 128).expand(4000, 3, 128, 128)
    with torch.no_grad():
        for part in x.split(500):
            _, mean, log_variance = system.net(part, sample=True)
    drawn = torch.cat(codes)
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=0.06, rtol=0)
    torch.testing.assert_close(drawn.var(0), log_variance[0].exp(), atol=0, rtol=0.1)


@torch.no_grad()
def test_restoring_never_draws_even_in_training_mode():
    system, x = made().train(), noise(1, 3, 128, 128)
    assert torch.equal(system.restore(x).prediction, system.restore(x).prediction)
    assert torch.equal(system.restore(x).prediction, made().restore(x).prediction)


def test_half_precision_leaves_code_and_loss_in_full_precision():
    system, batch = made(), pairs()
    with torch.autocast("cpu", torch.bfloat16):
        made_of = system.net(batch.corrupted, sample=True)
        ((_, terms),) = system.updates("clear", batch)
    assert {part.dtype for part in (*made_of, *terms.values())} == {torch.float32}
    assert all(torch.isfinite(term) for term in terms.values())


# tiles


@torch.no_grad()
def test_a_picture_of_one_tile_is_the_network_s_own():
    system, x = made(), noise(2, 3, 128, 128)
    direct = torch.sigmoid(system.net(x, sample=False)[0])
    assert torch.equal(system.restore(x).prediction, direct)


@pytest.mark.parametrize("overlap", [0, 1, 32, 64])
@pytest.mark.parametrize("size", SIZES)
def test_tiles_that_change_nothing_rejoin_without_a_seam(size, overlap):
    for x in (noise(2, 3, *size), torch.full((1, 3, *size), 0.3)):
        torch.testing.assert_close(
            restore_tiles(x, 128, overlap, lambda tiles: tiles), x, atol=1e-6, rtol=0
        )


def test_every_tile_has_the_network_s_size_and_the_channels_may_change():
    def gray(tiles):
        assert tiles.shape[1:] == (3, 128, 128)
        return tiles.mean(1, keepdim=True)

    x = noise(2, 3, 200, 300)
    torch.testing.assert_close(restore_tiles(x, 128, 32, gray), x.mean(1, keepdim=True))


def test_a_tile_fades_linearly_into_its_neighbour():
    # Two tiles in a row, told apart by what they hold: 0 left of the seam's middle, 1 right of it.
    x = torch.zeros(1, 1, 128, 224)
    calls = []

    def number(tiles):
        calls.append(len(tiles))
        return torch.arange(len(tiles), dtype=torch.float32)[:, None, None, None].expand_as(tiles)

    row = restore_tiles(x, 128, 32, number)[0, 0, 50]
    assert calls == [2]
    assert row[:96].eq(0).all() and row[128:].eq(1).all()
    torch.testing.assert_close(row[96:128], torch.arange(1, 33) / 33, atol=1e-6, rtol=0)


@torch.no_grad()
def test_a_larger_picture_has_no_step_where_tiles_meet():
    system = made()
    x = torch.full((1, 3, 300, 300), 0.4)
    system.net.up[-1].weight.mul_(20)  # an untrained network would be too faint to see
    picture = system.restore(x).prediction[0].mean(0)
    alone = system.restore(x[..., :128, :128]).prediction[0].mean(0)
    assert picture.diff(dim=1).abs().max() <= 1.05 * alone.diff(dim=1).abs().max()


# what its report tells beside the result


@torch.no_grad()
def test_the_ablation_has_no_skips_and_leaves_the_network_as_it_was():
    with_skips = made(skips=True)
    without = made(skips=False)
    without.load_state_dict(with_skips.state_dict())
    x = noise(2, 3, 140, 200)
    before = with_skips.restore(x).prediction
    aside = with_skips.aside(x)
    torch.testing.assert_close(aside.pictures["without_skips"], without.restore(x).prediction)
    assert (aside.pictures["without_skips"] - before).abs().max() > 1e-3
    torch.testing.assert_close(with_skips.restore(x).prediction, before)
    assert not without.aside(x).pictures, "it is its own ablation"


@torch.no_grad()
def test_the_divergence_is_each_pictures_own():
    system, x = made(), noise(3, 3, 128, 128)
    told = system.aside(x).numbers["kl"]
    for place in range(3):
        _, mean, log_variance = system.net(x[place : place + 1], sample=False)
        normal = Normal(mean, torch.exp(log_variance / 2))
        expected = kl_divergence(normal, Normal(0.0, 1.0)).sum()
        assert told[place].item() == pytest.approx(expected.item(), rel=1e-4)
    wide = noise(2, 3, 128, 300)
    alone = [system.aside(wide[n : n + 1]).numbers["kl"].item() for n in range(2)]
    assert system.aside(wide).numbers["kl"].tolist() == pytest.approx(alone, rel=1e-4)
