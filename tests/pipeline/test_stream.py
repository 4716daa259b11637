"""Batches are planned: the same for any number of workers, from any step on, with nothing lost."""

import itertools
import shutil

import numpy as np
import pytest
import torch

from pipeline.augmentation import AugmentStep
from pipeline.corruptions import Recipe
from pipeline.errors import ParamsError, ShardError
from pipeline.shards import read_manifest, read_samples
from pipeline.stream import Batch, Source, Stream, StreamSection, load, to_batch
from pipeline.stream.plan import deal
from tests.conftest import run_stage, small_params, write_params
from tests.pipeline.handmade import dealt, digest, digests, first, handmade, write_shards

PARAMS = small_params()
TURNS = tuple(
    AugmentStep(name=name, p=p, amount=0.0) for name, p in (("horizontal_flip", 0.5), ("turn", 1.0))
)
SIDE = PARAMS["recipes"]["shapes"]["train"]["side"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """A small project's `shapes` shards."""
    home = tmp_path_factory.mktemp("project")
    write_params(home, PARAMS)
    (home / "data/inbox").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["synth", "shapes", "--workers", "1"]):
        run_stage(home, *words)
    return home / "data/shards/shapes"


def stream(folder, mode="stored", seed=7, split="train", **changes):
    section = {
        "mode": mode, "batch_size": 4, "crop": 32, "num_streams": 4, "cache_gigabytes": 0.0,
        "augment": TURNS,
    }  # fmt: skip
    draw = Recipe.load(PARAMS, "shapes", None).damage if mode == "fly" else None
    return Stream((Source(folder, draw),), split, StreamSection(**section | changes), seed)


def units_of(one):
    """What the streams own."""
    rows = read_manifest(one.sources[0].shards).of_split(one.split)
    return deal(rows, one.section.num_streams, "here")


def pictures(batches, name="clean"):
    return [picture for batch in batches for picture in getattr(batch, name).numpy()]


def keys_by_pixels(folder, turned=False):
    """Bytes of a clean tile (in all eight ways if `turned`) → its key."""
    found = {}
    for sample in read_samples(folder, "train"):
        ways = [np.rot90(sample.clean, number) for number in range(4 if turned else 1)]
        ways += [way[:, ::-1] for way in ways] if turned else []
        found |= {way.tobytes(): sample.key for way in ways}
    return found


def count_of(folder, split="train"):
    return read_manifest(folder).num_samples(split)


# workers and steps


@pytest.mark.parametrize("mode", ["stored", "fly"])
@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_workers_shares_put_together_are_the_batches_of_one(shards, mode, num_workers):
    count = 5 * count_of(shards) // 2 // 4  # 2½ epochs
    one = stream(shards, mode)
    assert digests(dealt(one, num_workers), count) == digests(one.batches(), count)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize(("mode", "counts"), [("stored", (0, 1, 2)), ("fly", (0, 2, 4))])
def test_loader_processes_make_the_same_batches(shards, mode, counts):
    count = 5 * count_of(shards) // 2 // 4
    one = stream(shards, mode)
    expected = digests(one.batches(), count)
    assert len(set(expected)) == count
    for num_workers in counts:
        assert digests(load(one, 0, num_workers), count) == expected, num_workers


@pytest.mark.slow
def test_loader_processes_go_on_from_any_step(shards):
    one = stream(shards, "fly")
    expected = digests(one.batches(), 12)
    assert digests(load(one, 5, 2), 7) == expected[5:]


@pytest.mark.parametrize("mode", ["stored", "fly"])
def test_starting_at_a_batch_equals_skipping_to_it(shards, mode):
    one = stream(shards, mode)
    expected = digests(one.batches(), 34)
    for start in (0, 1, 7, 29):
        assert digests(one.batches(start), 34 - start) == expected[start:]
        assert digests(dealt(one, 2, start), 34 - start) == expected[start:]


