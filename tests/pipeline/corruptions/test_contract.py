"""Every damage family keeps the contract: JSON numbers, pure, replayable, its mask exact, its
sizes those of the photo."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from skimage import data

from pipeline import seeds
from pipeline.config import validate
from pipeline.corruptions import CORRUPTIONS
from tests.pipeline.corruptions import pins
from tests.pipeline.corruptions.conftest import (
    FAMILIES,
    FEW,
    Array,
    apply,
    family,
    owes,
    photo_tile,
)

SHAPES = [(64, 64), (65, 97), (7, 513), (1, 80), (80, 1), (1, 1), (1, 4), (4, 1), (3, 2)]
LEAST_ON_GRAY = {"tears": 0.7}  # what lies behind a tear is often as gray as the tile
LOCAL = [name for name in FAMILIES if CORRUPTIONS[name].extent == "local"]

each_family = pytest.mark.parametrize("name", FAMILIES)


@each_family
def test_drawn_numbers_survive_json_and_replay_the_same_bytes(name: str, bank: Path) -> None:
    corruption, tile = family(name, bank), photo_tile(64, 80)
    for number in range(12):
        drawn = corruption.draw((64, 80, 300), seeds.rng(7, name, number))
        told = json.loads(json.dumps(drawn, allow_nan=False))
        assert told == drawn
        first, again = apply(corruption, tile, drawn), apply(corruption, tile, told)
        assert first[0].tobytes() == again[0].tobytes()
        assert first[1].tobytes() == again[1].tobytes()


@each_family
def test_drawn_numbers_stay_small(name: str, bank: Path) -> None:
    corruption = CORRUPTIONS[name].at(1).bind(bank)
    for number in range(5):
        drawn = corruption.draw((1000, 1500), seeds.rng(7, name, number))
        assert len(json.dumps(drawn)) < 12_000


@each_family
def test_the_same_generator_draws_the_same_and_others_do_not(name: str, bank: Path) -> None:
    corruption = CORRUPTIONS[name].at(0.7).bind(bank)
    if name == "grayscale":
        corruption = family(name, strength_range=[0.0, 1.0])
    draws = [corruption.draw((64, 80, 300), seeds.rng(7, name, n)) for n in (1, 1, 2, 3, 4, 5)]
    assert draws[0] == draws[1]
    assert len({json.dumps(drawn) for drawn in draws}) >= 4


@each_family
def test_every_family_takes_any_tile(name: str, bank: Path) -> None:
    for severity in (0.6, 1.0):
        corruption = CORRUPTIONS[name].at(severity).bind(bank)
        for shape in SHAPES:
            for channels in (1, 3):
                tile = photo_tile(*shape, channels)
                for number, photo_side in enumerate((300, 60, 2000)):
                    rng = seeds.rng(7, name, number)
                    owes(corruption, tile, corruption.draw((*shape, photo_side), rng))
                rng = seeds.rng(7, name, "photo")
                owes(corruption, tile, corruption.draw(shape, rng))


@each_family
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)
@given(
    height=some.integers(1, 90),
    width=some.integers(1, 90),
    channels=some.sampled_from([1, 3]),
    photo_side=some.integers(1, 1500) | some.none(),
    severity=some.floats(0, 1),
    seed=some.integers(0, 2**63 - 1),
)
def test_any_numbers_give_sound_damage(
    name: str,
    bank: Path,
    height: int,
    width: int,
    channels: int,
    photo_side: int | None,
    severity: float,
    seed: int,
) -> None:
    made = CORRUPTIONS[name].at(severity)
    corruption = validate(made.model_dump(), name, type(made)).bind(bank)
    shape = (height, width) if photo_side is None else (height, width, photo_side)
    drawn = corruption.draw(shape, seeds.field(seed))
    owes(corruption, photo_tile(height, width, channels), json.loads(json.dumps(drawn)))
    assert 0 <= corruption.severity(drawn) <= 1


@pytest.mark.parametrize("channels", [1, 3])
@each_family
def test_the_mask_is_where_a_gray_tile_changed(name: str, channels: int, bank: Path) -> None:
    tile = seeds.field(channels).integers(108, 149, (80, 96, channels), np.uint8)
    num_marked = 0
    for severity in (0.05, 0.3, 0.6, 1.0):
        corruption = CORRUPTIONS[name].at(severity).bind(bank)
        for number in range(16):
            drawn = corruption.draw((80, 96, (80, 300)[number % 2]), seeds.rng(7, name, number))
            _, mask = owes(corruption, tile, drawn, LEAST_ON_GRAY.get(name, 0.85))
            num_marked += np.count_nonzero(mask)
    assert (num_marked > 64 * FEW) == (name in LOCAL)


@each_family
def test_a_window_of_a_larger_picture_is_damaged_like_its_copy(name: str, bank: Path) -> None:
    corruption, whole = family(name, bank), photo_tile(90, 100)
    window, before = whole[10:74, 20:84], whole.copy()
    for number in range(4):
        drawn = corruption.draw((64, 64, 200), seeds.rng(7, name, number))
        out, mask = corruption.apply(window, drawn)
        wanted, wanted_mask = corruption.apply(window.copy(), drawn)
        np.testing.assert_array_equal(out, wanted)
        np.testing.assert_array_equal(mask, wanted_mask)
    np.testing.assert_array_equal(whole, before)


@each_family
def test_a_result_is_no_view_into_what_it_came_from(name: str, bank: Path) -> None:
    corruption, tile = CORRUPTIONS[name].at(0.5).bind(bank), photo_tile(40, 40)
    out, _ = corruption.apply(tile, corruption.draw((40, 40, 100), seeds.rng(7, name)))
    assert not np.shares_memory(out, tile)


@each_family
def test_a_shape_without_photo_side_means_the_tile_is_the_photo(name: str, bank: Path) -> None:
    corruption = family(name, bank)
    short = corruption.draw((64, 80), seeds.rng(7, name))
    assert short == corruption.draw((64, 80, 64), seeds.rng(7, name))


# sizes belong to the photo, not to the tile


def covered(name: str, bank: Path, shape: tuple[int, ...], severity: float) -> float:
    """Mean share of a tile that is damaged, over 60 draws."""
    corruption, tile = CORRUPTIONS[name].at(severity).bind(bank), photo_tile(*shape[:2])
    masks = (
        corruption.apply(tile, corruption.draw(shape, seeds.rng(7, name, number)))[1]
        for number in range(60)
    )
    return float(np.mean([np.count_nonzero(mask) / mask.size for mask in masks]))


@pytest.mark.parametrize("name", LOCAL)
def test_a_photo_twice_as_large_has_damage_twice_as_large(name: str, bank: Path) -> None:
    small, large = (covered(name, bank, (side, side), 0.6) for side in (128, 256))
    assert 0.5 < large / small < 1.6, (small, large)


@pytest.mark.parametrize("name", LOCAL)
def test_a_small_tile_sees_its_part_of_the_photo_and_no_more(name: str, bank: Path) -> None:
    parts = [covered(name, bank, (side, side, 384), 0.6) for side in (96, 192)]
    assert 0.25 < parts[0] / parts[1] < 4, parts


@each_family
def test_all_of_a_large_photo_at_once(name: str, bank: Path) -> None:
    corruption = CORRUPTIONS[name].at(0.5).bind(bank)
    drawn = corruption.draw(twelve_megapixels().shape[:2], seeds.rng(7, name))
    out, mask = owes(corruption, twelve_megapixels(), drawn)
    if corruption.extent == "local":
        assert mask.any()
    else:
        assert (out[::97, ::89] != twelve_megapixels()[::97, ::89]).any()


@cache
def twelve_megapixels() -> Array:
    """A real photo, repeated to 3,000×4,000."""
    photo = data.astronaut()
    whole = np.tile(photo, (6, 8, 1))[:3000, :4000]
    whole.flags.writeable = False
    return whole


# bytes


@each_family
def test_changed_pixels_come_with_a_raised_version(name: str, tmp_path: Path) -> None:
    pinned = pins.load().get(name)
    assert pinned is not None, f"pin {name}: {pins.COMMAND}"
    version = CORRUPTIONS[name].version
    assert pinned["version"] == version, (
        f"version {version} of {name} is not pinned: {pins.COMMAND}"
    )
    now = pins.fingerprint(name, pinned["drawn"], tmp_path)
    assert now == pinned["sha256"], f"raise the version of {name}: its pixels changed"
