"""Water rings, foxing, blotches and fingerprints: stains that let the photo through."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn, Place, Window
from pipeline.corruptions.base import about, one_of, share_in, size_in
from pipeline.corruptions.geometry import Box, clipped, inside
from pipeline.corruptions.layers import FAINT
from pipeline.corruptions.scattered import Scattered
from pipeline.corruptions.surfaces import bumps, curve, enlarge, fractal, grid_of, ridges
from pipeline.seeds import field, seed_of

Kind = Literal["ring", "foxing", "blotch", "fingerprint"]
WORST = 6  # stains of full strength, each `TYPICAL` of the tile's side long, make severity 1
TYPICAL = 0.3
RIDGES = 17  # in half a fingerprint's box: a print is some 1.5 cm wide, a ridge 0.45 mm
LUMA = np.array([77, 150, 29])  # BT.601, of 256

# What white and what black become under a full stain, RGB; one pair is drawn.
TINTS: dict[str, tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...]] = {
    "ring": (
        ((152, 108, 58), (20, 12, 5)),
        ((134, 120, 102), (18, 16, 13)),
        ((196, 158, 104), (26, 18, 9)),
    ),
    "foxing": (((142, 86, 42), (44, 24, 9)), ((168, 116, 62), (36, 22, 9))),
    "blotch": (
        ((150, 108, 62), (20, 12, 5)),
        ((120, 116, 110), (14, 14, 13)),
        ((244, 238, 222), (112, 106, 92)),
    ),
    "fingerprint": (((132, 122, 112), (10, 9, 8)), ((242, 240, 236), (72, 70, 68))),
}


@CORRUPTIONS.add
class Stains(Scattered):
    """`num_range`: stains on the whole photo, a tile shows those that fall into it; `size_range`:
    the longer side of a stain, as a share of the photo's short side; `strength_range`: from 0 to
    its full tint; `kinds`: "ring", the tide line that water left, a dark irregular rim around a
    pale area; "foxing", a cluster of rusty spots with soft halos; "blotch", a soft discolored
    area, brown, gray or bleached; "fingerprint", the ridges of a finger, dark or greasy.

    The mask is where a stain has at least 2 % of its full tint; elsewhere nothing changes.
    """

    things = "stains"
    size_range: tuple[Size, Size]
    strength_range: tuple[Share, Share]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> "Stains":
        """More stains, and each stronger."""
        count = 2 + round((WORST - 2) * severity)
        strength = min(1.0, severity * WORST / count)
        return cls(
            num_range=(count, count),
            size_range=about(TYPICAL, 0.1),
            strength_range=(0.95 * strength, strength),
            kinds=("ring", "foxing", "blotch", "fingerprint"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Stains in px of the tile, those that may touch it, and where it lies on the photo."""
        window = Window.of(shape)
        place = window.place(rng)
        return {"place": list(place), "stains": self.strew(window, place, rng)}

    def severity(self, drawn: Drawn) -> float:
        """Strength times length in tile sides, summed; six full ones of 0.3 make 1."""
        whole = sum(one["strength"] * one["reach"] for one in drawn["stains"])
        return min(1.0, float(whole) / (WORST * TYPICAL))

    def draw_one(self, window: Window, place: Place, rng: np.random.Generator) -> Drawn:
        """A stain with its middle on the photo; its box in px of the tile."""
        kind = one_of(self.kinds, rng)
        low, high = (size * window.photo_side for size in self.size_range)
        length = size_in((low, high), rng)
        slim = 1.0 if kind == "fingerprint" else float(rng.uniform(0.6, 1.0))
        sides = [max(1, round(length)), max(1, round(length * slim))]
        lying = int(rng.integers(2))
        height, width = sides[lying], sides[1 - lying]
        white, black = one_of(TINTS[kind], rng)
        shade = int(rng.integers(-12, 13))
        told = {
            "kind": kind,
            "height": height,
            "width": width,
            "reach": round(min(1.0, length / min(window.height, window.width)), 4),
            "strength": share_in(self.strength_range, rng),
            "white": [value + shade for value in white],
            "black": list(black),
            "angle": int(rng.integers(360)),
            "seed": seed_of(rng),
        }
        y, x = _middle(kind, place, rng)
        return {**told, "y": y - place.top - height // 2, "x": x - place.left - width // 2}

    def box(self, one: Drawn, extent: Sequence[int]) -> Box | None:
        """The stain's own."""
        y, x = one["y"], one["x"]
        return clipped((y, y + one["height"]), (x, x + one["width"]), extent)

    def paint(self, out: Array, mask: Array, box: Box, one: Drawn, drawn: Drawn) -> None:
        """Under it ``x·gain + veil``, both by how deep it is there."""
        channels = out.shape[2]
        depth = _depth(one, box)
        gain, veil, seen = _tables(one, channels)
        deep = cv2.merge([depth] * channels)
        under = out[box]
        under = cv2.multiply(under, cv2.LUT(deep, gain).reshape(under.shape), scale=1 / 255)
        out[box] = cv2.add(under, cv2.LUT(deep, veil)).reshape(out[box].shape)
        mask[box] = cv2.max(mask[box], cv2.LUT(depth, seen)).reshape(depth.shape)


def _middle(kind: str, place: Place, rng: np.random.Generator) -> list[int]:
    """Row and column on the photo."""
    middle = [int(rng.integers(place.height)), int(rng.integers(place.width))]
    if kind == "ring" and rng.integers(2):  # water often comes from a border
        side = int(rng.integers(2))
        middle[side] = place[side] * int(rng.integers(2))
    return middle


def _depth(stain: Drawn, box: Box) -> Array:
    """How deep the stain is in each pixel of `box`: uint8."""
    rows, columns, factor = grid_of(stain["height"], stain["width"])
    small = DEPTHS[stain["kind"]](field(stain["seed"]), rows, columns, stain["angle"])
    return enlarge(small, factor, inside(box, stain["y"], stain["x"]))


def _tables(stain: Drawn, channels: int) -> tuple[Array, Array, Array]:
    """Look-up tables by depth: gain and veil (1, 256, channels), and the mask."""
    white, black = np.array(stain["white"]), np.array(stain["black"])
    if channels == 1:
        white, black = (np.array([int(tint @ LUMA) >> 8]) for tint in (white, black))
    share = np.arange(256) * round(stain["strength"] * 255)  # of 255²
    share[share < FAINT * 255] = 0
    gain = 255 - (share[:, None] * (255 - white + black) + 32512) // 65025
    veil = (share[:, None] * black + 32512) // 65025
    seen = np.where(share > 0, np.uint8(255), np.uint8(0))
    return gain.clip(0, 255).astype(np.uint8)[None], veil.astype(np.uint8)[None], seen


def _patch(rng: np.random.Generator, rows: int, columns: int, lumps: Array) -> Array:
    """One to three cones that may overlap, made irregular; never up to the grid's border."""
    cones = []
    for _ in range(int(rng.integers(1, 4))):
        share = rng.uniform(0.6, 1.0, 2)
        height, width = max(1, round(rows * share[0])), max(1, round(columns * share[1]))
        top, left = rng.integers(0, (rows - height + 1, columns - width + 1)).tolist()
        cones.append((top, left, height, width, 255))
    base = bumps(rows, columns, cones)
    level = cv2.addWeighted(base, 1, lumps, 0.75, -96)
    return cv2.min(level, cv2.add(base, base)).reshape(rows, columns)


def _ring(rng: np.random.Generator, rows: int, columns: int, angle: int) -> Array:
    """The dirt that drying water carried outward: dark at its edge, fading inward."""
    lumps = fractal(rng, rows, columns, 3, 0.6)
    wet = cv2.threshold(_patch(rng, rows, columns, lumps), 50, 255, cv2.THRESH_BINARY)[1]
    wide = max(3, max(rows, columns) // 18 | 1)
    near = cv2.blur(cv2.blur(wet, (wide, wide)), (3, 3))  # half at the edge, whole inside
    far = cv2.blur(wet, (3 * wide, 3 * wide))
    rim = cv2.LUT(near, curve((80, 170), (130, 255), (180, 160), (230, 60), (255, 0)))
    along = cv2.LUT(fractal(rng, rows, columns, 3, 0.4), curve((70, 50), (140, 255)))
    pool = cv2.LUT(far, curve((120, 150), (200, 90), (255, 44)))
    clouds = cv2.LUT(lumps, curve((60, 110), (190, 255)))
    whole = cv2.max(
        cv2.multiply(rim, along, scale=1 / 255), cv2.multiply(pool, clouds, scale=1 / 255)
    )
    return cv2.min(whole, cv2.blur(wet, (3, 3))).reshape(rows, columns)


def _blotch(rng: np.random.Generator, rows: int, columns: int, angle: int) -> Array:
    """Soft at its border, cloudy inside."""
    level = _patch(rng, rows, columns, fractal(rng, rows, columns, 4, 0.6))
    soft = cv2.LUT(level, curve((40, 0), (70, 50), (130, 200), (200, 255)))
    clouds = cv2.LUT(fractal(rng, rows, columns, 12, 0.8), curve((60, 150), (190, 255)))
    return cv2.multiply(soft, clouds, scale=1 / 255)


def _foxing(rng: np.random.Generator, rows: int, columns: int, angle: int) -> Array:
    """Many small spots and few large ones, with rough rims."""
    count, longer = int(rng.integers(30, 90)), max(rows, columns)
    sides = np.rint((0.018 + 0.16 * rng.random(count) ** 6) * longer).astype(np.int64)
    sides = sides.clip(3, max(3, min(rows, columns))).clip(1, min(rows, columns))
    middles = (rng.random((count, 2)) + rng.random((count, 2))) / 2
    corners = (middles * (np.array([[rows, columns]]) - sides[:, None])).astype(np.int64)
    cones = np.column_stack([corners, sides, sides, rng.integers(90, 256, count)])
    spots = bumps(rows, columns, cones.tolist())
    lumps = fractal(rng, rows, columns, 24, 0.8)
    rough = cv2.addWeighted(spots, 1, lumps, 0.375, -48).reshape(rows, columns)
    rough[spots == 0] = 0
    soft = cv2.LUT(rough, curve((0, 0), (40, 28), (110, 110), (170, 220), (255, 255)))
    return cv2.GaussianBlur(soft, (3, 3), 0).reshape(rows, columns)


def _fingerprint(rng: np.random.Generator, rows: int, columns: int, angle: int) -> Array:
    """Ridges within an uneven oval of touch, broken by pores; where a ridge would be finer than
    two cells, a smudge."""
    cos, sin = (
        np.float32(round(part, 6))
        for part in (math.cos(math.radians(angle)), math.sin(math.radians(angle)))
    )
    down = ((np.arange(rows, dtype=np.float32) + 0.5) * np.float32(2 / rows) - 1)[:, None]
    along = ((np.arange(columns, dtype=np.float32) + 0.5) * np.float32(2 / columns) - 1)[None]
    y, x = down * cos + along * sin, along * cos - down * sin
    oval = (np.float32(255) * (1 - x * x * np.float32(2.1) - y * y)).clip(0, 255).astype(np.uint8)
    touch = cv2.addWeighted(oval, 1, fractal(rng, rows, columns, 4, 0.6), 0.8, -100)
    touch = cv2.min(touch.reshape(oval.shape), cv2.add(oval, oval).reshape(oval.shape))
    valley = 255 - round(255 * min(1.0, max(0.0, (max(rows, columns) / (2 * RIDGES) - 1.5) / 2)))
    points = ((0, 255), (60, 255), (110, valley), (180, valley), (230, 255), (255, 255))
    ridge = cv2.LUT(ridges(rng, y, x, RIDGES, 4), curve(*points))
    fine = fractal(rng, rows, columns, max(1, max(rows, columns) // 4), 0.5)
    pores = cv2.LUT(fine, curve((50, 60), (100, 255)))
    pressed = cv2.LUT(touch, curve((10, 0), (90, 255)))
    return cv2.multiply(cv2.multiply(ridge, pores, scale=1 / 255), pressed, scale=1 / 255).reshape(
        rows, columns
    )


DEPTHS: dict[str, Callable[[np.random.Generator, int, int, int], Array]] = {
    "ring": _ring,
    "foxing": _foxing,
    "blotch": _blotch,
    "fingerprint": _fingerprint,
}
