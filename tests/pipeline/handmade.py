"""Shards of noise made by hand, and batches told from one another, for the tests of streams."""

import hashlib
import itertools

import numpy as np

from pipeline.files import sha256_bytes
from pipeline.samples import Sample, pack
from pipeline.seeds import rng
from pipeline.shards import ShardRow, write_manifest


def handmade(key, channels=1, target_channels=None, keep=False, side=8):
    """A sample of noise that its key decides."""
    random = rng(0, "handmade", key)
    clean = random.integers(0, 256, (side, side, target_channels or channels), np.uint8)
    corrupted = random.integers(0, 256, (side, side, channels), np.uint8)
    mask, kept = 255 * random.integers(0, 2, (2, side, side), np.uint8)
    return Sample(key, clean, corrupted, mask, {}, kept if keep else None)


def write_shards(folder, *counts, make=handmade, name=""):
    """A folder of train shards that hold so many samples each."""
    rows = []
    folder.mkdir(parents=True, exist_ok=True)
    for number, count in enumerate(counts):
        file = f"train-{number:05d}.tar"
        made = (make(f"{name}{number}-{one}") for one in range(count))
        data, _, content = pack(made)
        (folder / file).write_bytes(data)
        rows.append(
            ShardRow(
                name=file, split="train", num_samples=count, num_bytes=len(data),
                sha256=sha256_bytes(data), content_sha256=content,
            )
        )  # fmt: skip
    write_manifest(folder, "hand", "0", rows)
    return folder


def first(batches, count):
    """So many batches."""
    return list(itertools.islice(batches, count))


def digest(batch):
    """A hash of all there is in a batch."""
    parts = [b"none" if part is None else part.numpy().tobytes() for part in batch]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def digests(batches, count):
    """Of so many batches."""
    return [digest(batch) for batch in first(batches, count)]


def dealt(one, num_workers, start=0):
    """The batches of several workers, put together as the DataLoader does."""
    workers = [one.batches(start, number % num_workers, num_workers)
               for number in range(start, start + num_workers)]  # fmt: skip
    for worker in itertools.cycle(workers):
        yield next(worker)
