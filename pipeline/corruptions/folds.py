"""Folds: a ridge with a bright and a dark flank, and cracked emulsion that shows white paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

import cv2
import numpy as np
from pydantic import Field, field_validator

from pipeline.config import Count, Share, Size, ordered
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn
from pipeline.corruptions.curves import (
    FULL,
    TURN,
    Ink,
    View,
    compass,
    draw_strokes,
    heavy,
    lay,
    noise_at,
    put,
    smooth,
    soften,
    warm_white,
)
from pipeline.seeds import field, seed_of

Kind = Literal["parallel", "quarters", "corner", "free"]
Ends = tuple[float, float, float, float]
DARKEST, BRIGHTEST = 0.75, 0.6  # opacity beside the ridge of the most worn fold
WHITE, BLACK, CUT_EDGE = (255, 255, 255), (0, 0, 0), (20, 16, 10)
BEYOND = 1.17  # a fold from border to border is drawn a little longer
LOOSE = 0.03  # of the short side: nothing but shade lies farther from the ridge
SPUR_PIECES = 8


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


@CORRUPTIONS.add
class Folds(Corruption):
    """`num_range`: folds on the whole photo; `flank_range`: how far the paper beside a fold stands
    up, as a share of the short side; `worn_range`: how much: from a soft shade (0.1) to a ridge
    whose emulsion has flaked off (1).

    `kinds`, one of them for a photo: "parallel" (folded in half, or as a letter), "quarters"
    (crossing at about right angles), "corner" (dog-ears), "free" (creases anywhere, which may end
    inside the photo).
    """

    extent = "local"
    num_range: tuple[Count, Count]
    flank_range: tuple[Size, Size]
    worn_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    _ordered = field_validator("num_range", "flank_range", "worn_range")(ordered)

    @classmethod
    def at(cls, severity: float) -> Self:
        """More worn folds."""
        return cls(
            num_range=(2, 2),
            flank_range=(0.01, 0.05),
            worn_range=(severity, severity),
            kinds=("parallel", "quarters", "corner", "free"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """The folds' ends in photo pixels; only those near the tile are told."""
        told = View.draw(shape, rng)
        view = View.of(told)
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        num = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        worn, flank = rng.uniform(*self.worn_range), rng.uniform(*self.flank_range)
        folds = []
        for ends in _layout(kind, num, view, rng):
            fold = {
                "ends": [round(float(value), 1) for value in ends],
                "flank": round(float(flank) * view.side, 1),
                "worn": round(float(worn), 3),
                "lit": int(rng.integers(2)),
                "seed": seed_of(rng),
            }
            if _touches(fold, view, shape):
                folds.append(fold)
        return {**told, "kind": kind, "folds": folds, "paper": warm_white(rng)}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Shade the flanks, then lay flakes and cracks; the mask is where one covers 2 %."""
        out, mask = tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        view = View.of(drawn)
        folds = [fold for fold in drawn["folds"] if fold["worn"] > 0]
        if not folds:
            return out, mask
        canvas = view.canvas(tile)
        for fold in folds:
            generator = field(fold["seed"])
            ridge = _ridge(fold, view, generator)
            phases = generator.integers(0, 1 << 14, 3)
            band = _band(fold, ridge, view, mask.shape)
            _shade(out, mask, fold, ridge, band, view.side)
            _flake(out, mask, ridge, band, view.side, phases, drawn["paper"])
            _draw_spurs(canvas, view, fold["worn"], ridge, generator)
        ink = Ink(drawn["paper"], 0.4, max(1, round(view.side / 500)), 0)
        lay(out, mask, soften(canvas, view.side / 2500), view, ink)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """How worn the worst fold near the tile is."""
        return max((float(fold["worn"]) for fold in drawn["folds"]), default=0.0)


def _layout(kind: str, num: int, view: View, rng: np.random.Generator) -> list[Ends]:
    """Both ends (x, y, x, y) of each fold; the photo's sides and corners take turns."""
    upright, first = bool(rng.integers(2)), int(rng.integers(4))
    if kind == "corner":
        return [_corner((first + number) % 4, view, rng) for number in range(num)]
    ends = []
    for number in range(num):
        middle, angle, reach = rng.random(2), rng.uniform(0, math.tau), rng.uniform(0.15, 0.8)
        reach *= view.side
        if kind != "free":
            upright = upright != (kind == "quarters")
            halved = kind == "quarters" and number < 2
            middle = 0.5 + rng.normal(size=2) * 0.015
            middle[0 if upright else 1] += 0 if halved else (number + 1) / (num + 1) - 0.5
            angle = math.tau / 4 * upright + rng.normal() * 0.015
            reach = BEYOND * (view.height if upright else view.width) / 2
        x, y = middle * (view.width, view.height)
        right, down = math.cos(angle) * reach, math.sin(angle) * reach
        ends.append((x - right, y - down, x + right, y + down))
    return ends


def _corner(corner: int, view: View, rng: np.random.Generator) -> Ends:
    """A dog-ear: cuts off up to 30 % of the short side along either border."""
    right, low = divmod(corner, 2)
    x, y = view.width * right, view.height * low
    across, down = rng.uniform(0.08, 0.3, 2) * view.side * (1 - 2 * right, 1 - 2 * low)
    return x + 1.1 * across, y - 0.1 * down, x - 0.1 * across, y + 1.1 * down


def _touches(fold: Drawn, view: View, shape: Sequence[int]) -> bool:
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


