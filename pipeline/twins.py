"""Near-duplicates: which photos show one picture, saved anew, shrunk, brightened, trimmed, turned.

A photo's look is its 32×32 gray. Its hash is 63 bits: which of the lowest cosine coefficients are
above their median (pHash: Zauner, "Implementation and Benchmarking of Perceptual Image Hash
Functions", 2010). Two photos are twins if, under one of the square's 8 symmetries, their hashes
differ in at most 12 bits and their smoothed looks correlate to at least 0.9, whole or trimmed by
3 % a side; or in 14 bits, and their looks to 0.97: twins that lost a little at each side.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from pipeline.images import Array, resize, to_gray

SIDE = 32  # px of a look
LOW = 8  # frequencies a direction
# Bits of 63, and the correlation that so many ask for. Medians make distances even.
NEAR, ALIKE = 12, 0.9
MAX_DISTANCE, VERY_ALIKE = 14, 0.97
WORTH_TRIMMING = 0.5  # correlations of whole looks below it belong to strangers
ROWS, COLUMNS = 16, 4096  # hashes compared at once: the columns fill half a first-level cache
AT_ONCE = 4096  # looks hashed, and pairs correlated, at once

# The lowest cosines of 32 samples as whole numbers; which of them change sign in a mirror.
WAVES = np.rint(4096 * np.cos(np.outer(np.arange(LOW), np.arange(1, 2 * SIDE, 2)) * np.pi / 64))
# What a pixel takes of 30 when these become 32, in 32ths: linear interpolation, in whole numbers.
_PLACES = (2 * np.arange(SIDE) + 1) * (SIDE - 2) / (2 * SIDE) - 0.5
TRIMMED = SIDE * np.clip(1 - np.abs(_PLACES.clip(0, SIDE - 3)[:, None] - np.arange(SIDE - 2)), 0, 1)
MIDDLE = (LOW * LOW - 1) // 2
ODD = np.arange(LOW) % 2 == 1
WEIGHTS = np.uint64(1) << np.arange(LOW * LOW - 1, dtype=np.uint64)

# Applied to the second photo: whether it is transposed, then the sign of its odd frequencies down
# and across (-1 mirrors it in that direction).
SYMMETRIES = {
    "as it is": (False, 1, 1),
    "mirrored": (False, 1, -1),
    "upside down mirrored": (False, -1, 1),
    "turned by 180°": (False, -1, -1),
    "transposed": (True, 1, 1),
    "turned right": (True, 1, -1),
    "turned left": (True, -1, 1),
    "transposed the other way": (True, -1, -1),
}
NAMES = tuple(SYMMETRIES)


class Twin(NamedTuple):
    """Two photos by their places, how alike they are, and what turns `second` into `first`."""

    first: int
    second: int
    distance: int
    correlation: float
    symmetry: str


def look_of(pixels: Array) -> Array:
    """The 32×32 uint8 gray of a uint8 H×W×3 picture, stretched to a square."""
    return to_gray(resize(pixels, SIDE, SIDE))[:, :, 0]


def hashes_of(looks: Array) -> Array:
    """uint64 N×8 of uint8 N×32×32: the 63-bit hash under each symmetry.

    Sums of whole numbers below 2**53 in float64, hence the same on every processor.
    """
    found = np.zeros((len(looks), len(SYMMETRIES)), np.uint64)
    for start in range(0, len(looks), AT_ONCE):
        part = looks[start : start + AT_ONCE].astype(np.float64)
        coefficients = WAVES @ part @ WAVES.T
        for place, (transposed, down, across) in enumerate(SYMMETRIES.values()):
            turned = coefficients.swapaxes(1, 2) if transposed else coefficients
            signs = np.where(ODD, down, 1)[:, None] * np.where(ODD, across, 1)
            waves = (turned * signs).reshape(len(part), -1)[:, 1:]  # all but the mean
            middle = np.partition(waves, MIDDLE, axis=1)[:, MIDDLE : MIDDLE + 1]
            found[start : start + AT_ONCE, place] = (waves > middle) @ WEIGHTS
    return found


def find_twins(looks: Array) -> Array:
    """int32 M×2: every pair of twins among uint8 N×32×32, the smaller place first, sorted.

    Takes N² / 2 × 8 comparisons of 63 bits. Pictures of one flat color have no twins.
    """
    keys, fresh, number = np.empty(0, np.int64), [np.empty(0, np.int64)], 0
    for firsts, seconds in _search(looks, lambda firsts, seconds: slice(None)):
        fresh.append(firsts * len(looks) + seconds)
        number += len(firsts)
        if number > AT_ONCE + len(keys):  # pairs that several symmetries fit come again
            keys, fresh, number = np.union1d(keys, np.concatenate(fresh)), fresh[:1], 0
    keys = np.union1d(keys, np.concatenate(fresh))
    return np.stack(np.divmod(keys, max(1, len(looks))), axis=1).astype(np.int32)


def link_twins(looks: Array) -> Array:
    """int32 M×2 of fewer pairs than looks: a forest of twins that links whom `find_twins` links.

    Pairs whose two are linked already are not looked at, so that N look-alikes cost N and not N².
    """
    labels = np.arange(len(looks))  # of two groups, the smaller takes the other's
    groups: dict[int, list[int]] = {}
    links = []
    for firsts, seconds in _search(looks, lambda *pairs: labels[pairs[0]] != labels[pairs[1]]):
        for one, other in zip(firsts.tolist(), seconds.tolist(), strict=True):
            kept, lost = int(labels[one]), int(labels[other])
            if kept == lost:
                continue
            links.append((one, other))
            members = [groups.pop(label, [label]) for label in (kept, lost)]
            if len(members[0]) < len(members[1]):
                kept, members = lost, members[::-1]
            labels[members[1]] = kept
            members[0].extend(members[1])
            groups[kept] = members[0]
    return np.array(sorted(links), np.int32).reshape(-1, 2)


def _search(
    looks: Array, wanted: Callable[[Array, Array], Array | slice]
) -> Iterator[tuple[Array, Array]]:
    """Places (first < second) of twins, a few thousand at a time, under one symmetry after the
    other; of pairs with near hashes only those that are `wanted` are correlated."""
    looks = np.asarray(looks, np.uint8).reshape(-1, SIDE, SIDE)
    shown = np.flatnonzero(np.ptp(looks.reshape(len(looks), SIDE * SIDE), axis=1))
    hashes = hashes_of(looks)
    for nears, others, place in near_pairs(hashes[shown]):
        for start in range(0, len(nears), AT_ONCE):
            firsts, seconds = (shown[a[start : start + AT_ONCE]] for a in (nears, others))
            chosen = wanted(firsts, seconds)
            firsts, seconds = firsts[chosen], seconds[chosen]
            if not len(firsts):
                continue
            confirmed = _are_alike(looks, hashes, firsts, seconds, place)
            yield firsts[confirmed], seconds[confirmed]


def compare(first: Array, second: Array) -> Twin:
    """How alike two looks are under the symmetry that suits them best, twins or not."""
    looks = np.stack([first, second])
    hashes = hashes_of(looks)
    distances = np.bitwise_count(hashes[0, 0] ^ hashes[1])
    alike = [_correlations(first[None], _turned(second[None], place))[0] for place in range(8)]
    found = [Twin(0, 1, int(distances[p]), float(alike[p]), NAMES[p]) for p in range(8)]
    return max(found, key=lambda twin: (are_twins(twin), twin.correlation))


def are_twins(twin: Twin) -> bool:
    """Do both numbers pass?"""
    if twin.distance <= NEAR:
        return twin.correlation >= ALIKE
    return twin.distance <= MAX_DISTANCE and twin.correlation >= VERY_ALIKE


def near_pairs(hashes: Array) -> Iterator[tuple[Array, Array, int]]:
    """Places (first < second) whose hashes (uint64 N×8) are near, and the symmetry's number.

    By brute force: with 63 bits and 14 differences, tables of parts of the hash find too much.
    """
    first = np.ascontiguousarray(hashes[:, :1])
    for place in range(len(SYMMETRIES)):
        waiting, number = [], 0
        for pair in _near_blocks(first, np.ascontiguousarray(hashes[:, place])):
            waiting.append(pair)
            number += len(pair[0])
            if number >= AT_ONCE:
                yield *np.concatenate(waiting, axis=1), place
                waiting, number = [], 0
        if waiting:
            yield *np.concatenate(waiting, axis=1), place


def _near_blocks(rows: Array, columns: Array) -> Iterator[tuple[Array, Array]]:
    """Near ones among uint64 N×1 and N, block after block."""
    differing = np.empty((ROWS, COLUMNS), np.uint64)
    distances = np.empty((ROWS, COLUMNS), np.uint8)
    for left in range(0, len(columns), COLUMNS):
        across = columns[left : left + COLUMNS]
        for top in range(0, min(left + COLUMNS, len(columns)), ROWS):
            down = rows[top : top + ROWS]
            bits = differing[: len(down), : len(across)]
            count = distances[: len(down), : len(across)]
            np.bitwise_xor(down, across, out=bits)
            np.bitwise_count(bits, out=count)
            if count.min() <= MAX_DISTANCE:
                firsts, seconds = np.divmod(np.flatnonzero(count <= MAX_DISTANCE), len(across))
                ordered = firsts + top < seconds + left
                if ordered.any():
                    yield firsts[ordered] + top, seconds[ordered] + left


def _are_alike(looks: Array, hashes: Array, firsts: Array, seconds: Array, place: int) -> Array:
    """Which of the pairs are twins under a symmetry."""
    distances = np.bitwise_count(hashes[firsts, 0] ^ hashes[seconds, place])
    found = _correlations(looks[firsts], _turned(looks[seconds], place))
    return np.asarray(found >= np.where(distances <= NEAR, ALIKE, VERY_ALIKE))


def _turned(looks: Array, place: int) -> Array:
    """N×32×32 looks under a symmetry."""
    transposed, down, across = SYMMETRIES[NAMES[place]]
    turned = looks.swapaxes(1, 2) if transposed else looks
    return turned[:, ::down, ::across]


def _correlations(firsts: Array, seconds: Array) -> Array:
    """Pearson's r of each pair, the best of: both whole, either one trimmed; 0 for flat ones."""
    one, other = _smooth(firsts), _smooth(seconds)
    found = _pearson(one, other)
    open_yet = np.flatnonzero((found >= WORTH_TRIMMING) & (found < VERY_ALIKE))
    if len(open_yet):
        one, other = one[open_yet], other[open_yet]
        for pair in (
            (_smooth(_trim(firsts[open_yet])), other),
            (one, _smooth(_trim(seconds[open_yet]))),
        ):
            found[open_yet] = np.maximum(found[open_yet], _pearson(*pair))
    return found


