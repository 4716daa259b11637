"""Photo → shard: synthesis beside the same written with the usual libraries, its share of pure
encoding, the kernel of `aged` beside numpy, and two processes beside one.

Samples a CPU second, but for the processes: their wall time, best of 5. Photos are decoded within
what is measured, once for all their tiles, as everywhere.
"""

import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import _usual
from benchmarks._project import MEGAPIXELS, SEED, Project, make_project
from benchmarks._timing import Task, cpu_seconds, interleaved, one_thread, row
from pipeline import png, samples, seeds, synthesis
from pipeline.corruptions import CORRUPTIONS, Corruption
from pipeline.executors import Processes
from pipeline.samples import Sample
from pipeline.synthesis import Store, make_samples, synthesize
from pipeline.tiling import ShardSpec

GOAL = 1 / 1.3  # of the rate that encoding alone would allow
RECIPES = {"shapes": ("numpy", 15, 2.5), "aged": ("numpy", 30, 3.5)}  # floors: Pillow's, OpenCV's
Array = np.ndarray


class Sizes(NamedTuple):
    """How much is measured. `tiles`: side (px) and tiles a photo."""

    tiles: tuple[tuple[int, int], ...] = ((512, 8), (256, 16))
    repeats: int = 3
    samples_per_shard: int = 128
    kernel_side: int = 512
    processes_tiles: tuple[int, int] = (256, 500)
    processes_repeats: int = 5
    overlays: tuple[int, int] = (14, 512)
    photos: int | None = None  # all


def main(sizes: Sizes = Sizes()) -> list[dict]:
    """All rows."""
    one_thread()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), *sizes.overlays)
        project = project._replace(photos=project.photos[: sizes.photos])
        for recipe in RECIPES:
            for side, per_photo in sizes.tiles:
                rows += photo_to_shard(project, recipe, side, per_photo, sizes)
        rows.append(aged_kernel(project, sizes))
        rows.append(two_processes(project, sizes))
    return rows


def photo_to_shard(
    project: Project, recipe: str, side: int, per_photo: int, sizes: Sizes
) -> list[dict]:
    """Rows of one recipe and tile size: beside Pillow, beside OpenCV, beside encoding alone."""
    specs = project.specs(side, per_photo, sizes.samples_per_shard)
    maker, out = project.maker(recipe, side), project.raw.parent
    count = sum(len(spec.tiles) for spec in specs)
    made = [sample for spec in specs for sample in make_samples(spec, maker)]
    store = Store(out / "ours", "png")
    tasks: dict[str, Task] = {
        "ours": lambda: fill(specs, maker, store),
        "codec": lambda: [encode(sample) for sample in made],
    }
    for name, codec in (("pillow", _usual.PILLOW), ("opencv", _usual.OPENCV)):
        for peer, draw in _peers(recipe, project, codec).items():
            tasks[name + peer] = functools.partial(
                _usual.write_shards, [project.raw / one.path for one in project.photos],
                out / "peer", side, per_photo, codec, draw, SEED,
            )  # fmt: skip
    taken = interleaved(tasks, sizes.repeats)
    rates = {name: count / seconds for name, seconds in taken.items()}
    show_shares(f"{recipe} {side}²: {rates['ours']:.0f} samples/s", steps_of(specs, maker, store))
    return _rows(recipe, side, rates)


def _peers(recipe: str, project: Project, codec: _usual.Codec) -> dict[str, _usual.Draw]:
    """Suffix of the row → damage; gray pictures are stored in three channels, then in one."""
    if recipe == "shapes":
        return {"": _usual.Shapes(project.ranges(recipe, "shapes"))}
    grain, texture = project.ranges(recipe, "grain"), project.ranges(recipe, "texture")
    return {
        "": _usual.Aged(grain, texture, project.textures, codec, 3),
        "-one-channel": _usual.Aged(grain, texture, project.textures, codec, 1),
    }


def _rows(recipe: str, side: int, rates: dict[str, float]) -> list[dict]:
    library, *floors = RECIPES[recipe]
    rows = []
    for name, floor in zip(("pillow", "opencv"), floors, strict=True):
        for peer, rate in rates.items():
            if not peer.startswith(name):
                continue
            gray = "; its gray PNGs have one channel too" if peer != name else ""
            what = (
                f"photo → shard, {recipe} {side}², samples/s, vs {library}, {name}'s PNG and "
                f"ShardWriter{gray}; ceiling: encoding alone"
            )
            rows.append(
                row(f"{recipe}-{side}-{peer}", what, rates["ours"], rate,
                    None if gray else floor, rates["codec"] / rate)
            )  # fmt: skip
    what = f"photo → shard, {recipe} {side}², samples/s, vs encoding its pictures alone"
    return [*rows, row(f"{recipe}-{side}-codec", what, rates["ours"], rates["codec"], GOAL, 1.0)]


def fill(specs: Sequence[ShardSpec], maker: synthesis.MakeSample, store: Store) -> None:
    """Make and keep all shards, from photos that nobody decoded before."""
    synthesis.forget_photos()
    for spec in specs:
        store.make(spec, maker)


