"""The restorer: sizes, what it sees, what its heads learn from, and what it leaves alone."""

import itertools

import pytest
import torch
from torch import nn

from pipeline.errors import ParamsError
from pipeline.seeds import rng
from pipeline.stream import Batch
from pipeline.systems import count_parameters, make_system
from pipeline.systems.colors import luma
from pipeline.systems.restorer import changed, degraded_outside, to_be_colored
from pipeline.systems.restorer_blocks import SILENCE, LayerNorm2d, NafBlock, log_size
from tests.conftest import ROOT, load_yaml

TINY = {"fold": 2, "widths": [32, 48, 64, 96, 128], "num_blocks": [2, 1, 1, 1, 1]}
BASE = {"fold": 1, "widths": [32, 64, 96, 128, 192, 256], "num_blocks": [2, 2, 2, 2, 2, 1]}
LARGE = {"fold": 1, "widths": [64, 128, 256, 384, 512], "num_blocks": [4, 4, 4, 2, 1]}
SMALL = {"fold": 1, "widths": [4, 8], "num_blocks": [1, 1]}
SIZES = [(1, 1), (1, 40), (7, 33), (33, 7), (64, 48), (65, 97)]
KINDS = ("drunet", "naf")


WEIGHTS = {
    "distance": "l1", "picture_weight": 1.0, "hole_weight": 5.0, "perceptual_weight": 0.0,
    "mask_weight": 1.0, "degraded_weight": 0.1,
}  # fmt: skip


def restorer(seed=7, **changes):
    """An untrained system in eval mode: params.yaml's with the weights above, and changes."""
    block = load_yaml(ROOT / "params.yaml")["systems"]["restorer"] | WEIGHTS | changes
    return make_system("restorer", {"systems": {"restorer": block}}, seed)[0].eval()


def noise(*shape, name="noise"):
    return torch.from_numpy(rng(0, "restorer", name, *shape).random(shape)).float()


def terms_of(system, batch):
    ((group, terms),) = system.updates("fit", batch)
    assert group == "restorer" and set(terms) == {"picture", "mask", "degraded"}
    return terms


def fit(system, batch, steps, rate):
    optimizer = torch.optim.Adam(system.parameters(), rate)
    system.train()
    for _ in range(steps):
        optimizer.zero_grad()
        sum(terms_of(system, batch).values()).backward()
        optimizer.step()
    return system.eval()


# sizes


@pytest.mark.parametrize(
    ("size", "count"), [(TINY, 1_175_989), (BASE, 7_005_254), (LARGE, 31_117_062)]
)
def test_the_named_sizes(size, count):
    with torch.device("meta"):
        system = restorer(blocks="drunet", **size)
    assert count_parameters(system) == count
    assert len(size["widths"]) >= 5  # four downs, beside the fold


def test_what_is_trained_here_is_tiny():
    assert count_parameters(restorer()) <= 1_200_000
    assert count_parameters(restorer(**BASE)) <= 7_500_000


