"""A faded photo: weak contrast, dyes lost, yellow paper, dark corners, light that leaked in."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.config import Share
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.base import one_of, share_in
from pipeline.corruptions.surfaces import enlarge
from pipeline.images import to_gray, to_rgb

GRAY = 140  # the level that a loss of contrast pulls towards
CELL = 8  # px: light and paleness are reckoned for one pixel in 8×8
# What severity 1 has of each part; more looks like no photo at all.
WORST = {
    "contrast": 0.45, "black": 0.2, "highlight": 0.2, "cast": 0.6, "yellowing": 0.45,
    "sepia": 1.0, "vignette": 0.7, "uneven": 0.55, "leak": 1.0,
}  # fmt: skip
# Dyes in the order cyan, magenta, yellow: how much of the loss falls on each. Cyan goes first in
# the dark, magenta in the light, so pictures turn red or green more often than blue.
DYES = (
    (1.0, 0.25, 0.35),
    (1.0, 0.45, 0.45),
    (1.0, 0.1, 0.8),
    (0.4, 0.9, 0.5),
    (0.15, 0.3, 0.9),
    (0.8, 0.9, 0.2),
)
SEPIA = (0.86, 1.05, 1.42)  # exponents of luma in red, green and blue
LEAKS = ((255, 120, 40), (255, 70, 30), (255, 180, 90), (250, 90, 110))
PAPER = (240, 228, 204)


@CORRUPTIONS.add
class Fading(Corruption):
    """Each part from 0 (none of it) to 1: `contrast_range`: contrast lost; `black_range`: how far
    black is lifted; `highlight_range`: how far white sinks; `cast_range`: density lost by the dyes
    of a color print, not the same in each; `yellowing_range`: blue that the paper swallows;
    `sepia_range`: toned brown; `vignette_range`: light lost in the photo's corners;
    `uneven_range`: one side paler, up to blank paper; `leak_probability` and `leak_range`: how
    often, and how bright, a streak of light lies on one border.

    Everything lies in the photo: a tile gets its own part of it. On a gray tile cast, yellowing
    and sepia do nothing, and a leak is white.
    """

    extent = "global"
    contrast_range: tuple[Share, Share]
    black_range: tuple[Share, Share]
    highlight_range: tuple[Share, Share]
    cast_range: tuple[Share, Share]
    yellowing_range: tuple[Share, Share]
    sepia_range: tuple[Share, Share]
    vignette_range: tuple[Share, Share]
    uneven_range: tuple[Share, Share]
    leak_probability: Share
    leak_range: tuple[Share, Share]

    @classmethod
    def at(cls, severity: float) -> "Fading":
        """Contrast just there, every other part somewhere below."""
        top = {part: severity * worst for part, worst in WORST.items()}
        ranges = {f"{part}_range": (0.3 * high, high) for part, high in top.items()}
        ranges["sepia_range"] = (0.0, top["sepia"])
        ranges["contrast_range"] = (0.9 * top["contrast"], top["contrast"])
        return cls(**ranges, leak_probability=0.3)

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """How much of each part, which dyes, and where in the photo."""
        window = Window.of(shape)
        drawn: Drawn = {part: share_in(getattr(self, f"{part}_range"), rng) for part in WORST}
        if rng.random() >= self.leak_probability:
            drawn["leak"] = 0.0
        angle = rng.uniform(0, 2 * math.pi)
        return drawn | {
            "dyes": list(one_of(DYES, rng)),
            "towards": [round(math.sin(angle), 3), round(math.cos(angle), 3)],
            "middle": [round(float(value), 3) for value in rng.uniform(-0.2, 0.2, 2)],
            "leak_side": int(rng.integers(4)),
            "leak_at": share_in((0, 1), rng),
            "leak_width": share_in((0.12, 0.5), rng),
            "leak_depth": share_in((0.25, 0.9), rng),
            "leak_slant": share_in((-0.7, 0.7), rng),
            "leak_color": list(one_of(LEAKS, rng)),
            "place": list(window.place(rng)),
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """A look-up table for tone and color, then ``x·gain + light`` for what varies in space."""
        channels = tile.shape[2]
        out = tile
        if channels == 3 and drawn["sepia"] > 0:
            share = round(drawn["sepia"] * 256) / 256
            out = cv2.addWeighted(out, 1 - share, to_rgb(to_gray(out)), share, 0)
        out = cv2.LUT(out, _tones(drawn, channels)).reshape(tile.shape)
        if drawn["vignette"] > 0 or drawn["uneven"] > 0 or drawn["leak"] > 0:
            gain, light = _fields(drawn, tile.shape)
            out = cv2.add(cv2.multiply(out, gain, scale=1 / 255), light)
        return out.reshape(tile.shape), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The part that is nearest to its worst."""
        return min(1.0, max(float(drawn[part]) / worst for part, worst in WORST.items()))


