"""The raw cache changes no bit of any batch; what it holds is whole, of these shards, and within
its budget."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pipeline.augmentation import AugmentStep
from pipeline.corruptions import Damaged
from pipeline.errors import ShardError
from pipeline.seeds import rng
from pipeline.stream import Source, Stream, StreamSection, load, raw_cache
from pipeline.stream.raw_cache import HEADER, RawCache
from tests.conftest import ROOT
from tests.pipeline.handmade import dealt, digests, first, handmade, write_shards

TURNS = tuple(AugmentStep(name=name, p=0.5, amount=0.0) for name in ("turn", "horizontal_flip"))
SLOT = 128 + 8 * 8 * 3  # bytes of a handmade sample: key, clean, corrupted, mask
GIGABYTE = 1_000_000_000


def damage(tile, rng_of):
    """Fresh noise."""
    mask = 255 * rng_of("mask").integers(0, 2, tile.shape[:2], np.uint8)
    return Damaged(tile, tile ^ mask[:, :, None], mask, {}, tile)


def stream(*folders, cache=None, gigabytes=1.0, draw=None, **changes):
    section = {
        "mode": "fly" if draw else "stored", "batch_size": 4, "crop": 7, "num_streams": 4,
        "cache_gigabytes": gigabytes, "augment": TURNS,
    }  # fmt: skip
    sources = tuple(Source(folder, draw) for folder in folders)
    return Stream(sources, "train", StreamSection(**section | changes), 7, cache)


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards", 12, 9, 15)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def hide(folder):
    """Take the shards away, but not their manifest."""
    for path in folder.glob("*.tar"):
        path.write_bytes(b"gone")


# batches


@pytest.mark.parametrize("draw", [None, damage])
@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_batches_are_the_same_with_and_without(shards, cache, draw, num_workers):
    expected = digests(stream(shards, draw=draw).batches(), 40)
    one = stream(shards, cache=cache, draw=draw)
    for _ in range(2):  # filled while it is read, then full from the start
        assert digests(dealt(one, num_workers), 40) == expected
    assert digests(one.batches(13), 27) == expected[13:]
    assert len(list(cache.iterdir())) == 4


@pytest.mark.slow
def test_processes_share_the_work_of_filling_it(shards, cache):
    expected = digests(stream(shards).batches(), 30)
    one = stream(shards, cache=cache)
    assert digests(load(one, 0, 2), 30) == expected
    hide(shards)
    assert digests(load(one, 0, 4), 30) == expected


def test_a_mixture_has_a_file_a_source_and_stream(shards, cache, tmp_path):
    other = write_shards(tmp_path / "other", 20, make=partial(handmade, keep=True), name="o")
    expected = digests(stream(shards, other).batches(), 40)
    one = stream(shards, other, cache=cache)
    assert digests(one.batches(), 40) == digests(one.batches(), 40) == expected
    names = {f"{source}-{lane}.raw" for source in (0, 1) for lane in range(4)}
    assert {path.name for path in cache.iterdir()} == names


@pytest.mark.parametrize("draw", [None, damage])
def test_a_full_cache_needs_no_shards(shards, cache, draw):
    one = stream(shards, cache=cache, draw=draw)
    expected = digests(one.batches(), 40)
    hide(shards)
    assert digests(one.batches(), 40) == expected
    with pytest.raises(ShardError, match="are not those of the manifest"):
        first(stream(shards, draw=draw).batches(), 40)


def test_zero_gigabytes_write_nothing(shards, cache):
    first(stream(shards, cache=cache, gigabytes=0.0).batches(), 20)
    assert not cache.exists()


def test_on_the_fly_only_clean_tiles_are_kept(shards, cache):
    for draw in (None, damage):
        first(stream(shards, cache=cache / str(draw is None), draw=draw).batches(), 40)
    sizes = [sum(path.stat().st_size for path in (cache / name).iterdir())
             for name in ("True", "False")]  # fmt: skip
    assert sizes[0] - sizes[1] == 36 * 2 * 64


@pytest.mark.parametrize("num_kept", [0, 1, 5, 8])
def test_the_budget_is_kept_and_the_rest_is_decoded(shards, cache, num_kept):
    each = HEADER + num_kept * (SLOT + 4)  # each of 4 streams owns 9 of 36
    one = stream(shards, cache=cache, gigabytes=4 * each / GIGABYTE)
    expected = digests(stream(shards).batches(), 40)
    assert digests(one.batches(), 40) == digests(one.batches(), 40) == expected
    used = sum(path.stat().st_size for path in cache.glob("*"))
    assert used <= 4 * each
    assert used > 0 or num_kept == 0


def test_samples_of_other_shapes_are_decoded_again(cache, tmp_path):
    def uneven(key):
        return handmade(key, side=8 if key.endswith(("0", "3", "5")) else 9)

    folder = write_shards(tmp_path / "uneven", 12, 12, make=uneven)
    expected = digests(stream(folder).batches(), 40)
    one = stream(folder, cache=cache)
    assert digests(one.batches(), 40) == digests(one.batches(), 40) == expected


def test_a_cache_of_other_shards_is_begun_anew(shards, cache):
    one = stream(shards, cache=cache)
    before = digests(one.batches(), 40)
    write_shards(shards, 12, 9, 15, name="new")
    expected = digests(stream(shards).batches(), 40)
    assert expected != before
    assert digests(one.batches(), 40) == digests(one.batches(), 40) == expected


@pytest.mark.parametrize("changes", [{"num_streams": 2}, {"draw": damage, "mode": "fly"}])
def test_a_cache_of_another_plan_is_not_taken_for_this_one(shards, cache, changes):
    first(stream(shards, cache=cache).batches(), 40)
    expected = digests(stream(shards, **changes).batches(), 40)
    assert digests(stream(shards, cache=cache, **changes).batches(), 40) == expected


# files


def arrays(number, side=8):
    return [rng(0, "cache", number).integers(0, 256, (side, side, 3), np.uint8)]


def made(path, count=5, identity="these", room=GIGABYTE):
    one = RawCache(path, identity, 5, room)
    for number in range(count):
        one.put(number, f"key{number}", arrays(number))
    return one


def assert_holds(one, *numbers):
    for number in range(5):
        found = one.get(number)
        assert (found is not None) == (number in numbers)
        if found is not None:
            assert found[0] == f"key{number}"
            np.testing.assert_array_equal(found[1][0], arrays(number)[0])
            assert not found[1][0].flags.writeable


def test_what_was_put_is_there_in_this_and_in_the_next_process(tmp_path):
    one = made(tmp_path / "a.raw", 3)
    assert_holds(one, 0, 1, 2)
    again = RawCache(tmp_path / "a.raw", "these", 5, GIGABYTE)
    assert_holds(again, 0, 1, 2)
    assert again.holds(0, 3) and not again.holds(0, 4) and not again.holds(0, 99)
    again.put(4, "key4", arrays(4))
    assert_holds(again, 0, 1, 2, 4)


@pytest.mark.parametrize("place", [HEADER + 4 * 5 + 130, -1, HEADER + 2])
def test_a_spoiled_sample_or_mark_is_not_served(tmp_path, place):
    """As a power cut may leave it: the mark is on the disk, some of the bytes are not."""
    made(tmp_path / "a.raw")
    data = bytearray((tmp_path / "a.raw").read_bytes())
    data[place] ^= 255
    (tmp_path / "a.raw").write_bytes(data)
    spoiled = 4 if place == -1 else 0
    one = RawCache(tmp_path / "a.raw", "these", 5, GIGABYTE)
    assert_holds(one, *{0, 1, 2, 3, 4} - {spoiled})
    one.put(spoiled, f"key{spoiled}", arrays(spoiled))
    assert_holds(RawCache(tmp_path / "a.raw", "these", 5, GIGABYTE), 0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1], lambda data: data[:100], lambda data: b"", lambda data: data + b"x",
        lambda data: b"[" * HEADER + data[HEADER:], lambda data: bytes(len(data)),
        lambda data: data.replace(b'"num":5', b'"num":4'), lambda data: data[HEADER:],
    ],
)  # fmt: skip
def test_a_file_that_is_none_of_ours_is_begun_anew(tmp_path, spoil):
    path = tmp_path / "a.raw"
    made(path)
    path.write_bytes(spoil(path.read_bytes()))
    one = RawCache(path, "these", 5, GIGABYTE)
    assert_holds(one)
    one.put(1, "key1", arrays(1))
    assert_holds(RawCache(path, "these", 5, GIGABYTE), 1)


def test_another_identity_or_budget_is_another_file(tmp_path):
    made(tmp_path / "a.raw")
    assert_holds(RawCache(tmp_path / "a.raw", "others", 5, GIGABYTE))
    assert_holds(RawCache(tmp_path / "a.raw", "these", 5, HEADER + 400))


def test_a_full_disk_ends_the_cache_and_nothing_else(shards, cache, monkeypatch, caplog):
    """The disk fills up in the midst of a sample, and stays full."""
    room = [1500]

    def pwrite(file, data, place, real=os.pwrite):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(file, data[: room[0]], place)
        room[0] -= done
        return done

    expected = digests(stream(shards).batches(), 40)
    monkeypatch.setattr(raw_cache.os, "pwrite", pwrite)
    one = stream(shards, cache=cache)
    assert digests(one.batches(), 40) == expected
    told = [record.message for record in caplog.records]
    assert len(told) == 4 and all("No space left on device; goes on without" in one for one in told)
    room[0] = 10**9
    assert digests(one.batches(), 40) == expected


def test_a_folder_that_cannot_be_made_is_no_cache(shards, tmp_path, caplog):
    (tmp_path / "file").touch()
    one = stream(shards, cache=tmp_path / "file/cache")
    assert digests(one.batches(), 20) == digests(replace(one, cache=None).batches(), 20)
    assert "goes on without a cache" in caplog.text


@pytest.mark.slow
def test_a_killed_process_leaves_whole_samples_only(tmp_path):
    """Killed while it writes without a pause, at several moments."""
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from pipeline.stream.raw_cache import RawCache\n"
        "one = RawCache(Path(sys.argv[1]), 'big', 4000, 10**10); print('go', flush=True)\n"
        "for n in range(4000): one.put(n, str(n), [np.full((256, 256, 3), n % 251, np.uint8)])\n"
    )
    for turn, wait in enumerate((0.0, 0.02, 0.05, 0.1)):
        path = tmp_path / f"{turn}.raw"
        process = subprocess.Popen(
            [sys.executable, "-c", code, path], cwd=ROOT, stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        one = RawCache(path, "big", 4000, 10**10)
        for number in range(4000):
            found = one.get(number)
            assert one.holds(number, number + 1) == (found is not None)
            assert found is None or (found[1][0] == number % 251).all()
        path.unlink(missing_ok=True)