@pytest.mark.parametrize(("size", "reach"), [(TINY, 452), (BASE, 634), (LARGE, 434)])
def test_the_receptive_field_is_what_the_docstring_says(size, reach):
    thin = size | {"widths": [2] * len(size["widths"])}
    system = restorer(blocks="drunet", **thin)
    with torch.no_grad():
        for parameter in system.parameters():
            parameter.fill_(0.1)  # nothing cancels, no ReLU is shut
    middle = 352
    x = torch.ones(1, 5, 2 * middle, 2 * middle, requires_grad=True)
    system.net(x).change[0, 0, middle, middle].backward()
    for axis in (2, 3):
        touched = torch.nonzero(x.grad.abs().sum([0, 1, 5 - axis]))[:, 0]
        assert int(touched.max() - touched.min()) + 1 == reach
    assert f"{reach} px" in (type(system).__doc__ or "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@torch.no_grad()
def test_any_size_and_either_number_of_channels(kind, size, channels):
    system = restorer(blocks=kind, channels=channels, **TINY | {"widths": [4, 4, 4, 8, 8]})
    made = system.restore(noise(2, channels, *size), keep=torch.ones(2, 1, *size), color=True)
    assert made.prediction.shape == made.composite.shape == (2, channels, *size)
    assert made.mask.shape == (2, 1, *size) and torch.isfinite(made.prediction).all()
    assert system.judge(noise(2, channels, *size)).shape == (2,)


def test_as_many_numbers_of_blocks_as_widths():
    said = r"systems\.restorer\.num_blocks must have as many numbers as widths"
    with pytest.raises(ParamsError, match=said):
        restorer(widths=[4, 8], num_blocks=[1])


# what it makes


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_an_untrained_net_hardly_changes_the_picture_and_calls_it_whole(kind):
    system = restorer(blocks=kind)
    x = noise(2, 3, 64, 64)
    made = system.restore(x)
    assert 0 < (made.prediction - x).abs().mean() < 0.05
    assert made.mask.mean() < 0.3 and system.judge(x).max() < 0.3


@torch.no_grad()
def test_pixels_change_where_the_mask_says_so_and_else_not_a_bit():
    system = restorer(**SMALL)
    x = noise(2, 3, 40, 33)
    system.threshold = float(system.restore(x).mask.median())
    made = system.restore(x, degraded=torch.zeros(2))
    found = (made.mask >= system.threshold).expand_as(x)
    assert 0.3 < found.float().mean() < 0.7
    assert torch.equal(made.composite[~found], x[~found])
    assert torch.equal(made.composite[found], made.prediction[found])


@torch.no_grad()
def test_a_degraded_photo_changes_everywhere_and_its_neighbour_not_at_all():
    system = restorer(**SMALL, threshold=0.99)
    x = noise(2, 3, 24, 24)
    limit = system.section.degraded_threshold
    made = system.restore(x, degraded=torch.tensor([limit, limit - 0.01]))
    assert torch.equal(made.composite[0], made.prediction[0])
    assert torch.equal(made.composite[1], x[1])
    all_of_it = system.restore(x, degraded=torch.tensor(0.9))
    assert torch.equal(all_of_it.composite, all_of_it.prediction)
    assert torch.equal(all_of_it.prediction, made.prediction)
    assert torch.equal(all_of_it.mask, made.mask)  # of local damage, whatever the photo


@torch.no_grad()
def test_a_picture_judges_itself_as_judge_does():
    x = noise(4, 3, 24, 24) * torch.tensor([0.1, 0.4, 0.7, 1.0]).reshape(4, 1, 1, 1)
    said = restorer(**SMALL).judge(x)
    assert len(said.unique()) == 4
    # A threshold between the second and the third photo's probability.
    low, high = said.sort().values[1:3]
    system = restorer(**SMALL, threshold=0.99, degraded_threshold=float((low + high) / 2))
    made = system.restore(x)
    changed = (made.composite != x).flatten(1).any(1)
    assert torch.equal(changed, said >= high)


@torch.no_grad()
def test_a_known_mask_is_the_only_place_to_change():
    system = restorer(**SMALL)
    x, mask = noise(1, 3, 24, 24), (noise(1, 1, 24, 24, name="mask") > 0.5).float()
    made = system.restore(x, mask=mask, degraded=torch.ones(1))
    whole = (mask == 0).expand_as(x)
    assert torch.equal(made.composite[whole], x[whole]) and made.mask is mask


@torch.no_grad()
def test_keep_and_color_matter_and_zeros_mean_none():
    system = restorer(**SMALL)
    x, some = noise(1, 3, 24, 24), (noise(1, 1, 24, 24, name="keep") > 0.5).float()
    plain = system.restore(x).prediction
    for same in ({"keep": torch.zeros(1, 1, 24, 24)}, {"color": False}, {"color": None}):
        assert torch.equal(system.restore(x, **same).prediction, plain)
        assert torch.equal(system.judge(x, **same), system.judge(x))
    kept, colored = ({"keep": some}, {"color": True})
    assert not torch.equal(system.restore(x, **kept).prediction, plain)
    assert not torch.equal(system.restore(x, **colored).prediction, plain)
    assert system.judge(x, **colored) != system.judge(x) != system.judge(x, **kept)


@torch.no_grad()
def test_a_gray_picture_is_three_equal_channels():
    system = restorer(**SMALL)
    gray = noise(1, 1, 16, 16)
    made, same = system.restore(gray), system.restore(gray.expand(-1, 3, -1, -1))
    assert torch.equal(made.prediction, same.prediction) and made.composite.shape[1] == 3


# what it learns from


def test_a_photo_is_degraded_if_anything_outside_the_mask_changed():
    clean = torch.full((4, 3, 8, 8), 0.5)
    corrupted, mask = clean.clone(), torch.zeros(4, 1, 8, 8)
    corrupted[1, :, :4], mask[1, :, :4] = 0.9, 1  # a hole
    corrupted[2, 1, 7, 7] += 1 / 255  # one level of one channel of one pixel
    corrupted[3], mask[3, :, :4] = 0.4, 1  # both
    colored = to_be_colored(corrupted, clean, mask)
    assert degraded_outside(changed(corrupted, clean, colored), mask).tolist() == [0, 0, 1, 1]


def test_what_is_gray_outside_the_mask_and_has_a_colored_target_is_to_be_colored():
    gray, color = noise(1, 1, 8, 8).expand(-1, 3, -1, -1), noise(1, 3, 8, 8, name="color")
    cases = list(itertools.product((gray, color), (gray, color)))
    corrupted, clean = (torch.cat(pictures) for pictures in zip(*cases, strict=True))
    mask = torch.zeros(4, 1, 8, 8)
    assert to_be_colored(corrupted, clean, mask).tolist() == [0, 1, 0, 0]
    mask[:, :, :4] = 1
    painted = corrupted.clone()
    painted[:, 0, :4] = 0.9  # a hole in red
    assert to_be_colored(painted, clean, mask).tolist() == [0, 1, 0, 0]


def test_a_photo_that_lacks_its_colors_alone_is_not_degraded():
    color = (noise(3, 3, 12, 12, name="color") * 255).round() / 255
    clean = color.clone()
    corrupted = (luma(color) * 255).round().expand(-1, 3, -1, -1) / 255
    mask = torch.zeros(3, 1, 12, 12)
    corrupted[1, :, :4], mask[1, :, :4] = 0.5, 1  # a hole
    corrupted[2, :, 9, 9] += 2 / 255  # grain
    colored = to_be_colored(corrupted, clean, mask)
    assert colored.tolist() == [1, 1, 1]
    assert degraded_outside(changed(corrupted, clean, colored), mask).tolist() == [0, 0, 1]


@torch.no_grad()
def test_a_gray_photo_gets_colors_and_keeps_its_gray_where_it_is_whole():
    system = restorer(**SMALL)
    gray = (noise(1, 1, 24, 24) * 255).round() / 255
    x = torch.cat([gray.expand(-1, 3, -1, -1), noise(1, 3, 24, 24, name="color")])
    system.threshold = float(system.restore(x, color=True).mask.median())
    made = system.restore(x, color=True, degraded=torch.zeros(2))
    whole = made.mask < system.threshold
    assert 0.1 < whole.float().mean() < 0.9
    (composite, colors), (seen, other) = made.composite, whole
    assert not torch.equal(composite[0], composite[1])  # colored
    kept = luma(composite[None])[0]
    assert torch.equal((kept[seen] * 255).round(), (gray[0][seen] * 255).round())
    assert torch.equal(colors[other.expand(3, -1, -1)], x[1][other.expand(3, -1, -1)])
    holes = ~seen.expand(3, -1, -1)
    assert torch.equal(composite[holes], made.prediction[0][holes])
    plain = system.restore(x[:1], degraded=torch.zeros(1))
    left = (plain.mask < system.threshold).expand(-1, 3, -1, -1)
    assert torch.equal(plain.composite[left], x[:1][left])


def test_the_losses_are_what_they_say():
    weights = {
        "picture_weight": 2.0,
        "hole_weight": 3.0,
        "mask_weight": 0.5,
        "degraded_weight": 7.0,
    }
    system = restorer(**SMALL, **weights)
    clean, mask = noise(3, 3, 16, 16), (noise(3, 1, 16, 16, name="mask") > 0.7).float()
    corrupted = torch.where(mask > 0, 0.25, clean)
    corrupted[0] = clean[0] * 0.8
    terms = terms_of(system, Batch(clean, corrupted, mask))
    with torch.no_grad():
        out = system.net(torch.cat([corrupted * 2 - 1, torch.zeros(3, 2, 16, 16)], 1))
    off = (corrupted + out.change - clean).abs()
    holes, whole = mask.expand_as(off) > 0, mask.expand_as(off) == 0
    picture = (3 * off[holes].sum() + off[whole].sum()) / off.numel()
    bce = nn.functional.binary_cross_entropy
    told = torch.tensor([1.0, 0, 0])
    assert terms["picture"].item() == pytest.approx(2 * picture.item(), rel=1e-5)
    assert terms["mask"].item() == pytest.approx(
        0.5 * bce(out.mask.sigmoid(), mask).item(), rel=1e-5
    )
    degraded = bce(out.degraded.sigmoid(), told).item()
    assert terms["degraded"].item() == pytest.approx(7 * degraded, rel=1e-5)


def test_charbonnier_is_l1_but_round_at_zero():
    clean = noise(2, 3, 16, 16)
    batch = Batch(clean, clean + 0.3, torch.zeros(2, 1, 16, 16))
    l1, round_one = (
        terms_of(restorer(**SMALL, distance=kind), batch)["picture"].item()
        for kind in ("l1", "charbonnier")
    )
    assert l1 < round_one < l1 + 1e-3


def test_a_perceptual_distance_is_added_where_wanted():
    clean = noise(1, 3, 64, 64)
    batch = Batch(clean, clean + 0.1, torch.zeros(1, 1, 64, 64))
    ((_, terms),) = restorer(**SMALL, perceptual_weight=2.0).updates("fit", batch)
    ((_, light),) = restorer(**SMALL, perceptual_weight=1.0).updates("fit", batch)
    assert terms["perceptual"].item() == pytest.approx(2 * light["perceptual"].item(), rel=1e-4)
    assert terms["perceptual"].item() > 0 and terms["picture"] == light["picture"]


def test_keep_masks_are_dropped_in_training_only():
    clean = noise(4, 3, 16, 16)
    batch = Batch(clean, clean, torch.zeros(4, 1, 16, 16), torch.ones(4, 1, 16, 16))
    without = batch._replace(keep=None)

    def picture(system, one):
        torch.manual_seed(0)
        return terms_of(system, one)["picture"].item()

    always, never = (restorer(**SMALL, keep_drop=share) for share in (1.0, 0.0))
    assert picture(always, batch) == picture(never, batch) != picture(never, without)
    assert picture(always.train(), batch) == picture(always, without)
    assert picture(never.train(), batch) != picture(never, without)


def test_color_is_asked_for_in_training_where_the_target_has_it():
    system = restorer(**SMALL)
    gray, color = noise(1, 1, 16, 16), noise(1, 3, 16, 16)
    mask = torch.zeros(1, 1, 16, 16)
    told = terms_of(system, Batch(color, gray, mask))["picture"].item()
    told /= system.section.picture_weight
    with torch.no_grad():
        seen = torch.cat([gray.expand(-1, 3, -1, -1) * 2 - 1, torch.zeros(1, 2, 16, 16)], 1)
        plain = system.net(seen).change
        seen[:, 4] = 1
        asked = system.net(seen).change
    assert told == pytest.approx((gray + asked - color).abs().mean().item(), rel=1e-5)
    assert told != pytest.approx((gray + plain - color).abs().mean().item(), rel=1e-5)


def test_clean_photos_teach_to_leave_alone():
    clean = noise(4, 3, 32, 32)
    system = fit(restorer(**SMALL), Batch(clean, clean, torch.zeros(4, 1, 32, 32)), 100, 0.003)
    with torch.no_grad():
        made = system.restore(clean)
        assert system.judge(clean).max() < 0.05
    assert torch.equal(made.composite, clean)
    assert (made.prediction - clean).abs().mean() < 0.01


def test_damage_that_hardly_shows_hardly_counts_in_the_mask():
    clean, mask = torch.full((1, 3, 8, 8), 0.5), torch.zeros(1, 1, 8, 8)
    mask[..., :6, :] = 1
    corrupted = clean.clone()
    corrupted[:, :, :2] += 24 / 255
    corrupted[:, 1, 2:4] -= 12 / 255  # the third pair of rows is masked and as it was
    system = restorer(**SMALL, visible_levels=24.0).train()
    with torch.no_grad():
        logits = system.net(torch.cat([corrupted * 2 - 1, torch.zeros(1, 2, 8, 8)], 1)).mask
    each = nn.functional.binary_cross_entropy_with_logits(logits, mask, reduction="none")
    weight = torch.tensor([1, 1, 0.5, 0.5, 0.02, 0.02, 1, 1]).reshape(1, 1, 8, 1)
    found = terms_of(system, Batch(clean, corrupted, mask))["mask"]
    assert found.item() == pytest.approx(float((each * weight).mean()), rel=1e-4)
    plain = terms_of(restorer(**SMALL).train(), Batch(clean, corrupted, mask))["mask"]
    assert plain.item() == pytest.approx(float(each.mean()), rel=1e-4)


def test_the_three_heads_learn_apart_on_holes_and_noise():
    """Whole, holed, grainy and both: the composite leaves, mends the hole, mends all."""
    ramp = torch.linspace(0.2, 0.8, 32).expand(8, 3, 32, 32)
    corrupted, mask = ramp.clone(), torch.zeros(8, 1, 32, 32)
    grain = (noise(8, 3, 32, 32) - 0.5) * 0.3
    corrupted[4:] = (corrupted + grain)[4:]
    for holed in (2, 3, 6, 7):
        corrupted[holed, :, 8:20, 8:20], mask[holed, :, 8:20, 8:20] = 1.0, 1
    sizes = {"widths": [8, 16, 16], "num_blocks": [1, 1, 1]}
    weights = {"mask_weight": 1.0, "degraded_weight": 0.3}
    system = fit(restorer(**sizes, **weights), Batch(ramp, corrupted, mask), 150, 0.003)
    with torch.no_grad():
        made, said = system.restore(corrupted), system.judge(corrupted)
    assert said[:4].max() < 0.5 < said[4:].min()
    found = (made.mask >= system.threshold).float()
    assert (found * mask).sum() / torch.maximum(found, mask).sum() > 0.8
    assert torch.equal(made.composite[:2], corrupted[:2])
    before, after = ((one - ramp).square().mean((1, 2, 3)) for one in (corrupted, made.composite))
    assert (after[[2, 3, 6, 7]] < 0.25 * before[[2, 3, 6, 7]]).all()
    assert (after[2:] < before[2:]).all()


# layers


def test_layer_norm_of_each_pixel():
    layer = LayerNorm2d(6)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = noise(2, 6, 5, 4)
    centered = x - x.mean(1, keepdim=True)
    expected = centered / (x.var(1, keepdim=True, unbiased=False) + layer.eps).sqrt()
    expected = expected * layer.weight.reshape(-1, 1, 1) + layer.bias.reshape(-1, 1, 1)
    torch.testing.assert_close(layer(x), expected)


@torch.no_grad()
def test_naf_block_is_the_published_sum():
    """Chen et al. 2022, written out anew with einsum and broadcasting."""
    block = NafBlock(4)
    x = noise(2, 4, 9, 7)

    def one_by_one(conv, y):
        weight = conv.weight[:, :, 0, 0]
        return torch.einsum("oi,nihw->nohw", weight, y) + conv.bias.reshape(-1, 1, 1)

    y = block.around(one_by_one(block.widen, block.first_norm(x)))
    y = y[:, :4] * y[:, 4:]
    y = y * one_by_one(block.weigh, y.mean((2, 3), keepdim=True))
    x2 = x + one_by_one(block.narrow, y) * block.first_share
    z = one_by_one(block.mix[0], block.second_norm(x2))
    z = one_by_one(block.mix[2], z[:, :4] * z[:, 4:])
    torch.testing.assert_close(block(x), x2 + z * block.second_share)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_log_size_is_summed_in_float32_at_least(dtype):
    x = torch.full((1, 2, 400, 300), -1.5, dtype=dtype)
    x[:, 1, ::2] = 1.5
    told = log_size(x)
    assert told.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(told, torch.full_like(told, 1.5 + SILENCE).log())
