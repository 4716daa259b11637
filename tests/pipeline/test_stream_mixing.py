"""Recipes are mixed by weight, exactly and by plan; what does not go into one batch is refused."""

import itertools
from functools import partial

import numpy as np
import pytest
import torch

from pipeline.augmentation import AugmentStep
from pipeline.corruptions import Damaged
from pipeline.errors import ParamsError
from pipeline.samples import unpack
from pipeline.shards import read_manifest, read_shard
from pipeline.stream import Source, Stream, StreamSection, load, to_batch
from pipeline.stream.plan import PERIOD, Mixture, slots_of
from tests.pipeline.handmade import dealt, digests, first, handmade, write_shards

TURNS = (AugmentStep(name="turn", p=1.0, amount=0.0),)


def mixed(*sources, channels=None, **changes):
    section = {
        "mode": "stored", "batch_size": 4, "crop": 8, "num_streams": 4, "cache_gigabytes": 0.0,
        "augment": (),
    }  # fmt: skip
    return Stream(sources, "train", StreamSection(**section | changes), 7, None, channels)


@pytest.fixture
def two(tmp_path):
    """Two folders of shards with different samples, a smaller and a larger one."""
    return (
        write_shards(tmp_path / "one", 10, 14, name="a"),
        write_shards(tmp_path / "other", 16, 16, 16, name="b"),
    )


def clean_of(folder):
    """Bytes of the clean pictures of a folder."""
    rows = read_manifest(folder).of_split("train")
    return {unpack(one).clean.tobytes() for row in rows for one in read_shard(folder, row)}


