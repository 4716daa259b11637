"""Augmentation moves all arrays of a sample alike, and by its seed alone."""

import hashlib
import multiprocessing
import os
import subprocess
import sys
from typing import get_args

import albumentations
import numpy as np
import pytest

from pipeline.augmentation import EXACT, Augmenter, AugmentStep, as_albumentations
from pipeline.corruptions import CORRUPTIONS, Recipe, RecipeSection, Step, Tiles
from pipeline.errors import ParamsError
from pipeline.seeds import rng
from tests.conftest import ROOT

TILES = Tiles(side=32, per_photo=1, variants=1)
SECTION = RecipeSection(
    sources=("sample",), photo_side_range=(100, 100), undamaged_share=0.0, profile="png",
    train=TILES, val=TILES, test=TILES, steps=(),
)  # fmt: skip

NAMES = get_args(AugmentStep.model_fields["name"].annotation)
MOVES = (*EXACT, "shift", "rotate", "zoom")
SIDE = 48


def steps(*names, p=1.0, amount=0.2):
    return [AugmentStep(name=name, p=p, amount=0.0 if name in EXACT else amount) for name in names]


def noise(channels=3, height=SIDE, width=SIDE, name="noise"):
    return rng(0, name).integers(0, 256, (height, width, channels), np.uint8)


def coordinates(side=201):
    """A picture whose pixels tell where they come from: (row, column, 0)."""
    rows, columns = np.mgrid[:side, :side]
    return np.dstack([rows, columns, 0 * rows]).astype(np.uint8)


def eight_ways(picture):
    """The picture turned and mirrored in every way."""
    turned = [np.rot90(picture, number) for number in range(4)]
    return [*turned, *(one[:, ::-1] for one in turned)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_step_works_on_gray_and_color_and_keeps_what_it_is_given(name, channels):
    augment = Augmenter(steps(name), stored=False)
    picture = noise(channels)
    before = picture.copy()
    arrays = {
        "clean": picture, "corrupted": picture, "mask": picture[:, :, 0], "keep": picture[:, :, 0],
    }  # fmt: skip
    for seed in range(5):
        out = augment(arrays, seed)
        assert list(out) == list(arrays)
        for key, array in out.items():
            assert array.shape == arrays[key].shape and array.dtype == np.uint8
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("name", [*NAMES, "all"])
def test_a_step_does_something_and_with_probability_zero_nothing(name):
    names = NAMES if name == "all" else (name,)
    augment, idle = (Augmenter(steps(*names, p=p), stored=False) for p in (1.0, 0.0))
    picture = noise()
    assert any((augment({"clean": picture}, seed)["clean"] != picture).any() for seed in range(9))
    for seed in range(9):
        np.testing.assert_array_equal(idle({"clean": picture}, seed)["clean"], picture)


@pytest.mark.parametrize("name", MOVES)
def test_all_arrays_move_alike(name):
    augment = Augmenter(steps(name), stored=False)
    blob = np.zeros((SIDE, SIDE), np.uint8)
    blob[6:25, 9:20] = 255
    picture = np.dstack([blob] * 3)
    for seed in range(20):
        out = augment({"clean": picture, "corrupted": picture, "mask": blob, "keep": blob}, seed)
        np.testing.assert_array_equal(out["clean"], out["corrupted"])
        np.testing.assert_array_equal(out["mask"], out["keep"])
        assert set(np.unique(out["mask"])) <= {0, 255}
        away = (out["clean"][:, :, 0] >= 128) != (out["mask"] > 0)
        assert np.count_nonzero(away) <= (0 if name in EXACT else 0.02 * away.size)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(MOVES)))
def test_light_and_color_leave_masks_alone_and_change_both_pictures_alike(name):
    augment = Augmenter(steps(name), stored=False)
    picture, mask = noise(), np.uint8(255) * (noise(1)[:, :, 0] > 128)
    for seed in range(9):
        out = augment(
            {"clean": picture, "corrupted": picture.copy(), "mask": mask, "keep": mask}, seed
        )
        np.testing.assert_array_equal(out["clean"], out["corrupted"])
        np.testing.assert_array_equal(out["mask"], mask)
        np.testing.assert_array_equal(out["keep"], mask)


def test_exact_steps_only_move_whole_pixels_and_reach_all_eight_ways():
    augment = Augmenter(steps(*EXACT, p=0.5), stored=True)
    picture = noise(3, 30, 30)
    ways = {way.tobytes() for way in eight_ways(picture)}
    seen = {augment({"clean": picture}, seed)["clean"].tobytes() for seed in range(150)}
    assert len(ways) == 8 and seen == ways


