"""Cracks that grow: start, wander, branch, and end where they meet another.

Lengths are in steps; there are `STEPS` of them to the usual distance between two cracks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.corruptions import layers, outlines

Array = np.ndarray
Pieces = dict[int, list[tuple[int, int]]]
STEPS = 4  # of a crack's growth per `spacing`
AGE = 48  # steps after which all growth ends
RHYTHM = 2  # steps from one round of branching to the next
BRANCH = 0.14  # chance of a branch at each round
NUCLEI = 0.12  # cracks that start by themselves in `spacing`², three times
TURN = 22  # of 1024 directions: how far a crack may wander at each step
FULL = outlines.DIRECTIONS - 1
REACH = 4  # steps that a branch looks ahead for room, and more
MARGIN = 2 * STEPS  # steps that cracks may start outside of the tile


class Tips(NamedTuple):
    """Ends that grow: where (x, y in steps), which way, of which crack (from 1 on), and how many
    branchings deep."""

    at: Array
    heading: Array
    crack: Array
    depth: Array

    def where(self, chosen: Array) -> Tips:
        """Some of them."""
        return Tips(*(values[chosen] for values in self))

    def and_also(self, others: Tips) -> Tips:
        """Both."""
        return Tips(*(np.concatenate(pair) for pair in zip(self, others, strict=True)))


def network(
    extent: Sequence[float], center: Array, radius: float, along: int, rng: np.random.Generator
) -> tuple[Array, Pieces]:
    """All cracks of a patch, as far as they lie in a tile of `extent` (height, width): points
    (x, y), and by depth of branching the half-open ranges of them that make a line each.

    Cracks start along the grain (a direction of the compass) or across it.
    """
    grid = [math.ceil(length) + 2 * MARGIN for length in extent]
    ground, inside = _ground(grid, center + MARGIN, radius, rng)
    at, ends = _grow(ground, inside, along, rng)
    return _halved(at, rng) - MARGIN, _pieces(ends)


def _ground(
    grid: list[int], center: Array, radius: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Where cracks may grow, a cell a step (0 free; -1 ends them, as 40 % of the cells do that lie
    outside of the patch, a ragged disk, and all at the border), and where they may start."""
    y, x = np.ogrid[: grid[0], : grid[1]]
    noise = layers.cloud(grid, 2.5 * STEPS, rng).astype(np.float64) / 255
    outside = (x - center[0]) ** 2 + (y - center[1]) ** 2 > (radius * (0.7 + 0.5 * noise)) ** 2
    ground = np.where(outside & (rng.random(grid) < 0.4), -1, 0)
    ground[:REACH] = ground[-REACH:] = ground[:, :REACH] = ground[:, -REACH:] = -1
    return ground, ~outside


def _grow(
    ground: Array, inside: Array, along: int, rng: np.random.Generator
) -> tuple[Array, list[tuple[int, int, bool]]]:
    """Grow all cracks at once, marking the ground. Points (x, y in steps) crack by crack, and of
    each how many, how deep, and whether it met another."""
    flat, width = ground.reshape(-1), ground.shape[1]
    tips = Tips(np.zeros((0, 2)), *(np.zeros(0, np.int64) for _ in range(3)))
    crack, at, ended = [tips.crack], [tips.at], [tips.crack]
    depths: list[int] = []
    for step in range(AGE):
        if step % RHYTHM == 0:
            born = _branches(tips, flat, width, len(depths), rng)
            if step in (0, AGE // 6, AGE // 3):
                num = len(depths) + len(born.crack)
                born = born.and_also(_nuclei(inside & (ground == 0), along, num, rng))
            depths += born.depth.tolist()
            crack.append(born.crack)
            at.append(born.at)
            tips = tips.and_also(born)
        heading = (tips.heading + rng.integers(-TURN, TURN + 1, len(tips.heading))) & FULL
        tips = tips._replace(heading=heading, at=tips.at + outlines.compass()[heading])
        crack.append(tips.crack)
        at.append(tips.at)
        cells = _cells(tips.at, width)
        seen = flat[cells]
        flat[cells] = tips.crack
        ended.append(tips.crack[(seen > 0) & (seen != tips.crack)])
        tips = tips.where((seen == 0) | (seen == tips.crack))
    return _gathered(np.concatenate(crack), np.concatenate(at), np.concatenate(ended), depths)


def _gathered(
    crack: Array, at: Array, ended: Array, depths: list[int]
) -> tuple[Array, list[tuple[int, int, bool]]]:
    """Points that were put down step by step, crack by crack."""
    order = np.argsort(crack, kind="stable")
    counts = np.bincount(crack, minlength=len(depths) + 1)[1:].tolist()
    met = (np.bincount(ended, minlength=len(depths) + 1)[1:] > 0).tolist()
    return at[order], list(zip(counts, depths, met, strict=True))


def _cells(at: Array, width: int) -> Array:
    """Which cell of the ground a point lies in."""
    rows_columns = at.astype(np.int64)
    return rows_columns[:, 1] * width + rows_columns[:, 0]


def _branches(tips: Tips, flat: Array, width: int, num: int, rng: np.random.Generator) -> Tips:
    """New cracks at about right angles to a few of the old, where there is room ahead."""
    parents = tips.where(rng.random(len(tips.crack)) < BRANCH)
    side = rng.integers(0, 2, len(parents.crack)) * 512 - 256
    heading = (parents.heading + side + rng.integers(-40, 41, len(side))) & FULL
    ahead = parents.at + (REACH - 1) * outlines.compass()[heading]
    born = parents._replace(heading=heading, depth=parents.depth + 1)
    born = born.where(flat[_cells(ahead, width)] <= 0)
    return born._replace(crack=num + 1 + np.arange(len(born.crack)))


def _nuclei(free: Array, along: int, num: int, rng: np.random.Generator) -> Tips:
    """Cracks that start by themselves on free ground and run both ways."""
    places = np.argwhere(free)[:, ::-1]
    num_new = math.ceil(NUCLEI * len(places) / STEPS**2)
    at = places[rng.integers(0, max(1, len(places)), num_new)] + 0.5
    heading = along + rng.integers(-90, 91, len(at)) + 256 * rng.integers(0, 4, len(at)) & FULL
    both = np.concatenate([heading, heading ^ 512])
    crack = num + 1 + np.arange(2 * len(at))
    return Tips(np.concatenate([at, at]), both, crack, np.zeros(2 * len(at), np.int64))


def _halved(at: Array, rng: np.random.Generator) -> Array:
    """With a jittered point in the middle of each step: the points at even places are the old."""
    finer = np.repeat(at, 2, axis=0)
    finer[1:-1:2] += (at[1:] - at[:-1]) / 2 + rng.uniform(-0.2, 0.2, (max(0, len(at) - 1), 2))
    return finer


def _pieces(ends: list[tuple[int, int, bool]]) -> Pieces:
    """Half-open ranges of the halved points by depth; the last third of a crack that ends free
    counts as one deeper."""
    pieces: Pieces = {}
    start = 0
    for count, depth, met in ends:
        middle, end = (start + count if met else start + count * 2 // 3), start + count
        if middle - start > 1:
            pieces.setdefault(depth, []).append((2 * start, 2 * middle - 1))
        if end > middle:
            pieces.setdefault(depth + 1, []).append((2 * max(start, middle - 1), 2 * end - 1))
        start = end
    return pieces