def _tones(drawn: Drawn, channels: int) -> Array:
    """The look-up table (1, 256, channels): dyes, then contrast, then paper."""
    table = np.empty((1, 256, channels), np.uint8)
    low, high = 255 * drawn["black"], 255 * (1 - drawn["highlight"])
    colored = channels == 3
    for channel in range(channels):
        power = 1 - drawn["cast"] * drawn["dyes"][channel] if colored else 1.0
        if colored:
            power *= 1 + drawn["sepia"] * (SEPIA[channel] - 1)
        paper = 1 - drawn["yellowing"] * (0.06, 0.25, 1.0)[channel] if colored else 1.0
        for level in range(256):
            tone = 255 * (level / 255) ** power
            tone += (GRAY - tone) * drawn["contrast"]
            table[0, level, channel] = round((low + tone * (high - low) / 255) * paper)
    return table


def _fields(drawn: Drawn, extent: Sequence[int]) -> tuple[Array, Array]:
    """Gain and light for each pixel of the tile, uint8."""
    height, width, channels = extent
    photo_height, photo_width, top, left = drawn["place"]
    # middles of the cells, one more all around, from -1 to 1 over the photo
    down = _middles(height, top, photo_height)[:, None]
    along = _middles(width, left, photo_width)[None]
    dark = (down - drawn["middle"][0]) ** 2 + (along - drawn["middle"][1]) ** 2
    dark = (dark * np.float32(0.55) - np.float32(0.1)).clip(0, 1) * np.float32(drawn["vignette"])
    slope = down * drawn["towards"][0] + along * drawn["towards"][1]
    pale = (slope * np.float32(0.6) + np.float32(0.4)).clip(0, 1) * np.float32(drawn["uneven"])
    leak = _leak(drawn, down, along)
    paper, glow = np.array(PAPER, np.float32), np.array(drawn["leak_color"], np.float32)
    if channels == 1:
        paper, glow = paper.mean(keepdims=True), np.array([255], np.float32)
    # paler where it is hottest; screened, so that it never passes white
    hot = leak * leak * np.float32(0.4)
    leaked = leak[:, :, None] * (glow + (255 - glow) * hot[:, :, None])
    kept = 1 - leaked * np.float32(1 / 255)
    gain = ((1 - dark) * (1 - pale))[:, :, None] * kept
    light = pale[:, :, None] * (1 - dark)[:, :, None] * paper * kept + leaked
    inside = slice(CELL, CELL + height), slice(CELL, CELL + width)
    return tuple(  # type: ignore[return-value]
        enlarge(np.rint(values).clip(0, 255).astype(np.uint8), CELL, inside).reshape(extent)
        for values in (gain * 255, light)
    )


def _middles(length: int, start: int, whole: int) -> Array:
    cells = np.arange(-1, -(-length // CELL) + 1, dtype=np.float32)
    return (cells * CELL + np.float32(start + CELL / 2)) * np.float32(2 / whole) - 1


def _leak(drawn: Drawn, down: Array, along: Array) -> Array:
    """A soft wedge of light on one border: bright there, gone at `leak_depth`."""
    across, beside = (down, along) if drawn["leak_side"] < 2 else (along, down)
    inward = (across + 1 if drawn["leak_side"] % 2 else 1 - across) * np.float32(0.5)
    beside = beside * np.float32(0.5) + np.float32(0.5 - drawn["leak_at"])
    off = (beside + inward * np.float32(drawn["leak_slant"])) / np.float32(drawn["leak_width"])
    fall = (1 - inward / np.float32(drawn["leak_depth"])).clip(0, 1) * (1 - off * off).clip(0, 1)
    leak: Array = fall * fall * (3 - 2 * fall) * np.float32(drawn["leak"])
    return leak
