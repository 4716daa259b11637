"""What a billion pairs take: CPU time and bytes a sample, measured here, and the arithmetic.

A sample's share of everything: reading and decoding its photo, damage, encoding, hashing, the tar.
CPU time of one process with one thread, the median of several turns; not the time of a disk, a
network, or Ray. Photos: scikit-image's, 16 tiles of 256² each; decoding larger ones is measured
apart, since every shard decodes all photos of its group.
"""

import functools
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from skimage import data

from benchmarks._project import SEED, Project, make_project
from benchmarks._timing import cpu_seconds, interleaved, one_thread
from pipeline.corruptions import Recipe, Tiles
from pipeline.files import sha256_bytes, write_bytes
from pipeline.images import encode_jpeg
from pipeline.splits import Photo, load_photo
from pipeline.synthesis import SampleMaker, forget_photos, make_shard
from pipeline.tiling import ShardSpec, SynthesisSection, plan_split

PAIRS = 10**9
CORES = 1000
PER_SHARD = 1024
PHOTOS_PER_SHARD = 16  # photos_per_group
HEAD = ["recipe", "profile", "samples/s a core", "kB a sample", "core-hours",
        f"hours on {CORES:,} cores", "TB", "MB a shard", "GB/s"]  # fmt: skip


class Sizes(NamedTuple):
    """How much is measured."""

    recipes: tuple[str, ...] = ("aged", "shapes")
    profiles: tuple[str, ...] = ("png", "jpeg", "story")
    side: int = 256
    per_photo: int = 16
    repeats: int = 5
    planned: tuple[int, int] = (500, 100)  # photos, tiles a photo
    megapixels: float = 12.0
    overlays: tuple[int, int] = (14, 512)


class Cost(NamedTuple):
    """What one sample takes."""

    recipe: str
    profile: str
    seconds: float  # of one core
    num_bytes: float


def main(sizes: Sizes = Sizes()) -> list[dict]:
    """Rows a sample; the table for a billion is printed."""
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), *sizes.overlays)
        costs = [cost for name in sizes.recipes for cost in costs_of(project, name, sizes)]
    seconds, num_bytes = planning(*sizes.planned, sizes.side)
    rate = decoding(sizes.megapixels)
    print(table(costs) + "\n")
    for line in beside(rate, seconds, num_bytes):
        print(line)
    print()
    rows = []
    for cost in costs:
        what = f"{cost.recipe}, profile {cost.profile}, {sizes.side}²"
        name = f"scale-{cost.recipe}-{cost.profile}"
        rows.append(measured(name, f"photo → shard, {what}, samples/s a core", 1 / cost.seconds))
        rows.append(measured(f"{name}-bytes", f"{what}, bytes a sample", cost.num_bytes))
    what = f"{sizes.megapixels:g}-megapixel JPEG → pixels, its hash checked, MP/s a core"
    rows.append(measured("scale-decode", what, rate))
    rows.append(measured("scale-plan", "tiles planned a CPU second", 1 / seconds))
    rows.append(measured("scale-plan-bytes", "memory of a planned tile, bytes", num_bytes))
    return rows


def measured(name: str, what: str, ours: float) -> dict:
    """A row without a peer."""
    rest = dict.fromkeys(("peer", "ratio", "floor", "ceiling"))
    return {"id": name, "what": what, "ours": float(f"{ours:.4g}"), **rest}


def costs_of(project: Project, recipe: str, sizes: Sizes) -> list[Cost]:
    """Of one recipe in each profile."""
    specs = project.specs(sizes.side, sizes.per_photo, sizes.per_photo)  # a photo a shard
    damage = Recipe.load(project.params, recipe, project.textures).damage
    maker, found = SampleMaker(recipe, SEED, damage), []
    count = sum(len(spec.tiles) for spec in specs)
    sums: dict[str, int] = {}

    def make(profile: str) -> Callable[[], None]:
        def run() -> None:
            forget_photos()
            sums[profile] = sum(len(make_shard(spec, maker, profile)[0]) for spec in specs)

        return run

    taken = interleaved({profile: make(profile) for profile in sizes.profiles}, sizes.repeats)
    for profile, seconds in taken.items():
        found.append(Cost(recipe, profile, seconds / count, sums[profile] / count))
    return found


def decoding(megapixels: float) -> float:
    """Megapixels that a core reads a second, from JPEGs of quality 90."""
    side = round((megapixels * 1e6) ** 0.5)
    pixels = np.tile(data.astronaut(), (side // 512 + 1, side // 512 + 1, 1))[:side, :side]
    encoded = encode_jpeg(pixels, 90)
    with tempfile.TemporaryDirectory() as folder:
        write_bytes(Path(folder) / "photo.jpg", encoded)
        row = photo(0).model_copy(update={"path": "photo.jpg", "sha256": sha256_bytes(encoded)})
        task = functools.partial(load_photo, Path(folder), row, 80.0)
        seconds = interleaved({"decode": task}, 5)["decode"]
    return side * side / 1e6 / seconds


def beside(rate: float, seconds: float, num_bytes: float) -> list[str]:
    """What the table leaves out: decoding rates (MP/s), planning (CPU seconds, bytes a tile)."""
    num_shards = -(-PAIRS // PER_SHARD)
    hours = num_shards * PHOTOS_PER_SHARD * 12 / rate / 3600
    cells = {
        f"shards of {PER_SHARD} samples": f"{num_shards:,}",
        "decoding JPEGs": f"{rate:.0f} MP/s a core: 12-megapixel photos, {PHOTOS_PER_SHARD} a "
        f"shard, are up to {hours:,.0f} core-hours more",
        "planning all at once": f"{seconds * PAIRS / 3600:.1f} hours of one core, "
        f"{num_bytes * PAIRS / 1e9:.0f} GB of memory",
    }
    return ["| beside | |", "| --- | --- |", *(f"| {one} | {cells[one]} |" for one in cells)]


def planning(num_photos: int, per_photo: int, side: int) -> tuple[float, float]:
    """CPU seconds and bytes of memory for each planned tile."""
    photos = [photo(number) for number in range(num_photos)]
    cut = Tiles(side=side, per_photo=per_photo, variants=1)
    section = SynthesisSection(photos_per_group=16, samples_per_shard=PER_SHARD)
    plans: list[list[ShardSpec]] = []

    def plan() -> None:
        plans.append(plan_split("train", photos, cut, section, SEED, Path("raw"), 80.0))

    seconds = cpu_seconds(plan)
    plans.clear()
    tracemalloc.start()
    plan()
    num_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return seconds / (num_photos * per_photo), num_bytes / (num_photos * per_photo)


def photo(number: int) -> Photo:
    """A row of an index of 12-megapixel photos."""
    identity = f"{number:064x}"
    return Photo(
        id=identity, source="folder", name=f"{number}.jpg", path=f"folder/{number}.jpg", gray=False,
        sha256=identity, width=4000, height=3000, group=identity, split="train",
    )  # fmt: skip


def table(costs: list[Cost]) -> str:
    """The arithmetic for `PAIRS`, as Markdown."""
    lines = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 2)]]
    for cost in costs:
        hours = cost.seconds * PAIRS / 3600
        lines.append([
            cost.recipe, cost.profile, f"{1 / cost.seconds:.0f}", f"{cost.num_bytes / 1e3:.0f}",
            f"{hours:,.0f}", f"{hours / CORES:.1f}", f"{cost.num_bytes * PAIRS / 1e12:.0f}",
            f"{cost.num_bytes * PER_SHARD / 1e6:.0f}",
            f"{cost.num_bytes * CORES / cost.seconds / 1e9:.1f}",
        ])  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
