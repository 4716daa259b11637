"""Tiles of any photo, planned once each into shards that are made again where they must be."""

import shutil

import numpy as np
import pytest

from pipeline.corruptions import Recipe
from pipeline.executors import run_here
from pipeline.seeds import rng
from pipeline.synthesis import SampleMaker, Store, make_shard, synthesize
from pipeline.tiling import SynthesisSection, TileSpec, cut_tile, plan_tiles
from tests.conftest import tree
from tests.pipeline.synthesized import (
    MEGAPIXELS,
    PARAMS,
    cut,
    fill,
    new_photo,
    plan,
    samples_of,
    train_photos,
)

# photos and tiles


def test_a_photo_smaller_than_the_tile_is_reflected(home, recipe, tmp_path):
    pixels = rng(0, "small").integers(0, 256, (20, 31, 3), np.uint8)
    photo = new_photo(tmp_path / "data/raw", pixels)
    make = SampleMaker("aged", 7, recipe.damage)
    (spec,) = plan(tmp_path, [photo], cut(side=64, per_photo=1, variants=1))
    tile = cut_tile(pixels, spec.tiles[0])
    assert tile.shape == (64, 64, 3) and tile.flags.c_contiguous
    rows = [*range(20), *range(19, -1, -1), *range(20), *range(19, 15, -1)]
    columns = [*range(31), *range(30, -1, -1), 0, 1]
    np.testing.assert_array_equal(tile, pixels[rows][:, columns])
    (sample,) = samples_of([spec], make).values()
    assert sample.clean.shape == (64, 64, 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 100), (100, 1), (47, 48), (48, 48), (49, 200)])
def test_tiles_of_any_photo_have_the_asked_size_and_lie_inside(shape, tmp_path):
    pixels = rng(0, "any", *shape).integers(0, 256, (*shape, 3), np.uint8)
    photo = new_photo(tmp_path, pixels)
    for spec in plan_tiles(photo, cut(per_photo=20), 7):
        tile = cut_tile(pixels, spec)
        assert tile.shape == (48, 48, 3)
        assert 0 <= spec.top <= max(0, shape[0] - 48) and 0 <= spec.left <= max(0, shape[1] - 48)
        seen = pixels[spec.top : spec.top + 48, spec.left : spec.left + 48]
        np.testing.assert_array_equal(tile[: seen.shape[0], : seen.shape[1]], seen)


def test_tiles_reach_every_border_of_a_photo(tmp_path):
    photo = new_photo(tmp_path, np.zeros((51, 50, 3), np.uint8))
    specs = plan_tiles(photo, cut(per_photo=200), 7)
    assert {spec.top for spec in specs} == {0, 1, 2, 3}
    assert {spec.left for spec in specs} == {0, 1, 2}


def test_variants_share_their_window_and_have_damage_of_their_own(home, recipe):
    specs = plan(home, train_photos(home)[:1], cut())
    made = samples_of(specs, SampleMaker("aged", 7, recipe.damage))
    for key, sample in made.items():
        if key.endswith("_00"):
            twin = made[f"{key[:-3]}_01"]
            np.testing.assert_array_equal(sample.clean, twin.clean)
            assert (sample.corrupted != twin.corrupted).any()
            assert sample.story["photo"] == twin.story["photo"]


def test_the_clean_picture_is_the_window_that_the_story_names(home, recipe):
    """`shapes` keeps the clean tile as it was cut."""
    from pipeline.splits import load_photo

    shapes = Recipe.load(PARAMS, "shapes", None)
    photos = train_photos(home)[:3]
    made = samples_of(plan(home, photos, cut()), SampleMaker("shapes", 7, shapes.damage))
    pixels = {one.name: load_photo(home / "data/raw", one, MEGAPIXELS) for one in photos}
    assert len(made) == 18
    for sample in made.values():
        told = sample.story["photo"]
        top, left = told["top"], told["left"]
        np.testing.assert_array_equal(
            sample.clean, pixels[told["name"]][top : top + 48, left : left + 48]
        )


def test_a_new_photo_changes_no_sample_of_the_others(home, recipe, tmp_path):
    raw = shutil.copytree(home / "data/raw", tmp_path / "data/raw")
    make = SampleMaker("aged", 7, recipe.damage)
    photos = train_photos(home)[:4]
    pixels = rng(0, "newcomer").integers(0, 256, (90, 90, 3), np.uint8)
    before = samples_of(plan(tmp_path, photos, cut()), make)
    after = samples_of(plan(tmp_path, [new_photo(raw, pixels), *photos], cut()), make)
    assert len(after) == len(before) + 6
    for key, sample in before.items():
        assert after[key].story == sample.story
        for name in ("clean", "corrupted", "mask"):
            np.testing.assert_array_equal(getattr(after[key], name), getattr(sample, name))


def test_the_order_of_the_index_does_not_matter(home):
    photos = train_photos(home)
    assert plan(home, photos, cut()) == plan(home, photos[::-1], cut())