def test_steps_are_drawn_independently_of_each_other():
    augment = Augmenter(steps("horizontal_flip", "vertical_flip", p=0.5), stored=True)
    corners = np.array([[0, 1], [2, 3]], np.uint8).repeat(3).reshape(2, 2, 3)
    seen = [int(augment({"clean": corners}, seed)["clean"][0, 0, 0]) for seed in range(400)]
    assert all(70 <= seen.count(corner) <= 130 for corner in range(4))


def test_oblong_pictures_are_turned_too():
    augment = Augmenter(steps("turn"), stored=True)
    picture = noise(3, 20, 31)
    arrays = {"clean": picture, "corrupted": picture, "mask": picture[:, :, 0]}
    shapes = set()
    for seed in range(20):
        out = augment(arrays, seed)
        assert out["clean"].tobytes() in {way.tobytes() for way in eight_ways(picture)}
        np.testing.assert_array_equal(out["clean"][:, :, 0], out["mask"])
        shapes.add(out["mask"].shape)
    assert shapes == {(20, 31), (31, 20)}


def test_a_shift_is_no_larger_than_asked_and_free_in_both_directions():
    augment, grid = Augmenter(steps("shift", amount=0.1), stored=False), coordinates()
    center = [augment({"clean": grid}, seed)["clean"][100, 100, :2] for seed in range(60)]
    moved = np.array(center, int) - 100
    assert 15 <= np.abs(moved).max() <= 21
    assert (moved.min(0) < -8).all() and (moved.max(0) > 8).all()
    assert np.count_nonzero(np.abs(moved[:, 0] - moved[:, 1]) > 4) > 30


def test_a_rotation_is_no_larger_than_asked():
    augment, grid = Augmenter(steps("rotate", amount=0.03), stored=False), coordinates()
    moved = [int(augment({"clean": grid}, seed)["clean"][180, 100, 1]) - 100 for seed in range(60)]
    largest = 80 * np.sin(2 * np.pi * 0.03)
    assert 0.7 * largest < max(moved) <= largest + 1 and -largest - 1 <= min(moved) < -0.7 * largest


def test_zoom_keeps_the_proportions():
    augment, grid = Augmenter(steps("zoom", amount=0.2), stored=False), coordinates()
    corners = [augment({"clean": grid}, seed)["clean"][180, 180, :2] for seed in range(40)]
    moved = np.array(corners, int) - 100
    assert np.abs(moved[:, 0] - moved[:, 1]).max() <= 1
    assert moved.min() <= 72 and moved.max() >= 90
    assert moved.min() >= 80 / 1.2 - 1 and moved.max() <= 80 / 0.8 + 1


def test_light_stays_within_the_range_asked():
    augment = Augmenter(steps("light", amount=0.05), stored=False)
    flat = np.full((4, 4, 3), 100, np.uint8)
    levels = [int(augment({"clean": flat}, seed)["clean"].max()) for seed in range(80)]
    assert 82 <= min(levels) < 93 and 107 < max(levels) <= 118


def test_the_border_is_filled_by_reflection_not_by_black():
    augment = Augmenter(steps("shift", "rotate", "zoom"), stored=False)
    bright = np.full((SIDE, SIDE, 3), 200, np.uint8)
    for seed in range(20):
        np.testing.assert_array_equal(augment({"clean": bright}, seed)["clean"], bright)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(EXACT)))
def test_steps_that_mix_or_change_pixels_are_refused_for_stored_pairs(name):
    with pytest.raises(ParamsError, match=rf"augment\.1: {name}: .*mode: fly"):
        Augmenter(steps("turn", name), stored=True)


def test_no_steps_change_nothing():
    arrays = {"clean": noise(), "mask": noise()[:, :, 0]}
    assert Augmenter([], stored=True)(arrays, 3) is arrays


@pytest.mark.parametrize(
    ("key", "value"), [("p", 1.1), ("p", -0.1), ("amount", 2.0), ("name", "flip")]
)
def test_bad_steps_are_refused(key, value):
    with pytest.raises(ValueError, match=key):
        AugmentStep.model_validate({"name": "turn", "p": 0.5, "amount": 0.0} | {key: value})


