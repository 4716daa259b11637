"""Where a fold runs: its ends, its uneven line, and the pixels of a tile beside it.

A fold runs from border to border of the photo, or from another fold to a border.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pipeline.corruptions import Array, Drawn
from pipeline.corruptions.canvas import View
from pipeline.corruptions.geometry import compass, right_of
from pipeline.corruptions.layers import FULL
from pipeline.corruptions.outlines import smooth

BEYOND = 0.08  # of the short side: folds are drawn so far past the border
LOOSE = 0.03  # of the short side: nothing but shade lies farther from the ridge
STRAYS = ((0.3, 0.004), (0.05, 0.0012), (0.012, 0.0009))  # wavelengths and spreads, of the side


class Line(NamedTuple):
    """Both ends of a fold (x, y, x, y in photo px), and whether it starts on another."""

    ends: tuple[float, float, float, float]
    joined: bool


class Ridge(NamedTuple):
    """A fold's line in photo pixels, and what changes along it, one value a pixel: how far it
    strays, how strongly it shades, how far it has cracked and how much emulsion is gone."""

    start: Array
    along: Array
    across: Array
    wave: Array
    shade: Array
    cracked: Array
    eaten: Array


class Band(NamedTuple):
    """The tile's pixels near a ridge: their flat index, photo row and column, the place along the
    ridge and the distance from it, positive on its right (px)."""

    pixels: Array
    rows: Array
    columns: Array
    place: Array
    aside: Array


def layout(kind: str, num: int, view: View, rng: np.random.Generator) -> list[Line]:
    """The folds of a photo; its sides and corners take turns."""
    upright, first = bool(rng.integers(2)), int(rng.integers(4))
    if kind == "corner":
        return [_corner((first + number) % 4, view, rng) for number in range(num)]
    if kind == "free":
        return _free(num, view, rng)
    lines = []
    for number in range(num):
        upright = upright != (kind == "quarters")
        halved = kind == "quarters" and number < 2
        middle = 0.5 + rng.normal(size=2) * 0.015
        middle[0 if upright else 1] += 0 if halved else (number + 1) / (num + 1) - 0.5
        angle = math.tau / 4 * upright + rng.normal() * 0.015
        way = np.array([math.cos(angle), math.sin(angle)])
        at = middle * (view.width, view.height)
        lines.append(_line(_exit(at, -way, view), _exit(at, way, view), False))
    return lines


def _free(num: int, view: View, rng: np.random.Generator) -> list[Line]:
    """Anywhere; about half of those after the first start on an earlier one."""
    lines: list[Line] = []
    for _ in range(num):
        at = rng.uniform(0.12, 0.88, 2) * (view.width, view.height)
        way = compass()[int(rng.integers(len(compass())))]
        parent = int(rng.integers(2 * len(lines) + 1))
        if parent < len(lines):
            start, end = np.array(lines[parent].ends).reshape(2, 2)
            at = start + (end - start) * rng.uniform(0.25, 0.75)
            lines.append(_line(at, _exit(at, way, view), True))
        else:
            lines.append(_line(_exit(at, -way, view), _exit(at, way, view), False))
    return lines


def _corner(corner: int, view: View, rng: np.random.Generator) -> Line:
    """A dog-ear: cuts off up to 30 % of the short side along either border."""
    right, low = divmod(corner, 2)
    x, y = view.width * right, view.height * low
    across, down = rng.uniform(0.08, 0.3, 2) * view.side * (1 - 2 * right, 1 - 2 * low)
    return Line((x + 1.1 * across, y - 0.1 * down, x - 0.1 * across, y + 1.1 * down), False)


def _exit(at: Array, way: Array, view: View) -> Array:
    """Where a ray from inside of the photo is a little outside of it."""
    far = [
        ((size if step > 0 else 0) - place) / step
        for place, step, size in zip(at, way, (view.width, view.height), strict=True)
        if abs(step) > 1e-9
    ]
    beyond: Array = at + way * (max(0.0, min(far)) + BEYOND * view.side)
    return beyond


def _line(start: Array, end: Array, joined: bool) -> Line:
    return Line((float(start[0]), float(start[1]), float(end[0]), float(end[1])), joined)


def touches(fold: Drawn, view: View, shape: Sequence[int]) -> bool:
    """Whether the fold's band may reach into the tile."""
    x0, y0, x1, y1 = fold["ends"]
    length, reach = max(1.0, math.hypot(x1 - x0, y1 - y0)), _reach(fold, view)
    right, down = (x1 - x0) / length, (y1 - y0) / length
    xs, ys = (view.left - x0, view.left + shape[1] - x0), (view.top - y0, view.top + shape[0] - y0)
    along = [x * right + y * down for x in xs for y in ys]
    aside = [y * right - x * down for x in xs for y in ys]
    inside = max(along) >= 0 and min(along) <= length
    return bool(inside and max(aside) >= -reach and min(aside) <= reach)