def _ridge(fold: Drawn, view: View, generator: np.random.Generator) -> Ridge:
    x0, y0, x1, y1 = fold["ends"]
    length = max(1.0, math.sqrt((x1 - x0) * (x1 - x0) + (y1 - y0) * (y1 - y0)))
    along = np.array([(x1 - x0) / length, (y1 - y0) / length])
    count, worn = math.ceil(length) + 2, fold["worn"]
    place = np.arange(count) / count
    ends = np.minimum(1, 14 * place * (1 - place))
    uneven = min(1, 3 * worn)

    def meander(share: float) -> Array:
        return _meander(count, share * view.side, generator)

    stray = 0.004 * meander(0.3) + 0.0012 * meander(0.05) + 0.0005 * meander(0.012)
    return Ridge(
        np.array([x0, y0]),
        along,
        along[::-1] * np.array([-1, 1]),
        np.clip(stray, -0.02, 0.02) * view.side,
        ends * np.clip(0.8 + 0.3 * meander(0.15), 0.35, 1.2) * worn,
        ends * np.clip(1.3 * worn - 0.1 + 0.5 * uneven * meander(0.04), 0, 1.2),
        ends * np.clip(1.5 * worn - 0.45 + 0.4 * uneven * meander(0.2), 0, 1.1),
    )


def _meander(count: int, wavelength: float, generator: np.random.Generator) -> Array:
    """Smooth noise of unit spread along a fold, one value a pixel."""
    knots = max(2, math.ceil(count / max(1.0, wavelength))) + 1
    values = smooth(1, knots, 1, generator)[0]
    return np.asarray(np.interp(np.arange(count) * (knots - 1) / count, np.arange(knots), values))


def _band(fold: Drawn, ridge: Ridge, view: View, extent: tuple[int, ...]) -> Band:
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
    return Band(index, rows, columns, place, down * x - right * y - _at(ridge.wave, place))


def _at(values: Array, place: Array) -> Array:
    return np.asarray(values.astype(np.float32)[place])


def _shade(
    out: Array, mask: Array, fold: Drawn, ridge: Ridge, band: Band, side: int
) -> None:  # fmt: skip
    """One flank lit, one in the shade: most beside the ridge, nothing at the flank's end."""
    far = np.abs(band.aside)
    wide = np.maximum(0, 1 - far * np.float32(1 / max(2.0, fold["flank"])))
    narrow = np.maximum(0, 1 - far * np.float32(1 / max(1.5, 0.004 * side)))
    shade = (np.float32(1.3) * wide * wide + np.float32(0.7) * narrow * narrow) * _at(
        ridge.shade * FULL / 2, band.place
    )
    lit = (band.aside > 0) == bool(fold["lit"])
    for sort, color, most in ((~lit, BLACK, DARKEST), (lit, WHITE, BRIGHTEST)):
        put(out, mask, band.pixels[sort], (shade[sort] * np.float32(most)).astype(np.uint8), color)


def _flake(
    out: Array, mask: Array, ridge: Ridge, band: Band, side: int, phases: Array,
    paper: Sequence[int],
) -> None:  # fmt: skip
    """White paper: in a ragged crack along the ridge, and in islands that are dense beside it."""
    loose = np.flatnonzero(np.abs(band.aside) < LOOSE * side + 2)
    index, place, far = band.pixels[loose], band.place[loose], np.abs(band.aside[loose])
    cell = max(1, round(side / 400))
    fine, middle, coarse = (
        noise_at(scale * cell, band.rows[loose] + phase, band.columns[loose]).astype(np.float32)
        for scale, phase in zip((1, 4, 10), phases.tolist(), strict=True)
    )
    core = _at(ridge.cracked * side * (0.0018 / FULL), place) * (fine + middle)
    crack = (core - far + np.float32(0.3)) * np.minimum(1, core) * FULL
    eaten = _at(ridge.eaten, place)
    width = eaten * eaten * np.float32(0.025 * side) + np.float32(0.004 * side)
    closeness = np.maximum(0, 1 - far / width)
    ground = np.float32(0.35) * (coarse + middle) + np.float32(0.3) * fine
    bare = (ground - FULL + closeness * eaten * 155) * 9
    edge = np.clip((110 + bare) * np.minimum(1, 2 * closeness), 0, 60)
    put(out, mask, index, edge.astype(np.uint8), CUT_EDGE)
    white = np.clip(np.maximum(crack, bare), 0, FULL - 0.12 * fine)
    put(out, mask, index, white.astype(np.uint8), paper)


def _draw_spurs(
    canvas: Array, view: View, worn: float, ridge: Ridge, generator: np.random.Generator
) -> None:
    """Thin jagged cracks that leave the ridge and soon end."""
    count = int(60 * worn * worn * len(ridge.wave) / view.side)
    root = generator.integers(0, len(ridge.wave), count)
    starts = ridge.start + ridge.along * root[:, None] + ridge.across * ridge.wave[root][:, None]
    toward = compass()[generator.integers(0, TURN, count)][:, None]
    lengths = (0.01 * view.side * heavy(count, generator, 10))[:, None, None]
    place = (np.arange(SPUR_PIECES + 1) / SPUR_PIECES)[:, None]
    jagged = 0.06 * smooth(count, SPUR_PIECES + 1, 1, generator)[:, :, None] * (place > 0)
    aside = toward[:, :, ::-1] * np.array([-1, 1])
    points = starts[:, None] + (toward * place + aside * jagged) * lengths
    widths = (0.0012 * view.side * ridge.cracked[root])[:, None] * (1.2 - place[1:, 0])
    draw_strokes(canvas, view.fixed(points), widths, np.full(widths.shape, 240.0))
