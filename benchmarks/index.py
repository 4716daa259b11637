"""What an index costs beside decoding and hashing, how fast near-duplicates are searched, and which
of them are found.

Photos: windows of scikit-image's, saved as JPEG. Wall time of two processes where the row says so,
since they are what is measured; else CPU time of one thread.
"""

import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks._project import SEED
from benchmarks._timing import cpu_seconds, one_thread, row
from pipeline import seeds
from pipeline.candidates import BATCH, Candidate
from pipeline.executors import Processes
from pipeline.files import sha256_bytes, write_bytes
from pipeline.images import Array, encode_jpeg, resize, to_gray, to_rgb
from pipeline.indexing import build_index
from pipeline.photos import decode_rgb
from pipeline.splits import IndexSection, pixel_id
from pipeline.twins import are_twins, compare, find_twins, link_twins, look_of

MEGAPIXELS = 80.0
SECTION = IndexSection(
    val_share=0.1, test_share=0.1, max_megapixels=MEGAPIXELS, max_rejected_share=0.1
)
PROCESSES = 2
SECONDS = 60.0  # that the search among `Sizes.searched` may take


class Sizes(NamedTuple):
    """How much is measured."""

    photos: int = 2000
    side: int = 448
    repeats: int = 3
    searched: int = 100_000
    look_alikes: int = 10_000
    paired: int = 500
    planted: int = 500


def main(sizes: Sizes = Sizes()) -> list[dict]:
    """Rows; the time of a search half as large tells how it grows."""
    one_thread()
    rows = [indexing(sizes)]
    half, whole = (searching(number) for number in (sizes.searched // 2, sizes.searched))
    what = f"near-duplicates among {sizes.searched:,} simulated photos on one core, photos/s; "
    what += f"peer: in {SECONDS:g} s"
    rate = sizes.searched / whole
    rows.append(row("index-search", what, rate, sizes.searched / SECONDS, 1.0))
    what = "time of that search against one of half as many photos (4: it grows with the square)"
    rows.append(row("index-search-growth", what, whole, half, None))
    rows.append(looking_alike(sizes))
    photos = windows(sizes.planted, sizes.side)
    looks = [look_of(photo) for photo in photos]
    for name, edit in edits().items():
        twins = [compare(look, look_of(edit(p))) for look, p in zip(looks, photos, strict=True)]
        share = sum(map(are_twins, twins)) / len(twins)
        what = f"{len(twins)} windows, twins found: {name}"
        rows.append(row(f"index-twins-{name.replace(' ', '-')}", what, share, 1.0, 0.99))
    return rows


def indexing(sizes: Sizes) -> dict:
    """The stage's work against decoding and hashing alone, both by two processes."""
    with tempfile.TemporaryDirectory() as name:
        folder, found = Path(name), []
        for number, photo in enumerate(windows(sizes.photos, sizes.side)):
            data = encode_jpeg(photo, 90, halved_color=True)
            write_bytes(folder / f"{number}.jpg", data)
            found.append(
                Candidate("s", f"{number}.jpg", f"{number}.jpg", None, None, sha256_bytes(data))
            )
        batches = [found[start : start + BATCH] for start in range(0, len(found), BATCH)]

        def ours() -> None:
            execute = Processes(PROCESSES, "index")
            build_index(folder, found, SECTION, SEED, lambda done, total: None, execute)

        def alone() -> None:
            task = functools.partial(decode_and_hash, folder)
            list(Processes(PROCESSES, "index")(task, batches))

        seconds = {task: [] for task in (ours, alone)}
        for _ in range(sizes.repeats):
            for task, taken in seconds.items():
                taken.append(wall_seconds(task))
    what = f"{len(found)} photos of {sizes.side}², indexed by {PROCESSES} processes, photos/s; "
    what += "peer: only decoded and hashed"
    rates = [len(found) / statistics.median(seconds[task]) for task in (ours, alone)]
    return row("index-photos", what, *rates, floor=0.7692)


def decode_and_hash(folder: Path, batch: list[Candidate]) -> list[str]:
    """What no index can do without."""
    found = []
    for one in batch:
        data = (folder / one.path).read_bytes()
        found += [sha256_bytes(data), pixel_id(decode_rgb(data, MEGAPIXELS))]
    return found


def wall_seconds(task: Callable[[], None]) -> float:
    """By the clock: the work is other processes'."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def searching(number: int) -> float:
    """CPU seconds for looks of noise, whose hashes are as good as random."""
    looks = seeds.rng(SEED, "looks").integers(0, 256, (number, 32, 32), np.uint8)
    return cpu_seconds(lambda: link_twins(looks))


def looking_alike(sizes: Sizes) -> dict:
    """Frames that differ by a little noise, linked, against every pair of fewer of them."""
    look = look_of(windows(1, sizes.side)[0]).astype(np.int16)
    noise = seeds.rng(SEED, "frames").integers(-3, 4, (sizes.look_alikes, 32, 32))
    frames = (look + noise).clip(0, 255).astype(np.uint8)
    rates = [
        len(some) / cpu_seconds(lambda task=task, some=some: task(some))
        for task, some in ((link_twins, frames), (find_twins, frames[: sizes.paired]))
    ]
    what = f"{sizes.look_alikes:,} look-alikes linked on one core, photos/s; "
    what += f"peer: every pair of {sizes.paired:,} of them correlated"
    return row("index-look-alikes", what, *rates, floor=1.0)


def windows(number: int, side: int) -> list[Array]:
    """Windows of scikit-image's larger photographs, uint8 side×side×3, with something in them."""
    from skimage import data

    photos = [data.astronaut(), data.retina(), data.hubble_deep_field(), data.camera(),
              data.moon(), data.immunohistochemistry(), data.stereo_motorcycle()[0]]  # fmt: skip
    rng, found = seeds.rng(SEED, "windows"), []
    while len(found) < number:
        photo = photos[int(rng.integers(len(photos)))]
        photo = to_rgb(photo if photo.ndim == 3 else photo[:, :, None])
        cut = int(rng.integers(side // 3, side + 1))
        top, left = (int(rng.integers(length - cut + 1)) for length in photo.shape[:2])
        window = resize(photo[top : top + cut, left : left + cut], side, side)
        if look_of(window).std() > 15:
            found.append(window)
    return found


def edits() -> dict[str, Callable[[Array], Array]]:
    """What near-duplicates went through."""

    def jpeg(photo: Array) -> Array:
        return decode_rgb(encode_jpeg(photo, 50), MEGAPIXELS)

    def brighter(photo: Array) -> Array:
        return np.clip(photo * 1.15 + 10.0, 0, 255).astype(np.uint8)

    def grain(photo: Array) -> Array:
        noise = seeds.rng(SEED, "grain", int(photo[0, 0, 0])).normal(0, 12, photo.shape)
        return np.clip(photo + noise, 0, 255).astype(np.uint8)

    def cropped(photo: Array) -> Array:
        cut = round(0.03 * len(photo))
        return photo[cut:-cut, cut:-cut]

    return {
        "exact": lambda photo: photo,
        "jpeg": jpeg,
        "half size": lambda photo: resize(photo, len(photo) // 2, len(photo) // 2),
        "gray": lambda photo: to_rgb(to_gray(photo)),
        "brighter": brighter,
        "grain": grain,
        "mirrored": lambda photo: np.ascontiguousarray(photo[:, ::-1]),
        "turned": lambda photo: np.ascontiguousarray(np.rot90(photo)),
        "3 percent off each side": cropped,
    }