def _smooth(looks: Array) -> Array:
    """Sums of 3×3 px, reflected at the borders, so that half a pixel's shift matters little."""
    wide = np.pad(looks.astype(np.int16), ((0, 0), (1, 1), (1, 1)), mode="reflect")
    tall = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
    return np.asarray(tall[:, :, :-2] + tall[:, :, 1:-1] + tall[:, :, 2:])


def _trim(looks: Array) -> Array:
    """N×32×32 looks without their outermost pixels, at the old size."""
    weighted = TRIMMED @ looks[:, 1:-1, 1:-1].astype(np.float64) @ TRIMMED.T
    return np.asarray(np.floor(weighted / SIDE**2 + 0.5), np.int16)


def _pearson(firsts: Array, seconds: Array) -> Array:
    """Of N×32×32 each. Whole numbers below 2**53 up to the last division: the same anywhere."""
    one, other = (a.reshape(len(a), -1).astype(np.float64) for a in (firsts, seconds))
    size = one.shape[1]
    product = size * np.einsum("nk,nk->n", one, other) - one.sum(1) * other.sum(1)
    spread = [size * np.einsum("nk,nk->n", a, a) - a.sum(1) ** 2 for a in (one, other)]
    root = np.sqrt(spread[0] * spread[1])
    return np.asarray(np.divide(product, root, out=np.zeros(len(one)), where=root > 0))