def test_every_source_comes_as_often_as_its_weight_says(two):
    one = mixed(Source(two[0], None, weight=1.0), Source(two[1], None, weight=3.0))
    own = clean_of(two[0])
    batches = first(one.batches(), 4 * PERIOD // 4)
    seen = [picture.numpy().tobytes() in own for batch in batches for picture in batch.clean]
    assert sum(seen) == len(seen) // 4
    fours = [seen[n : n + 4] for n in range(0, 400, 4)]
    assert any(any(four) and not all(four) for four in fours)


def test_an_epoch_is_the_first_source_once(two):
    sources = [Source(two[0], None, weight=1.0), Source(two[1], None, weight=2.0)]
    assert mixed(sources[0]).num_batches() == 24 // 4
    assert mixed(*sources).num_batches() == 3 * 24 // 4
    assert mixed(*sources[::-1]).num_batches() == 48 * 3 // 2 // 4


def test_within_its_source_every_sample_comes_once_in_an_epoch(two):
    one = mixed(Source(two[0], None), Source(two[1], None), num_streams=1, batch_size=1)
    pictures = [batch.clean.numpy().tobytes() for batch in first(one.batches(), 2000)]
    for folder in two:
        own = clean_of(folder)
        mine = [picture for picture in pictures if picture in own]
        for start in range(0, len(mine) - len(own), len(own)):
            assert set(mine[start : start + len(own)]) == own


def test_a_source_is_read_in_the_order_that_it_has_alone(two):
    alone = mixed(Source(two[0], None), num_streams=1, batch_size=1)
    beside = mixed(Source(two[0], None), Source(two[1], None), num_streams=1, batch_size=1)
    own = clean_of(two[0])
    mine = (batch.clean for batch in beside.batches() if batch.clean.numpy().tobytes() in own)
    for ours, its in itertools.islice(zip(mine, alone.batches(), strict=False), 60):
        assert torch.equal(ours, its.clean)


@pytest.mark.parametrize("num_workers", [2, 4])
def test_a_mixture_is_the_same_for_any_workers_from_any_step_and_far_away(two, num_workers):
    one = mixed(Source(two[0], None, weight=0.3), Source(two[1], None), augment=TURNS)
    expected = digests(one.batches(), 60)
    assert digests(dealt(one, num_workers), 60) == expected
    for start in (1, 7, 30):
        assert digests(one.batches(start), 60 - start) == expected[start:]
    far = 4 * 10**9 + 3
    assert digests(one.batches(far), 3) == digests(one.batches(far - 2), 5)[2:]


@pytest.mark.slow
def test_a_mixture_in_processes(two):
    one = mixed(Source(two[0], None), Source(two[1], None))
    assert digests(load(one, 3, 2), 9) == digests(one.batches(), 12)[3:]


def test_two_recipes_of_the_same_photos_draw_differently(two):
    one = mixed(Source(two[0], None), Source(two[0], None), batch_size=1, num_streams=1)
    mixture = Mixture(slots_of([1.0, 1.0]), 7, 0).choices(0)
    split = {0: [], 1: []}
    for source, batch in zip(itertools.islice(mixture, 48), one.batches(), strict=False):
        split[source].append(batch.clean.numpy().tobytes())
    assert split[0][:10] != split[1][:10]


@pytest.mark.parametrize(
    ("weights", "counts"),
    [((1.0,), (1800,)), ((0.5, 0.5), (900, 900)), ((1.0, 2.0), (600, 1200)),
     ((1e-6, 1.0), (1, 1799)), ((1.0,) * 7, (258, *[257] * 6)), ((5.0, 0.0001, 3.0), None)],
)  # fmt: skip
def test_weights_become_whole_counts_that_leave_nobody_out(weights, counts):
    found = slots_of(weights)
    assert sum(found) == PERIOD and min(found) >= 1
    assert counts is None or found == counts


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_weight_is_refused(two, weight):
    one = mixed(Source(two[0], None), Source(two[1], None, weight=weight))
    with pytest.raises(ParamsError, match="are not all more than 0"):
        next(one.batches())


def test_slots_are_counted_without_being_walked():
    mixture = Mixture(slots_of([2.0, 1.0, 1.0]), 3, 1)
    walked = [0, 0, 0]
    for slot, source in enumerate(itertools.islice(mixture.choices(0), 2500)):
        assert slot % 97 or mixture.before(slot) == walked
        walked[source] += 1
    assert sum(mixture.before(10**12 + 7)) == 10**12 + 7


# channels


def test_gray_and_rgb_sources_are_refused_by_name(tmp_path):
    gray = write_shards(tmp_path / "gray", 8)
    color = write_shards(tmp_path / "color", 8, make=partial(handmade, channels=3))
    with pytest.raises(
        ParamsError, match=r"RGB made of RGB; .*gray made of gray|gray.*; .*color: RGB"
    ):
        first(mixed(Source(gray, None), Source(color, None)).batches(), 20)
    with pytest.raises(ParamsError, match="wanted: gray made of gray"):
        first(mixed(Source(color, None), channels=(1, 1)).batches(), 1)


def test_gray_pictures_become_rgb_where_a_system_takes_that(tmp_path):
    gray = write_shards(tmp_path / "gray", 8)
    color = write_shards(tmp_path / "color", 8, make=partial(handmade, channels=3))
    plain = first(mixed(Source(gray, None), augment=TURNS).batches(), 6)
    wide = first(mixed(Source(gray, None), augment=TURNS, channels=(3, 1)).batches(), 6)
    for one, other in zip(plain, wide, strict=True):
        assert torch.equal(one.corrupted.expand(-1, -1, -1, 3), other.corrupted)
        assert torch.equal(one.clean, other.clean)
    both = mixed(Source(gray, None), Source(color, None), channels=(3, 3))
    assert {batch.clean.shape for batch in first(both.batches(), 20)} == {(4, 8, 8, 3)}


# keep


def test_keep_comes_with_its_sample_turned_and_cropped_alike(tmp_path):
    folder = write_shards(tmp_path, 8, 8, make=partial(handmade, keep=True, side=12))
    stored = {}
    for row in read_manifest(folder).of_split("train"):
        for one in (unpack(member) for member in read_shard(folder, row)):
            for turn in range(4):
                window = np.lib.stride_tricks.sliding_window_view
                ways = (np.rot90(part, turn) for part in (one.mask, one.keep))
                masks, keeps = (window(way, (8, 8)).reshape(-1, 8, 8) for way in ways)
                for mask, keep in zip(masks, keeps, strict=True):
                    stored[mask.tobytes()] = keep
    for batch in first(mixed(Source(folder, None), augment=TURNS).batches(), 8):
        assert batch.keep.dtype == torch.uint8 and batch.keep.shape == (4, 8, 8, 1)
        for mask, keep in zip(batch.mask.numpy(), batch.keep.numpy(), strict=True):
            np.testing.assert_array_equal(stored[mask.tobytes()], keep[:, :, 0])


def test_samples_without_keep_get_zeros_beside_others_and_none_alone(tmp_path):
    make = partial(handmade, keep=True)
    sources = [
        Source(write_shards(tmp_path / "kept", 12, make=make, name="k"), None),
        Source(write_shards(tmp_path / "bare", 12, name="b"), None),
    ]
    assert all(batch.keep is None for batch in first(mixed(sources[1]).batches(), 6))
    both = [batch.keep for batch in first(mixed(*sources).batches(), 20)]
    flags = [bool(one.any()) for keep in both if keep is not None for one in keep]
    assert 0.3 < sum(flags) / len(flags) < 0.7


def test_damage_on_the_fly_brings_its_keep(tmp_path):
    def draw(tile, rng_of):
        keep = 255 * rng_of("keep").integers(0, 2, tile.shape[:2], np.uint8)
        return Damaged(tile, 255 - tile, 255 - keep, {}, tile, keep)

    folder = write_shards(tmp_path, 8)
    one = mixed(Source(folder, draw), mode="fly", augment=TURNS)
    for batch in first(one.batches(), 4):
        assert torch.equal(batch.keep, 255 - batch.mask) and batch.keep.any()
        assert torch.equal(batch.corrupted, 255 - batch.clean)
        moved = batch.to(torch.device("cpu"))
        assert moved.keep.shape == (4, 1, 8, 8) and set(moved.keep.unique().tolist()) <= {0.0, 1.0}
        again = moved.to(torch.device("cpu"))
        assert all(torch.equal(*pair) for pair in zip(moved, again, strict=True))


def test_to_batch_takes_keeps():
    samples = [handmade(str(number), keep=number != 1) for number in range(3)]
    columns = [(one.clean, one.corrupted, one.mask) for one in samples]
    batch = to_batch(columns, keeps=[one.keep for one in samples])
    for number, one in enumerate(samples):
        kept = np.zeros_like(one.mask) if one.keep is None else one.keep
        np.testing.assert_array_equal(batch.keep[number, :, :, 0], kept)
    assert to_batch(columns).keep is None and to_batch(columns, keeps=[None] * 3).keep is None
