"""Every damage family keeps the contract: JSON numbers, pure, replayable, its mask exact."""

import copy
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import png, seeds
from pipeline.config import validate
from pipeline.corruptions import CORRUPTIONS, Corruption, Damaged, Recipe, make_steps
from pipeline.errors import ParamsError, PipelineError, ReplayError
from tests.conftest import ROOT, Params, load_yaml, run_stage, small_params, write_params

PARAMS = load_yaml(ROOT / "params.yaml")
FAMILIES = CORRUPTIONS.names()
SHAPES = [(64, 64), (65, 97), (97, 33), (1, 80), (80, 1), (1, 1), (1, 4), (4, 1), (3, 2)]
Array = np.ndarray


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small overlay bank, drawn by its stage."""
    home = tmp_path_factory.mktemp("project")
    write_params(home, small_params())
    run_stage(home, "textures")
    return home / "data/textures"


def family(name: str, bank: Path, **changes: Any) -> Corruption:
    """A family with the ranges of the first recipe that uses it, some of them changed."""
    made = Recipe.single(PARAMS, name, bank).steps[0].corruption
    return validate({**made.model_dump(), **changes}, name, type(made)).bind(bank)


def photo_tile(height: int, width: int, channels: int = 3) -> Array:
    """A smooth picture with some noise, as photos are."""
    small = seeds.field(height).integers(0, 256, (4, 5, channels), np.uint8)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    noise = seeds.field(width).integers(0, 40, (height, width, channels), np.uint8)
    return cv2.add(large.reshape(height, width, channels), noise).reshape(height, width, channels)


def apply(corruption: Corruption, tile: Array, drawn: Any) -> tuple[Array, Array]:
    """Apply, checking what every family owes."""
    before, numbers = tile.copy(), copy.deepcopy(drawn)
    out, mask = corruption.apply(tile, drawn)
    np.testing.assert_array_equal(tile, before)
    assert drawn == numbers
    assert out.dtype == mask.dtype == np.uint8
    assert out.ndim == 3 and out.shape[:2] == tile.shape[:2] == mask.shape
    assert out.shape[2] in (1, tile.shape[2])
    assert set(np.unique(mask)) <= {0, 255}
    return out, mask


@pytest.mark.parametrize("name", FAMILIES)
def test_drawn_numbers_survive_json_and_replay_the_same_bytes(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    for number in range(12):
        tile = photo_tile(64, 80)
        drawn = corruption.draw((64, 80, 300), seeds.rng(7, name, number))
        told = json.loads(json.dumps(drawn, allow_nan=False))
        assert told == drawn
        first, again = apply(corruption, tile, drawn), apply(corruption, tile, told)
        assert first[0].tobytes() == again[0].tobytes()
        assert first[1].tobytes() == again[1].tobytes()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_generator_draws_the_same(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    draws = [corruption.draw((64, 80, 300), seeds.rng(7, name)) for _ in range(2)]
    assert draws[0] == draws[1]


@pytest.mark.parametrize("name", sorted({*FAMILIES} - {"grayscale"}))
def test_other_generators_draw_otherwise(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    draws = {json.dumps(corruption.draw((64, 80, 300), seeds.rng(7, n))) for n in range(20)}
    assert len(draws) == 20


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_takes_any_tile(
    name: str, shape: tuple[int, int], channels: int, bank: Path
) -> None:
    corruption, tile = family(name, bank), photo_tile(*shape, channels)
    for number in range(4):
        drawn = corruption.draw((*shape, 300), seeds.rng(7, number))
        out, mask = apply(corruption, tile, drawn)
        if corruption.extent == "global":
            assert not mask.any()
        else:
            assert out.shape == tile.shape
            changed = np.abs(out.astype(int) - tile).max(axis=2)
            assert changed[mask == 0].max(initial=0) <= (4 if name == "texture" else 0)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_window_of_a_larger_picture_is_damaged_like_its_copy(name: str, bank: Path) -> None:
    corruption, whole = family(name, bank), photo_tile(90, 100)
    window = whole[10:74, 20:84]
    drawn = corruption.draw((64, 64, 300), seeds.rng(7, name))
    before = whole.copy()
    out, _ = corruption.apply(window, drawn)
    np.testing.assert_array_equal(out, corruption.apply(window.copy(), drawn)[0])
    np.testing.assert_array_equal(whole, before)


@pytest.mark.parametrize("name", FAMILIES)
def test_severity_lies_between_0_and_1(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    for number in range(60):
        drawn = corruption.draw((64, 64, 300), seeds.rng(7, number))
        assert 0 <= corruption.severity(drawn) <= 1


@pytest.mark.parametrize("name", FAMILIES)
def test_a_shape_without_photo_side_means_the_tile_is_the_photo(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    short = corruption.draw((64, 80), seeds.rng(7, name))
    assert short == corruption.draw((64, 80, 64), seeds.rng(7, name))


def sizes(corruption: Corruption, photo_side: int) -> list[float]:
    """Every size in px that 80 draws name."""
    draws = [corruption.draw((512, 512, photo_side), seeds.rng(7, n)) for n in range(80)]
    shapes = [shape["size"] for drawn in draws for shape in drawn.get("shapes", [])]
    return shapes + [one["side"] for drawn in draws for one in drawn.get("overlays", [])]


@pytest.mark.parametrize("name", ["shapes", "texture"])
def test_sizes_follow_the_photo_and_not_the_tile(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    if name == "shapes":  # the covered share, which is of the tile, must not choose among sizes
        corruption = family(name, bank, covered_range=[0.0, 1.0])
    small, large = np.mean(sizes(corruption, 200)), np.mean(sizes(corruption, 400))
    assert 1.8 < large / small < 2.2


SQUARE = {
    "kind": "square", "y": 10, "x": 50, "size": 21, "fill": "color", "color": [10, 200, 90],
    "opacity": 0.71, "seed": 11,
}  # fmt: skip
CIRCLE = SQUARE | {"kind": "circle", "y": 40, "x": 3, "opacity": 0.93}
SHAPES_DRAWN = [SQUARE, CIRCLE | {"fill": "noise"}, SQUARE | {"y": 44, "fill": "white"}]
SHAPES_DRAWN.append(CIRCLE | {"x": 30, "size": 6, "fill": "black", "opacity": 1.0})
OVERLAY = {
    "name": "o", "place": [0.3, 0.8], "side": 140, "turn": 1, "flip": True, "mode": "screen",
    "opacity": 0.77,
}  # fmt: skip
OVERLAYS = [
    OVERLAY,
    OVERLAY | {"mode": "multiply", "turn": 2},
    OVERLAY | {"mode": "add", "turn": 0},
]
FIXED: dict[str, Any] = {
    "grain": {"sigma": 17.31, "seed": 5},
    "grayscale": {},
    "shapes": {"shapes": SHAPES_DRAWN},
    "texture": {"overlays": OVERLAYS},
}
GOLDEN = {
    ("grain", 1): "c662dc43a3bfce8b",
    ("grayscale", 1): "da8556176268d454",
    ("shapes", 1): "450ede0db8bb7954",
    ("texture", 1): "715a602603e99890",
}


def fingerprint(name: str, folder: Path) -> str:
    """A hash over the pixels and masks that fixed numbers give."""
    data = png.encode(photo_tile(100, 100, 1))
    (folder / "o.png").write_bytes(data)
    drawn, whole = copy.deepcopy(FIXED[name]), hashlib.sha256()
    for overlay in drawn.get("overlays", []):
        overlay["sha256"] = hashlib.sha256(data).hexdigest()
    for channels in (3, 1):
        out, mask = family(name, folder).apply(photo_tile(48, 56, channels), drawn)
        whole.update(out.tobytes() + mask.tobytes())
    return whole.hexdigest()[:16]


@pytest.mark.parametrize("name", FIXED)
def test_changed_pixels_come_with_a_raised_version(name: str, tmp_path: Path) -> None:
    version, now = CORRUPTIONS[name].version, fingerprint(name, tmp_path)
    assert (name, version) in GOLDEN, f"pin ({name!r}, {version}): {now!r}"
    assert now == GOLDEN[name, version], f"raise the version of {name}: its pixels changed"


# shapes


@pytest.mark.parametrize("photo_side", [300, 400, 512])
@pytest.mark.parametrize("side", [128, 192])
def test_shapes_cover_what_they_should(side: int, photo_side: int, bank: Path) -> None:
    corruption = family("shapes", bank)
    covered = []
    for number in range(500):
        drawn = corruption.draw((side, side, photo_side), seeds.rng(7, "cover", number))
        _, mask = corruption.apply(np.zeros((side, side, 1), np.uint8), {**drawn, "shapes": [
            {**shape, "fill": "white"} for shape in drawn["shapes"]]})  # fmt: skip
        covered.append(np.count_nonzero(mask) / mask.size)
        assert drawn["covered"] == round(covered[-1], 5)
    share = np.mean([0.02 <= one <= 0.35 for one in covered])
    assert share >= 0.99
    assert np.std(covered) > 0.03  # and not always the same


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mask_of_shapes_is_exactly_what_was_painted(channels: int, bank: Path) -> None:
    corruption = family("shapes", bank, opacity_range=[1.0, 1.0], fills=["white"])
    tile = np.zeros((96, 130, channels), np.uint8)
    for number in range(30):
        drawn = corruption.draw((96, 130, 300), seeds.rng(7, number))
        out, mask = apply(corruption, tile, drawn)
        np.testing.assert_array_equal(out, mask[:, :, None].repeat(channels, 2))


def distance_mask(shape: dict[str, Any], height: int, width: int) -> Array:
    """Which pixels a shape may cover, computed apart."""
    y, x = np.mgrid[:height, :width]
    down, right, size = y - shape["y"], x - shape["x"], shape["size"]
    if shape["kind"] == "circle":
        return np.hypot(down, right) <= size + 0.5
    return (np.abs(down + 0.25) <= size / 2) & (np.abs(right + 0.25) <= size / 2)


def test_shapes_lie_where_their_numbers_say(bank: Path) -> None:
    corruption = family("shapes", bank)
    for number in range(60):
        drawn = corruption.draw((96, 130, 300), seeds.rng(7, number))
        for shape in drawn["shapes"]:
            _, mask = corruption.apply(np.zeros((96, 130, 3), np.uint8), {"shapes": [shape]})
            wanted = distance_mask(shape, 96, 130)
            rim = 6 * shape["size"] if shape["kind"] == "circle" else 2 * shape["size"] + 2
            assert np.count_nonzero((mask > 0) != wanted) <= rim


@pytest.mark.parametrize("kind", ["square", "circle"])
@pytest.mark.parametrize("fill", ["color", "black", "white", "noise"])
def test_a_fill_is_blended_with_its_opacity(fill: str, kind: str, bank: Path) -> None:
    tile = photo_tile(60, 70)
    shape = {
        "kind": kind, "y": 30, "x": 20, "size": 14, "fill": fill, "color": [10, 200, 90],
        "opacity": 0.7, "seed": 11,
    }  # fmt: skip
    out, mask = apply(family("shapes", bank), tile, {"shapes": [shape]})
    inside = mask > 0
    assert 150 < np.count_nonzero(inside) < 700
    np.testing.assert_array_equal(out[~inside], tile[~inside])
    flat = {"color": [10, 200, 90], "black": [0, 0, 0], "white": [255, 255, 255]}
    if fill != "noise":
        wanted = 0.3 * tile[inside] + 0.7 * np.array(flat[fill])
        assert np.abs(out[inside] - wanted).max() <= 0.51
    else:
        painted = (out[inside] - 0.3 * tile[inside]) / 0.7
        assert painted.min() > -1 and painted.max() < 256
        assert abs(painted.mean() - 127.5) < 15 and abs(painted.std() - 73.9) < 10


def test_every_kind_fill_and_opacity_occurs(bank: Path) -> None:
    corruption = family("shapes", bank)
    draws = [corruption.draw((128, 128, 300), seeds.rng(7, n)) for n in range(150)]
    shapes = [shape for drawn in draws for shape in drawn["shapes"]]
    kinds, fills = Counter(s["kind"] for s in shapes), Counter(s["fill"] for s in shapes)
    assert set(kinds) == {"square", "circle"} and min(kinds.values()) > 0.3 * len(shapes)
    assert set(fills) == {"color", "black", "white", "noise"}
    assert min(fills.values()) > 0.15 * len(shapes)
    opacities = [shape["opacity"] for shape in shapes]
    assert 0.6 <= min(opacities) < 0.65 and 0.95 < max(opacities) <= 1.0
    sizes = [shape["size"] for shape in shapes]
    assert min(sizes) >= 0.03 * 300 - 1 and max(sizes) <= 0.12 * 300 + 1


def test_fills_can_be_narrowed(bank: Path) -> None:
    corruption = family("shapes", bank, fills=["black"])
    drawn = corruption.draw((128, 128, 300), seeds.rng(7))
    assert {shape["fill"] for shape in drawn["shapes"]} == {"black"}


# grain


@pytest.mark.parametrize("sigma", [5.0, 12.5, 25.0])
def test_grain_has_the_drawn_deviation_and_is_gaussian(sigma: float, bank: Path) -> None:
    corruption = family("grain", bank, sigma_range=[sigma, sigma])
    tile = np.full((512, 512, 3), 128, np.uint8)
    drawn = corruption.draw((512, 512), seeds.rng(7, "grain"))
    assert drawn["sigma"] == sigma
    grain = apply(corruption, tile, drawn)[0].astype(float) - 128
    assert abs(grain.mean()) < 4 * sigma / np.sqrt(grain.size) + 0.02
    assert abs(grain.std() / sigma - 1) < 0.02
    normed = (grain - grain.mean()) / grain.std()
    assert abs((normed**3).mean()) < 0.02
    assert abs((normed**4).mean() - 3) < 0.05


def test_grain_is_independent_between_channels_and_neighbours(bank: Path) -> None:
    corruption = family("grain", bank, sigma_range=[20.0, 20.0])
    drawn = corruption.draw((400, 400), seeds.rng(7))
    out = corruption.apply(np.full((400, 400, 3), 128, np.uint8), drawn)[0].astype(float)
    between = np.corrcoef(out.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    beside = np.corrcoef(out[:, 1:].ravel(), out[:, :-1].ravel())[0, 1]
    below = np.corrcoef(out[1:].ravel(), out[:-1].ravel())[0, 1]
    assert np.abs([*between, beside, below]).max() < 0.01


def test_grain_saturates_and_never_wraps(bank: Path) -> None:
    corruption = family("grain", bank, sigma_range=[50.0, 50.0])
    drawn = corruption.draw((100, 100), seeds.rng(7))
    dark, _ = corruption.apply(np.zeros((100, 100, 3), np.uint8), drawn)
    light, _ = corruption.apply(np.full((100, 100, 3), 255, np.uint8), drawn)
    assert 0.45 < (dark == 0).mean() < 0.55 and dark.max() < 255
    assert 0.45 < (light == 255).mean() < 0.55 and light.min() > 0


def test_grain_draws_all_of_its_range(bank: Path) -> None:
    corruption = family("grain", bank)
    drawn = [corruption.draw((8, 8), seeds.rng(7, n))["sigma"] for n in range(400)]
    low, high = corruption.sigma_range
    assert low <= min(drawn) < low + 1 and high - 1 < max(drawn) <= high
    assert abs(np.mean(drawn) - (low + high) / 2) < 2


# grayscale


def test_grayscale_is_one_channel_of_luma(bank: Path) -> None:
    tile = photo_tile(40, 50)
    out, _ = apply(family("grayscale", bank), tile, {})
    assert out.shape == (40, 50, 1)
    assert np.abs(out[:, :, 0] - tile @ np.array([0.299, 0.587, 0.114])).max() <= 1
    np.testing.assert_array_equal(apply(family("grayscale", bank), out, {})[0], out)


# texture


def overlays(bank: Path) -> dict[str, str]:
    return json.loads((bank / "bank.json").read_text())["overlays"]


def one_overlay(bank: Path, **changes: Any) -> dict[str, Any]:
    """An overlay at its own size, unturned."""
    name = next(name for name in sorted(overlays(bank)) if name.startswith("mixed"))
    side = png.decode_mask((bank / f"{name}.png").read_bytes()).shape[0]
    plain = {
        "name": name, "sha256": overlays(bank)[name], "place": [0.0, 0.0], "side": side,
        "turn": 0, "flip": False, "mode": "screen", "opacity": 1.0,
    }  # fmt: skip
    return plain | changes


def formula(mode: str, tile: Array, amplitude: Array) -> Array:
    """The blends in float, where x is the photo and a the mark."""
    x, a = tile.astype(float), amplitude[:, :, None].astype(float)
    return {
        "screen": x + a - x * a / 255,
        "add": np.minimum(x + a, 255),
        "multiply": x * (1 - a / 255),
    }[mode]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("opacity", [1.0, 0.43])
@pytest.mark.parametrize("mode", ["screen", "add", "multiply"])
def test_a_blend_is_its_formula(mode: str, opacity: float, channels: int, bank: Path) -> None:
    overlay = one_overlay(bank, mode=mode, opacity=opacity)
    amplitude = png.decode_mask((bank / f"{overlay['name']}.png").read_bytes())[:90, :110]
    assert amplitude.max() > 100
    tile = photo_tile(90, 110, channels)
    out, mask = apply(family("texture", bank), tile, {"overlays": [overlay]})
    assert np.abs(out - formula(mode, tile, amplitude * opacity)).max() <= 1.01
    changed = np.abs(out.astype(int) - tile).max(axis=2)
    np.testing.assert_array_equal(mask > 0, changed > 4)
    assert 0 < np.count_nonzero(mask) < mask.size


@pytest.mark.parametrize(("mode", "sign"), [("screen", 1), ("add", 1), ("multiply", -1)])
def test_light_modes_only_lighten_and_dark_ones_only_darken(
    mode: str, sign: int, bank: Path
) -> None:
    tile = photo_tile(90, 110)
    out, _ = apply(family("texture", bank), tile, {"overlays": [one_overlay(bank, mode=mode)]})
    change = (out.astype(int) - tile) * sign
    assert change.min() == 0 and change.max() > 4


def test_light_and_dark_marks_both_occur(bank: Path) -> None:
    corruption = family("texture", bank)
    tile = np.full((128, 128, 3), 128, np.uint8)
    light = dark = 0
    for number in range(60):
        drawn = corruption.draw((128, 128, 300), seeds.rng(7, number))
        change = apply(corruption, tile, drawn)[0].astype(int) - 128
        light, dark = light + bool(change.max() > 4), dark + bool(change.min() < -4)
    assert light > 15 and dark > 8


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_an_overlay_is_turned_and_flipped_whole(turn: int, flip: bool, bank: Path) -> None:
    black = np.zeros((128, 128, 1), np.uint8)
    corruption = family("texture", bank)
    plain, _ = apply(corruption, black, {"overlays": [one_overlay(bank)]})
    out, _ = apply(corruption, black, {"overlays": [one_overlay(bank, turn=turn, flip=flip)]})
    wanted = np.rot90(plain, turn)
    np.testing.assert_array_equal(out, wanted[:, ::-1] if flip else wanted)


def test_every_overlay_mode_turn_and_count_occurs(bank: Path) -> None:
    corruption = family("texture", bank)
    draws = [corruption.draw((64, 64, 300), seeds.rng(7, n))["overlays"] for n in range(200)]
    assert {len(drawn) for drawn in draws} == {1, 2}
    seen = [overlay for drawn in draws for overlay in drawn]
    assert {one["name"] for one in seen} == set(overlays(bank))
    assert {one["mode"] for one in seen} == {"screen", "add", "multiply"}
    assert {one["turn"] for one in seen} == {0, 1, 2, 3}
    assert {one["flip"] for one in seen} == {False, True}
    assert all(one["sha256"] == overlays(bank)[one["name"]] for one in seen)
    assert all(0.3 <= one["opacity"] <= 1 and 240 <= one["side"] <= 480 for one in seen)


@pytest.mark.parametrize("place", ["none", "absent", "empty", "no JSON", "a list"])
def test_texture_needs_a_bank_and_says_so_in_one_line(place: str, tmp_path: Path) -> None:
    folder = None if place == "none" else tmp_path / place
    if place not in ("none", "absent"):
        (tmp_path / place).mkdir()
    if place in ("no JSON", "a list"):
        (tmp_path / place / "bank.json").write_text("{" if place == "no JSON" else "[]")
    corruption = Recipe.single(PARAMS, "texture", folder).steps[0].corruption
    with pytest.raises(ParamsError, match="run `patina textures`") as caught:
        corruption.draw((64, 64), seeds.rng(7))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["changed", "cut", "gone", "another's hash"])
def test_an_overlay_that_changed_is_refused(change: str, bank: Path, tmp_path: Path) -> None:
    overlay = one_overlay(bank)
    file = tmp_path / f"{overlay['name']}.png"
    data = (bank / file.name).read_bytes()
    if change == "changed":
        data = png.encode(png.decode(data) ^ 1)
    elif change == "cut":
        data = data[:-5]
    elif change == "another's hash":
        overlay["sha256"] = "0" * 64
    if change != "gone":
        file.write_bytes(data)
    corruption = family("texture", tmp_path)
    with pytest.raises(ReplayError, match="is not the overlay drawn") as caught:
        corruption.apply(photo_tile(64, 64), {"overlays": [overlay]})
    assert file.name in str(caught.value)


# recipes


def params_with(*steps: dict[str, Any]) -> Params:
    """Params with one recipe of such steps."""
    tiles = {"side": 64, "per_photo": 1, "variants": 1}
    recipe = {"sources": ["sample"], "photo_side_range": [300, 512], "steps": list(steps)}
    return {"recipes": {"mine": recipe | {"train": tiles, "val": tiles, "test": tiles}}}


def step(family: str, on: str = "input", probability: float = 1.0, **ranges: Any) -> dict[str, Any]:
    known = {
        "grain": {"sigma_range": [20.0, 20.0]},
        "shapes": next(s for s in PARAMS["recipes"]["shapes"]["steps"] if s["family"] == "shapes"),
    }.get(family, {})
    return {**known, "family": family, "on": on, "probability": probability, **ranges}


def damage(*steps: dict[str, Any], number: int = 0, bank: Path | None = None) -> Damaged:
    recipe = Recipe.load(params_with(*steps), "mine", bank)
    return recipe.damage(photo_tile(64, 64), lambda *purpose: seeds.rng(7, number, *purpose))


@pytest.mark.parametrize("name", PARAMS["recipes"])
def test_every_recipe_of_the_project_replays_from_its_story(name: str, bank: Path) -> None:
    recipe = Recipe.load(PARAMS, name, bank)
    for number in range(5):
        tile = photo_tile(64, 70)
        damaged = recipe.damage(tile, lambda *purpose, n=number: seeds.rng(7, n, *purpose))
        again = recipe.replay(tile, json.loads(json.dumps(damaged.story)))
        for one, other in (
            (damaged.clean, again.clean),
            (damaged.corrupted, again.corrupted),
            (damaged.mask, again.mask),
        ):
            np.testing.assert_array_equal(one, other)
        low, high = recipe.section.photo_side_range
        assert low <= damaged.story["photo_side"] <= high


def test_probability_0_never_and_1_always_damages() -> None:
    tile = photo_tile(64, 64)
    for number in range(20):
        never = damage(step("grain", probability=0.0), number=number)
        np.testing.assert_array_equal(never.corrupted, tile)
        assert never.story["steps"] == [] and not never.mask.any()
        always = damage(step("grain", probability=1.0), number=number)
        assert len(always.story["steps"]) == 1 and (always.corrupted != tile).any()


def test_probability_one_half_damages_about_half() -> None:
    times = sum(
        len(damage(step("grain", probability=0.5), number=n).story["steps"]) for n in range(400)
    )
    assert 160 < times < 240


def test_on_both_changes_the_target_too_and_leaves_no_mask() -> None:
    tile = photo_tile(64, 64)
    both = damage(step("shapes", on="both"))
    np.testing.assert_array_equal(both.clean, both.corrupted)
    assert (both.clean != tile).any() and not both.mask.any()
    alone = damage(step("shapes"))
    np.testing.assert_array_equal(alone.clean, tile)
    np.testing.assert_array_equal(alone.corrupted, both.corrupted)
    assert alone.mask.any()
    np.testing.assert_array_equal(alone.corrupted[alone.mask == 0], tile[alone.mask == 0])


def test_steps_follow_one_another_and_masks_join() -> None:
    damaged = damage(step("grayscale", on="both"), step("shapes"), step("grain"), step("shapes"))
    assert [told["family"] for told in damaged.story["steps"]] == [
        "grayscale", "shapes", "grain", "shapes",
    ]  # fmt: skip
    assert damaged.clean.shape == damaged.corrupted.shape == (64, 64, 1)
    one, other = (damaged.story["steps"][n]["drawn"] for n in (1, 3))
    assert one != other
    recipe = Recipe.load(params_with(step("grayscale", on="both"), step("shapes")), "mine", None)
    corruption = recipe.steps[1].corruption
    masks = [corruption.apply(damaged.clean, drawn)[1] for drawn in (one, other)]
    np.testing.assert_array_equal(damaged.mask, masks[0] | masks[1])


def test_taking_a_step_away_leaves_the_earlier_ones_as_they_were() -> None:
    two = damage(step("grain"), step("shapes")).story["steps"]
    assert damage(step("grain")).story["steps"] == two[:1]


def test_a_given_photo_side_is_used_and_told() -> None:
    recipe = Recipe.load(params_with(step("shapes")), "mine", None)
    damaged = recipe.damage(photo_tile(64, 64), lambda *p: seeds.rng(7, *p), 900)
    assert damaged.story["photo_side"] == 900


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("version", 0, "the story is of version 0, the code of 1"),
        ("version", 2, "the story is of version 2, the code of 1"),
        ("family", "shapes", "step 0 of the story is 'shapes', not a step of it"),
        ("step", 5, "step 5 of the story is 'grain', not a step of it"),
    ],
)
def test_a_story_of_other_code_or_params_is_refused(key: str, value: object, said: str) -> None:
    recipe = Recipe.load(params_with(step("grain")), "mine", None)
    story = json.loads(json.dumps(damage(step("grain")).story))
    recipe.replay(photo_tile(64, 64), story)
    story["steps"][0][key] = value
    with pytest.raises(ReplayError, match=said):
        recipe.replay(photo_tile(64, 64), story)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown family": (step("grian"), r"recipes\.mine\.steps\.0\.family.*did you mean 'grain'"),
    "no family": ({"on": "input", "probability": 1.0}, r"recipes\.mine\.steps\.0\.family"),
    "a number as family": ({**step("grain"), "family": 3}, r"recipes\.mine\.steps\.0\.family"),
    "an unknown target": (step("grain", on="target"), r"recipes\.mine\.steps\.0\.on"),
    "a probability of 2": (step("grain", probability=2.0), r"steps\.0\.probability = 2\.0"),
    "an unknown range": (step("grain", sigma=3.0), r"steps\.0\.sigma is not a known key"),
    "a missing range": (step("texture"), r"steps\.0\.num_range is missing"),
    "a reversed range": (step("grain", sigma_range=[3.0, 1.0]), r"steps\.0\.sigma_range"),
    "a negative sigma": (step("grain", sigma_range=[-3.0, 1.0]), r"steps\.0\.sigma_range"),
    "an unknown fill": (step("shapes", fills=["blue"]), r"steps\.0\.fills"),
    "no fill": (step("shapes", fills=[]), r"steps\.0\.fills"),
    "a size of 0": (step("shapes", size_range=[0.0, 0.1]), r"steps\.0\.size_range"),
    "an opacity of 2": (step("shapes", opacity_range=[0.1, 2.0]), r"steps\.0\.opacity_range"),
    "a count of -1": (step("shapes", num_range=[-1, 2]), r"steps\.0\.num_range"),
    "a text for a step": ("grain", r"recipes\.mine\.steps\.0"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("slip", BROKEN)
def test_a_broken_step_is_one_line_that_names_it(slip: str) -> None:
    block, said = BROKEN[slip]
    with pytest.raises(PipelineError, match=said) as caught:
        Recipe.load(params_with(block), "mine", None)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_is_told_with_its_neighbour() -> None:
    with pytest.raises(ParamsError, match=r"recipes\.shaeps: is missing.*'shapes'"):
        Recipe.load(PARAMS, "shaeps", None)


def test_one_family_alone_takes_the_ranges_of_its_first_recipe() -> None:
    recipe = Recipe.single(params_with(step("grain", probability=0.1)), "grain", None)
    assert len(recipe.steps) == 1 and recipe.steps[0].probability == 1.0
    assert recipe.name == "grain" and recipe.section.photo_side_range == (300, 512)


def test_a_family_that_no_recipe_uses_is_told_apart_from_an_unknown_one() -> None:
    with pytest.raises(ParamsError, match="no recipe gives its ranges"):
        Recipe.single(params_with(step("grain")), "shapes", None)
    with pytest.raises(ParamsError, match=r"use one of .*did you mean 'shapes'"):
        Recipe.single(params_with(step("grain")), "shaeps", None)


def test_steps_are_made_for_every_registered_family_of_params() -> None:
    used = {block["family"] for r in PARAMS["recipes"].values() for block in r["steps"]}
    assert used == set(FAMILIES)
    for name, recipe in PARAMS["recipes"].items():
        made = make_steps(recipe["steps"], f"recipes.{name}", None)
        assert [one.family for one in made] == [block["family"] for block in recipe["steps"]]


def test_the_recipe_for_clean_tiles_leaves_out_what_they_went_through() -> None:
    steps = [
        {"family": "grain", "on": "both", "probability": 1.0, "sigma_range": [9.0, 9.0]},
        {"family": "grain", "on": "input", "probability": 1.0, "sigma_range": [5.0, 5.0]},
    ]
    params = {"recipes": {"r": {**PARAMS["recipes"]["aged"], "steps": steps}}}
    recipe = Recipe.load(params, "r", None)
    stored = recipe.damage(photo_tile(64, 64), lambda *purpose: seeds.rng(7, *purpose))
    fresh = recipe.for_clean_tiles().damage(stored.clean, lambda *purpose: seeds.rng(8, *purpose))
    assert fresh.clean.tobytes() == stored.clean.tobytes()
    assert [step["drawn"]["sigma"] for step in fresh.story["steps"]] == [5.0]
