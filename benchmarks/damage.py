"""Every damage family: megapixels a CPU second, drawing included, at severity 0.5 on color tiles.

`python -m benchmarks damage --augraphy` sets up Augraphy in an environment of its own; where that
stands, the families that it also has are measured beside it.
"""

import statistics
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks._augraphy import COUNTERPARTS, Augraphy, install, is_installed
from benchmarks._project import MEGAPIXELS, SEED, Project, make_project
from benchmarks._timing import ONE_THREAD, cpu_seconds, one_thread, row
from benchmarks._usual import random_tile
from pipeline import seeds
from pipeline.corruptions import CORRUPTIONS, Corruption
from pipeline.splits import load_photo

LEAST, FLOOR = 20.0, 50.0  # MP/s; times Augraphy
SEVERITY = 0.5
LIKE: dict[str, dict[str, Any]] = {"grain": {"kinds": ("gaussian",)}, "jpeg": {"kinds": ("jpeg",)}}
Array = np.ndarray


class Sizes(NamedTuple):
    """How much is measured: tiles of `side` px."""

    side: int = 512
    tiles: int = 12
    repeats: int = 5
    overlays: tuple[int, int] = (14, 512)


def main(*options: str, sizes: Sizes = Sizes()) -> list[dict]:
    """All rows; those beside Augraphy where it is installed."""
    one_thread()
    if "--augraphy" in options and not is_installed() and (reason := install()):
        print(f"damage: Augraphy cannot be installed: {reason}")
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), *sizes.overlays)
        tiles = color_tiles(project, sizes)
        rows = [alone(name, project, tiles, sizes) for name in CORRUPTIONS.names()]
        if not is_installed():
            print("damage: skipped Augraphy, which is not installed; set it up with --augraphy")
            return rows
        np.save(Path(folder) / "tiles.npy", tiles)
        with Augraphy(Path(folder) / "tiles.npy", ONE_THREAD) as peer:
            return rows + [beside(peer, name, project, tiles, sizes) for name in COUNTERPARTS]


def color_tiles(project: Project, sizes: Sizes) -> Array:
    """uint8 tiles×side×side×3."""
    photos = [photo for photo in project.photos if not photo.gray]
    rng = seeds.rng(SEED, "tiles")
    pixels = [load_photo(project.raw, photo, MEGAPIXELS) for photo in photos]
    tiles = [random_tile(pixels[n % len(pixels)], sizes.side, rng) for n in range(sizes.tiles)]
    return np.array(tiles)


def alone(name: str, project: Project, tiles: Array, sizes: Sizes) -> dict:
    """A family's rate against the least that is asked of it."""
    family = CORRUPTIONS[name].at(SEVERITY).bind(project.textures)
    times = [cpu_seconds(lambda: damage(family, tiles)) for _ in range(sizes.repeats)]
    rate = megapixels(tiles) / statistics.median(times)
    return row(f"damage-{name}", f"{name}, MP/s; peer: the least asked for", rate, LEAST, 1)


def beside(peer: Augraphy, name: str, project: Project, tiles: Array, sizes: Sizes) -> dict:
    """A family and its counterpart in turns, after one turn that compiles Augraphy's loops."""
    ranges = CORRUPTIONS[name].at(SEVERITY).model_dump() | LIKE.get(name, {})
    family = CORRUPTIONS[name](**ranges).bind(project.textures)
    peer.seconds(name)
    ours, theirs = [], []
    for _ in range(sizes.repeats):
        ours.append(cpu_seconds(lambda: damage(family, tiles)))
        theirs.append(peer.seconds(name))
    rates = [megapixels(tiles) / statistics.median(times) for times in (ours, theirs)]
    counterpart, arguments = COUNTERPARTS[name]
    told = ", ".join(f"{key}={value}" for key, value in arguments.items())
    what = f"{name}, MP/s, vs Augraphy's {counterpart}({told})"
    return row(f"augraphy-{name}", what, rates[0], rates[1], FLOOR)


def damage(family: Corruption, tiles: Array) -> None:
    """Draw and apply on each tile, as a photo of its own."""
    for number, tile in enumerate(tiles):
        drawn = family.draw(tile.shape[:2], seeds.rng(SEED, "damage", number))
        family.apply(tile, drawn)


def megapixels(tiles: Array) -> float:
    """Of all tiles."""
    return tiles.shape[0] * tiles.shape[1] * tiles.shape[2] / 1e6