@pytest.mark.parametrize(("group", "shard"), [(1, 1), (2, 5), (16, 128), (3, 4)])
def test_every_tile_is_planned_once_whatever_the_shard_size(home, group, shard):
    section = SynthesisSection(photos_per_group=group, samples_per_shard=shard)
    photos = train_photos(home)
    specs = plan(home, photos, cut(), section)
    keys = [tile.key for spec in specs for tile in spec.tiles]
    assert sorted(keys) == sorted(tile.key for one in photos for tile in plan_tiles(one, cut(), 7))
    assert all(0 < len(spec.tiles) <= shard for spec in specs)
    assert [spec.name for spec in specs] == [f"train-{n:05d}.tar" for n in range(len(specs))]


def test_a_recipe_with_another_name_or_seed_draws_other_damage(home, recipe):
    (first, *_) = plan(home, train_photos(home)[:1], cut())
    one = samples_of([first], SampleMaker("aged", 7, recipe.damage))
    for name, seed in (("aged", 8), ("other", 7)):
        other = samples_of([first], SampleMaker(name, seed, recipe.damage))
        assert all((other[key].corrupted != one[key].corrupted).any() for key in one)


# resuming


@pytest.mark.parametrize(
    "spoil",
    [
        lambda shard, receipt: shard.unlink(),
        lambda shard, receipt: shard.write_bytes(shard.read_bytes()[:-1]),
        lambda shard, receipt: receipt.unlink(),
        lambda shard, receipt: receipt.write_text("{"),
        lambda shard, receipt: receipt.write_text("{}"),
        lambda shard, receipt: receipt.write_text("[]"),
    ],
)
def test_unfinished_or_spoiled_work_is_made_again(home, recipe, tmp_path, spoil):
    make = SampleMaker("aged", 7, recipe.damage)
    specs = plan(home, train_photos(home)[:2], cut())
    work = tmp_path / "shards"
    fill(specs, make, work)
    whole = tree(tmp_path)
    spoil(work / specs[1].name, tmp_path / "receipts" / f"{specs[1].name}.json")
    seen = []
    synthesize(
        "aged",
        specs,
        make,
        Store(work, "png"),
        run_here,
        lambda done, total: seen.append((done, total)),
    )
    assert tree(tmp_path) == whole
    assert seen == [(10, 12), (12, 12)]


def test_what_a_killed_run_had_half_written_is_swept_away(home, recipe, tmp_path):
    make = SampleMaker("aged", 7, recipe.damage)
    specs = plan(home, train_photos(home)[:1], cut())
    (tmp_path / "shards").mkdir()
    for name in (".tmp-half.tar", ".tmp-x.json", "train-00099.tar"):
        (tmp_path / "shards" / name).write_bytes(b"half")
    synthesize(
        "aged", specs, make, Store(tmp_path / "shards", "png"), run_here, lambda done, total: None
    )
    wanted = {spec.name for spec in specs} | {"manifest.json"}
    assert {path.name for path in (tmp_path / "shards").iterdir()} == wanted


def test_progress_goes_up_to_the_total(home, recipe, tmp_path):
    seen = []
    specs = plan(home, train_photos(home)[:2], cut())
    make = SampleMaker("aged", 7, recipe.damage)
    synthesize(
        "aged",
        specs,
        make,
        Store(tmp_path / "w", "png"),
        run_here,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 12) for done in range(0, 13, 2)]


def test_a_tile_spec_tells_all_that_a_sample_depends_on():
    """A worker gets nothing else: the fields are pinned, new ones need a thought on stability."""
    assert TileSpec._fields == ("photo", "key", "top", "left", "side")


@pytest.mark.parametrize("room", [256_000_000, 1_000_000, 0])
def test_shards_of_a_group_share_decoded_photos_as_far_as_there_is_room(
    home, recipe, monkeypatch, room
):
    from pipeline import synthesis

    specs = plan(home, train_photos(home), cut(), SynthesisSection(
        photos_per_group=16, samples_per_shard=20))  # fmt: skip
    make = SampleMaker("aged", 7, recipe.damage)
    alone = []
    for spec in specs:
        synthesis.forget_photos()
        alone.append(make_shard(spec, make))
    decoded = []

    def load(folder, photo, limit):
        decoded.append(photo.name)
        return load_photo(folder, photo, limit)

    load_photo = synthesis.load_photo
    monkeypatch.setattr(synthesis, "load_photo", load)
    monkeypatch.setattr(synthesis, "KEPT_BYTES", room)
    synthesis.forget_photos()
    assert [make_shard(spec, make) for spec in specs] == alone
    held = sum(pixels.nbytes for pixels in synthesis._kept.values())
    shown = sum(len({tile.photo.name for tile in spec.tiles}) for spec in specs)
    names = set(decoded)
    assert held <= room
    if room == 256_000_000:
        assert len(decoded) == len(names)
    else:
        assert len(decoded) == shown if room == 0 else len(names) < len(decoded) < shown
    synthesis.forget_photos()
    assert not synthesis._kept