def encode(sample: Sample) -> None:
    """The three PNGs of a sample."""
    png.encode(sample.clean)
    png.encode(sample.corrupted)
    png.encode_mask(sample.mask)


def steps_of(
    specs: Sequence[ShardSpec], maker: synthesis.MakeSample, store: Store
) -> dict[str, float]:
    """CPU seconds of each step of `fill`."""
    steps: dict[str, float] = {}
    with timed_parts(
        steps,
        ("read and decode", synthesis, "load_photo"),
        ("encode", png, "encode"),
        ("encode", png, "encode_mask"),
        ("content hash", samples, "content_sha256"),
    ):
        damage = timed(steps, "damage", maker)
        whole = cpu_seconds(lambda: fill(specs, damage, store))
    return steps | {"tar, its hash, disk": whole - sum(steps.values())}


@contextmanager
def timed_parts(steps: dict[str, float], *parts: tuple[str, Any, str]) -> Iterator[None]:
    """While open, functions of modules add their CPU seconds to `steps`: (step, module, name)."""
    with ExitStack() as stack:
        for step, module, name in parts:
            function = timed(steps, step, getattr(module, name))
            stack.enter_context(mock.patch.object(module, name, function))
        yield


def timed(steps: dict[str, float], step: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, its CPU seconds added to `steps[step]`."""

    @functools.wraps(function, updated=())
    def measured(*arguments: Any, **named: Any) -> Any:
        start = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            steps[step] = steps.get(step, 0.0) + time.process_time() - start

    return measured


def show_shares(title: str, steps: dict[str, float]) -> None:
    """Each step's share, and how far all is from encoding alone."""
    whole = sum(steps.values())
    table = Table(title=f"{title}, {whole / steps['encode']:.2f}× the time that encoding takes")
    for step in steps:
        table.add_column(step)
    table.add_row(*(f"{seconds / whole:.0%}" for seconds in steps.values()))
    Console().print(table)


def aged_kernel(project: Project, sizes: Sizes) -> dict:
    """Gray, grain and one overlay of the tile's size, with the mask; no file, no story."""
    side, rng = sizes.kernel_side, seeds.rng(SEED, "kernel")
    photo = project.photos[-1]
    pixels = synthesis.load_photo(project.raw, photo, MEGAPIXELS)
    tiles = [np.ascontiguousarray(_usual.random_tile(pixels, side, rng)) for _ in range(16)]
    families = [_family(name, project) for name in ("grayscale", "grain", "texture")]
    drawn = [family.draw((side, side), rng) for family in families]
    overlay = png.decode(next(project.textures.glob("*.png")).read_bytes())
    drawn[2]["overlays"][0] |= {"side": len(overlay), "mode": "screen"}  # cut, not resized
    amplitude = _usual.random_tile(overlay, side, rng)[:, :, 0] / 255
    luma = np.array([0.299, 0.587, 0.114])

    def ours() -> None:
        for tile in tiles:
            for family, told in zip(families, drawn, strict=True):
                tile, _ = family.apply(tile, told)

    def peer() -> None:
        for tile in tiles:
            sigma = drawn[1]["sigma"]
            _usual.aged_in_float64(tile @ luma, sigma, [(amplitude, "screen")], rng)

    taken = interleaved({"ours": ours, "peer": peer}, 3 * sizes.repeats)
    what = f"gray, grain and one overlay on {side}², MP/s, vs numpy float64"
    rates = {name: len(tiles) * side * side / 1e6 / seconds for name, seconds in taken.items()}
    return row("aged-kernel", what, rates["ours"], rates["peer"], 15)


def _family(name: str, project: Project) -> Corruption:
    """As the recipe `aged` has it, but with one overlay."""
    ranges = project.ranges("aged", name)
    ranges |= {"num_range": (1, 1)} if name == "texture" else {}
    return CORRUPTIONS[name](**ranges).bind(project.textures)


def two_processes(project: Project, sizes: Sizes) -> dict:
    """Wall time of the same shards made by one process and by two, their start included."""
    specs = project.specs(*sizes.processes_tiles, sizes.samples_per_shard)
    count = sum(len(spec.tiles) for spec in specs)
    maker = project.maker("shapes", sizes.processes_tiles[0])
    best: dict[int, float] = {}
    for turn in range(sizes.processes_repeats):
        for number in (1, 2):
            out = project.raw.parent / f"{number}-{turn}" / "shards"
            start = time.perf_counter()
            synthesize(
                "shapes", specs, maker, Store(out, "png"), Processes(number),
                lambda done, total: None,
            )  # fmt: skip
            seconds = time.perf_counter() - start
            best[number] = min(best.get(number, seconds), seconds)
    what = f"shapes {sizes.processes_tiles[0]}², samples/s of wall time, two processes vs one"
    return row("synth-two-processes", what, count / best[2], count / best[1], 1.8, 2.0)