def digest(names=tuple(NAMES), seeds=range(8)):
    """A hash over what all steps make of a few seeds."""
    augment = Augmenter(steps(*names, p=0.7), stored=False)
    picture = noise()
    out = [augment({"clean": picture, "mask": picture[:, :, 0]}, seed) for seed in seeds]
    return hashlib.sha256(
        b"".join(one["clean"].tobytes() + one["mask"].tobytes() for one in out)
    ).hexdigest()


def test_the_seed_alone_decides_whatever_came_before():
    augment = Augmenter(steps(*NAMES, p=0.7), stored=False)
    picture = noise()
    alone = augment({"clean": picture}, 2**62 + 5)["clean"]
    for seed in range(10):
        augment({"clean": picture}, seed)
    np.testing.assert_array_equal(augment({"clean": picture}, 2**62 + 5)["clean"], alone)
    others = {augment({"clean": picture}, seed)["clean"].tobytes() for seed in range(30)}
    assert len(others) == 30


def test_two_processes_make_the_same_pixels():
    code = "from tests.pipeline.test_augmentation import digest; print(digest())"
    made = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "OMP_NUM_THREADS": "1"},
        ).stdout.strip()
        for hash_seed in ("1", "2")
    ]  # fmt: skip
    assert made == [digest(), digest()]


@pytest.mark.parametrize("family", ["scratches", "fading", "shapes"])
def test_a_recipe_is_an_albumentations_transform(family):
    recipe = Recipe(family, SECTION, (Step(family, "input", 1.0, CORRUPTIONS[family].at(0.7)),))
    picture, mask = noise(), np.zeros((SIDE, SIDE), np.uint8)
    mask[3, 4] = 7

    def run(seed):
        compose = albumentations.Compose([as_albumentations(recipe)], seed=seed)
        return [compose(image=picture, mask=mask) for _ in range(3)]

    first, again, other = run(1), run(1), run(2)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
        np.testing.assert_array_equal(one["mask"], two["mask"])
    assert not np.array_equal(first[0]["image"], other[0]["image"])
    assert not np.array_equal(first[0]["image"], first[1]["image"])
    for one in first:
        drawn = one["mask"] == 255
        changed = (one["image"] != picture).any(axis=2)
        assert changed.any()
        if family != "fading":
            assert not (changed & ~drawn).any(), "the mask holds all local damage"
        assert one["mask"][3, 4] in (7, 255)


def test_a_transform_draws_what_the_recipe_draws():
    recipe = Recipe("r", SECTION, (Step("shapes", "input", 1.0, CORRUPTIONS["shapes"].at(0.7)),))
    replay = albumentations.ReplayCompose([as_albumentations(recipe)])
    out = replay(image=noise(), mask=np.zeros((SIDE, SIDE), np.uint8))
    story = out["replay"]["transforms"][0]["params"]["story"]
    made = recipe.replay(noise(), story)
    np.testing.assert_array_equal(made.corrupted, out["image"])
    np.testing.assert_array_equal(made.mask, out["mask"])


@pytest.mark.parametrize("shape", [(SIDE, SIDE), (SIDE, SIDE, 1), (SIDE, SIDE, 3)])
def test_a_transform_keeps_the_shape_of_gray_and_color(shape):
    steps = [Step(name, "input", 1.0, CORRUPTIONS[name].at(1.0)) for name in ("grayscale", "dust")]
    picture = rng(0, "gray").integers(0, 256, shape, np.uint8)
    compose = albumentations.Compose([as_albumentations(Recipe("r", SECTION, tuple(steps)))])
    out = compose(image=picture, mask=np.zeros((SIDE, SIDE), np.uint8))
    assert out["image"].shape == picture.shape and out["image"].dtype == np.uint8
    assert out["mask"].shape == (SIDE, SIDE)


def test_a_transform_of_floats_is_refused_in_one_line():
    recipe = Recipe("r", SECTION, (Step("dust", "input", 1.0, CORRUPTIONS["dust"].at(1.0)),))
    with pytest.raises(ParamsError, match="float32: is not uint8"):
        as_albumentations(recipe)(image=noise().astype(np.float32))


def draw_three(compose: albumentations.Compose) -> list[np.ndarray]:
    return [compose(image=noise())["image"] for _ in range(3)]


def test_a_transform_reaches_other_processes_with_its_seeds():
    recipe = Recipe("r", SECTION, (Step("dust", "input", 1.0, CORRUPTIONS["dust"].at(0.8)),))
    compose = albumentations.Compose([as_albumentations(recipe)], seed=5)
    compose(image=noise())
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(draw_three, (compose,))
    np.testing.assert_array_equal(draw_three(compose), there)
    assert (there[0] != there[1]).any()