@pytest.mark.parametrize(
    ("size", "workers"), [(2, 0), (4, 0), pytest.param(2, 2, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("start", [0, 5])
def test_training_processes_share_the_plan_in_turn(shards, size, workers, start):
    one, count = stream(shards), 12
    expected = digests(one.batches(start), count)
    for rank in range(size):
        own = load(one, start, workers, rank, size)
        assert digests(own, count // size) == expected[rank::size]


def test_starting_far_away_is_quick_and_the_same(shards):
    """Epochs are skipped by arithmetic, not by reading."""
    one = stream(shards)
    far = 4 * 10**9 + 3
    assert digests(one.batches(far), 3) == digests(one.batches(far - 2), 5)[2:]


def test_another_seed_gives_other_batches_and_the_same_seed_the_same(shards):
    one = digests(stream(shards).batches(), 10)
    assert digests(stream(shards).batches(), 10) == one
    assert not set(digests(stream(shards, seed=8).batches(), 10)) & set(one)


@pytest.mark.parametrize("num_workers", [3, 8])
def test_workers_that_do_not_divide_the_streams_are_refused_with_both_numbers(shards, num_workers):
    with pytest.raises(ParamsError, match=rf"num_streams: 4 cannot be shared by {num_workers} w"):
        load(stream(shards), 0, num_workers)
    with pytest.raises(ParamsError, match=rf"4 cannot be shared by {num_workers} w"):
        next(stream(shards).batches(0, 0, num_workers))


# what an epoch holds


@pytest.mark.parametrize("num_streams", [1, 2, 3, 4, 8])
def test_every_sample_comes_once_in_an_epoch_of_its_stream(shards, num_streams):
    one = stream(shards, num_streams=num_streams, batch_size=1, crop=SIDE, augment=())
    keys = keys_by_pixels(shards)
    seen = []
    for number, units in enumerate(units_of(one)):
        length = sum(unit.num_samples() for unit in units)
        own = itertools.islice(one.batches(), number, 3 * length * num_streams, num_streams)
        epochs = [keys[picture.tobytes()] for picture in pictures(own)]
        turns = [epochs[start : start + length] for start in range(0, 3 * length, length)]
        assert set(turns[0]) == set(turns[1]) == set(turns[2]) and len(set(turns[0])) == length
        assert length < 3 or not turns[0] == turns[1] == turns[2]
        seen += turns[0]
    assert sorted(seen) == sorted(keys.values())


def test_a_batch_mixes_photos(shards):
    keys = keys_by_pixels(shards)
    one = stream(shards, num_streams=1, batch_size=8, crop=SIDE, augment=())
    for batch in first(one.batches(), 4):
        photos = {keys[picture.tobytes()].split("_")[0] for picture in batch.clean.numpy()}
        assert len(photos) >= 3


@pytest.mark.parametrize("counts", [(1, 7), (7, 1), (1, 1, 30), (8,), (3, 3, 3), (2,) * 11])
def test_uneven_shards_are_shared_out_so_that_every_stream_has_samples(tmp_path, counts):
    folder = write_shards(tmp_path, *counts)
    one = stream(folder, num_streams=8, batch_size=1, crop=8, augment=())
    units = units_of(one)
    assert len(units) == 8 and all(units)
    owned = [
        (unit.row.name, number)
        for own in units
        for unit in own
        for number in range(unit.part, unit.row.num_samples, unit.parts)
    ]
    assert len(owned) == len(set(owned)) == sum(counts)
    assert len(first(one.batches(), 40)) == 40


@pytest.mark.parametrize("counts", [(16,) * 6, (16,) * 5, (8,) * 10, (32,) * 3])
def test_streams_that_deliver_equally_often_own_equally_much(tmp_path, counts):
    folder = write_shards(tmp_path, *counts)
    one = stream(folder, num_streams=8, batch_size=1, crop=8, augment=())
    owned = [sum(unit.num_samples() for unit in own) for own in units_of(one)]
    assert max(owned) - min(owned) <= len(counts)


def test_num_batches_is_one_pass_over_the_samples(shards):
    total = count_of(shards)
    assert stream(shards).num_batches() == total // 4
    assert stream(shards, batch_size=1).num_batches() == total
    assert stream(shards, batch_size=10 * total).num_batches() == 1


def test_more_streams_than_samples_is_an_error_with_both_numbers(tmp_path):
    folder = write_shards(tmp_path, 1, 2)
    with pytest.raises(ShardError, match=r"train: 3 samples for 4 streams"):
        next(stream(folder).batches())
    with pytest.raises(ShardError, match=r"test: 0 samples for 4 streams"):
        next(stream(folder, split="test").batches())


# the pictures


def test_stored_pairs_are_crops_of_the_shards_own_pictures(shards):
    stored = list(read_samples(shards, "train"))
    (batch,) = first(stream(shards, augment=(), batch_size=8).batches(), 1)
    for clean, corrupted, mask in zip(*(part.numpy() for part in batch[:3]), strict=True):
        places = [
            (sample, y, x)
            for sample in stored
            for y, x in np.argwhere((sample.clean[:33, :33] == clean[0, 0]).all(2))
            if np.array_equal(sample.clean[y : y + 32, x : x + 32], clean)
        ]
        assert any(
            np.array_equal(sample.corrupted[y : y + 32, x : x + 32], corrupted)
            and np.array_equal(sample.mask[y : y + 32, x : x + 32, None], mask)
            for sample, y, x in places
        )


@pytest.mark.parametrize("mode", ["stored", "fly"])
def test_damage_and_mask_stay_aligned_through_augmentation(shards, mode):
    damaged = 0
    for batch in first(stream(shards, mode).batches(), 20):
        clean, corrupted, mask = (part.numpy() for part in batch[:3])
        assert set(np.unique(mask)) <= {0, 255}
        changed = (clean != corrupted).any(3, keepdims=True)
        assert not changed[mask == 0].any()
        damaged += np.count_nonzero(changed) / max(1, np.count_nonzero(mask)) / 20
    assert damaged > 0.8


def test_crops_reach_all_places_of_a_tile(shards):
    one = stream(shards, crop=SIDE - 1, augment=(), num_streams=1)
    tiles = [sample.clean for sample in read_samples(shards, "train")]
    places = {
        (y, x): {tile[y : y + SIDE - 1, x : x + SIDE - 1].tobytes() for tile in tiles}
        for y in (0, 1)
        for x in (0, 1)
    }
    seen = [picture.tobytes() for picture in pictures(first(one.batches(), 20))]
    found = [place for one in seen for place, crops in places.items() if one in crops]
    assert len(found) == len(seen) and set(found) == set(places)


def test_on_the_fly_the_clean_picture_is_a_turned_tile_and_the_damage_is_always_new(shards):
    keys = keys_by_pixels(shards, turned=True)
    one = stream(shards, "fly", num_streams=1, batch_size=1, crop=SIDE)
    seen = {}
    for batch in first(one.batches(), 2 * count_of(shards)):
        clean, corrupted, mask = (part[0].numpy() for part in batch[:3])
        seen.setdefault(keys[clean.tobytes()], []).append((clean, corrupted, mask))
    stored = {sample.key: sample.mask for sample in read_samples(shards, "train")}
    assert sorted(seen) == sorted(stored)
    for key, (one_epoch, other_epoch) in seen.items():
        assert not np.array_equal(one_epoch[2], other_epoch[2])
        assert not np.array_equal(one_epoch[2][:, :, 0], stored[key])
    turned = sum(not np.array_equal(a[0], b[0]) for a, b in seen.values())
    assert turned > 0.6 * len(seen)


def test_on_the_fly_an_epoch_is_the_same_again(shards):
    count = count_of(shards)
    again = [first(stream(shards, "fly", batch_size=1).batches(), count) for _ in range(2)]
    assert [digest(batch) for batch in again[0]] == [digest(batch) for batch in again[1]]


@pytest.mark.parametrize("mode", ["stored", "fly"])
def test_a_crop_larger_than_the_tiles_is_an_error_that_names_both(shards, mode):
    with pytest.raises(ParamsError, match=rf"crop: 65 px is larger than the tiles \({SIDE}x{SIDE}"):
        next(stream(shards, mode, crop=65).batches())


def test_steps_that_mix_pixels_are_refused_for_stored_pairs(shards):
    blur = (AugmentStep(name="rotate", p=1.0, amount=0.1),)
    with pytest.raises(ParamsError, match="mode: fly"):
        next(stream(shards, augment=blur).batches())
    assert next(stream(shards, "fly", augment=blur).batches()).clean.shape == (4, 32, 32, 3)


@pytest.mark.slow
def test_errors_come_out_of_loader_processes_as_they_are(shards, tmp_path):
    with pytest.raises(ParamsError, match="crop: 65 px") as caught:
        next(load(stream(shards, crop=65), 0, 1))
    assert "\n" not in str(caught.value)
    folder = shutil.copytree(shards, tmp_path / "shards")
    spoiled = folder / "train-00000.tar"
    spoiled.write_bytes(spoiled.read_bytes()[:-1])
    with pytest.raises(ShardError, match=r"train-00000\.tar: its bytes are not those of the ma"):
        first(load(stream(folder), 0, 2), 20)


def test_a_spoiled_shard_stops_the_stream_before_any_sample_of_it(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "shards")
    spoiled = folder / "train-00001.tar"
    own = {sample.clean.tobytes() for sample in read_samples(shards, "train")}
    spoiled.write_bytes(b"\0" + spoiled.read_bytes()[1:])
    kept = read_manifest(shards).of_split("train")[1]
    one = stream(folder, num_streams=1, batch_size=1, crop=SIDE, augment=())
    used = []
    with pytest.raises(ShardError, match=rf"{kept.name}"):
        used.extend(picture.tobytes() for picture in pictures(one.batches()))
    assert set(used) <= own and len(used) <= count_of(shards) - kept.num_samples


# batches


@pytest.mark.parametrize("mode", ["stored", "fly"])
def test_workers_make_bytes_and_the_device_gets_floats(shards, mode):
    batch = next(stream(shards, mode).batches())
    for part, channels in zip(batch[:3], (3, 3, 1), strict=True):
        assert part.dtype == torch.uint8 and part.shape == (4, 32, 32, channels)
    moved = batch.to(torch.device("cpu"))
    for part, source in zip(moved[:3], batch[:3], strict=True):
        assert part.dtype == torch.float32
        assert part.shape == (4, source.shape[3], 32, 32)
        assert part.is_contiguous(memory_format=torch.channels_last)
        assert float(part.min()) >= 0 and float(part.max()) <= 1
        back = (part * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        assert torch.equal(back, source)
    assert set(moved.mask.unique().tolist()) <= {0.0, 1.0}


def test_every_level_survives_the_way_to_the_device_and_back():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16, 1)
    part = Batch(levels, levels, levels).to(torch.device("cpu")).clean
    assert torch.equal((part * 255).round().to(torch.uint8).permute(0, 2, 3, 1), levels)
    assert float(part.max()) == 1.0


def test_to_batch_stacks_samples_in_order():
    samples = [handmade(str(number)) for number in range(3)]
    batch = to_batch([(one.clean, one.corrupted, one.mask) for one in samples])
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(batch.clean[number], sample.clean)
        np.testing.assert_array_equal(batch.corrupted[number], sample.corrupted)
        np.testing.assert_array_equal(batch.mask[number, :, :, 0], sample.mask)


@pytest.mark.parametrize("name", ["batch_size", "crop", "num_streams"])
def test_sizes_below_one_are_refused(shards, name):
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        stream(shards, **{name: 0})