def _reach(fold: Drawn, view: View) -> float:
    """How far from its line a fold may change anything, px."""
    return max(float(fold["flank"]), LOOSE * view.side) + 0.02 * view.side + 2


def ridge_of(fold: Drawn, view: View, generator: np.random.Generator) -> Ridge:
    """A fold's line and wear, from its story and its field's generator."""
    x0, y0, x1, y1 = fold["ends"]
    length = max(1.0, math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0)))
    along = np.array([(x1 - x0) / length, (y1 - y0) / length])
    count, worn = math.ceil(length) + 2, fold["worn"]
    uneven = min(1, 3 * worn)

    def meander(share: float) -> Array:
        return _meander(count, share * view.side, generator)

    stray = sum(spread * meander(wavelength) for wavelength, spread in STRAYS)
    joint = np.minimum(1, np.arange(count) / (0.02 * view.side)) if fold["joined"] else 1.0
    return Ridge(
        np.array([x0, y0]),
        along,
        right_of(along),
        np.clip(stray, -0.02, 0.02) * view.side * joint,
        joint * np.clip(0.8 + 0.3 * meander(0.15), 0.35, 1.2) * worn,
        np.clip(1.3 * worn - 0.1 + 0.5 * uneven * meander(0.04), 0, 1.2),
        np.clip(1.5 * worn - 0.45 + 0.4 * uneven * meander(0.2), 0, 1.1),
    )


def _meander(count: int, wavelength: float, generator: np.random.Generator) -> Array:
    """Uneven straight pieces of unit spread along a fold, one value a pixel."""
    knots = max(2, math.ceil(count / max(1.0, wavelength))) + 1
    values = smooth(1, knots, 1, generator)[0]
    return np.asarray(np.interp(np.arange(count) * (knots - 1) / count, np.arange(knots), values))


def band_of(fold: Drawn, ridge: Ridge, view: View, extent: tuple[int, ...]) -> Band:
    """Of a tile of `extent` (height, width)."""
    reach = _reach(fold, view) * ridge.across
    end = ridge.start + ridge.along * (len(ridge.wave) - 2)
    corners = np.array([ridge.start + reach, end + reach, end - reach, ridge.start - reach])
    inside = np.zeros(extent, np.uint8)
    whole = np.rint(corners - np.array([view.left, view.top])).astype(np.int32)
    cv2.fillConvexPoly(inside, whole, FULL)
    index = np.flatnonzero(inside)
    rows, columns = np.divmod(index, extent[1])
    rows, columns = rows + view.top, columns + view.left
    right = columns.astype(np.float32) - np.float32(ridge.start[0])
    down = rows.astype(np.float32) - np.float32(ridge.start[1])
    x, y = ridge.along.astype(np.float32)
    place = np.clip((right * x + down * y).astype(np.int32), 0, len(ridge.wave) - 1)
    return Band(index, rows, columns, place, down * x - right * y - at(ridge.wave, place))


def at(values: Array, place: Array) -> Array:
    """What changes along a ridge, at each pixel's place (float32)."""
    return np.asarray(values.astype(np.float32)[place])
