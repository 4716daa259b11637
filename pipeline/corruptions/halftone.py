"""A photo cut from a newspaper or a book: printed in dots of ink on a turned grid."""

import functools
import math
from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from pydantic import Field

from pipeline.config import Degrees, Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.base import one_of, share_in, size_in
from pipeline.images import to_gray, to_rgb

Inks = Literal["black", "cmy", "cmyk"]
TURN = 1 << 16  # steps of a whole period
FINEST = 2.0  # px; finer screens cannot be told from gray
# Degrees between a screen and the black one; the classic 45 for black, 15, 75 and 0 for the inks.
TURNED = {"black": 0, "cyan": -30, "magenta": 30, "yellow": -45}


@CORRUPTIONS.add
class Halftone(Corruption):
    """`pitch_range`: from dot to dot, as a share of the photo's short side (a newspaper of 65
    lines an inch, a photo 5 cm wide: 0.008), at least 2 px; `angle_range`: degrees that the black
    screen is turned, classically 45; `gain_range`: dot gain, the ink that spreads at half tone and
    that the printer did not allow for (0.1 turns 50 % ink into 60 %); `strength_range`: share of
    the print against the photo; `inks`: "black", one screen of luma; "cmy" and "cmyk", colored
    screens 30 degrees apart (yellow 15 beside two others). A gray tile has one screen.
    """

    extent = "global"
    pitch_range: tuple[Size, Size]
    angle_range: tuple[Degrees, Degrees]
    gain_range: tuple[Share, Share]
    strength_range: tuple[Share, Share]
    inks: tuple[Inks, ...] = Field(min_length=1)

    @classmethod
    def at(cls, severity: float) -> "Halftone":
        """The strength is the severity."""
        return cls(
            pitch_range=(0.007, 0.014),
            angle_range=(30.0, 60.0),
            gain_range=(0.0, 0.12),
            strength_range=(0.95 * severity, severity),
            inks=("black", "cmy", "cmyk"),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Pitch (px), angle, gain, strength, inks, and the tile's place in the photo."""
        window = Window.of(shape)
        place = window.place(rng)
        return {
            "pitch": round(max(FINEST, size_in(self.pitch_range, rng) * window.photo_side), 3),
            "angle": round(float(rng.uniform(*self.angle_range)), 2),
            "gain": share_in(self.gain_range, rng),
            "strength": share_in(self.strength_range, rng),
            "inks": one_of(self.inks, rng),
            "phase": [int(value) for value in rng.integers(0, TURN, 2)],
            "top": place.top,
            "left": place.left,
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Screen each ink, overprint them, and blend with the photo."""
        if tile.shape[2] == 1 or drawn["inks"] == "black":
            paper = cv2.bitwise_not(_screened(cv2.bitwise_not(to_gray(tile)), drawn, "black"))
            printed = to_rgb(paper[:, :, None]) if tile.shape[2] == 3 else paper
        else:
            printed = _in_color(tile, drawn)
        printed = cv2.LUT(printed, _ink())
        share = round(drawn["strength"] * 256) / 256  # of 256, so that no product is rounded
        out = cv2.addWeighted(tile, 1 - share, printed.reshape(tile.shape), share, 0)
        return out.reshape(tile.shape), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The strength."""
        return float(drawn["strength"])


def _in_color(tile: Array, drawn: Drawn) -> Array:
    """Cyan, magenta and yellow in screens of their own; black takes over most of what all share."""
    inks = [cv2.bitwise_not(channel) for channel in cv2.split(tile)]
    black = None
    if drawn["inks"] == "cmyk":
        common = cv2.min(cv2.min(inks[0], inks[1]), inks[2])
        share = cv2.LUT(common, _replaced())
        left = cv2.bitwise_not(share)
        inks = [cv2.divide(cv2.subtract(ink, share), left, scale=255) for ink in inks]
        black = cv2.bitwise_not(_screened(share, drawn, "black"))
    names = ("cyan", "magenta", "yellow")
    plates = [_screened(ink, drawn, name) for ink, name in zip(inks, names, strict=True)]
    printed = cv2.bitwise_not(cv2.merge(plates))
    if black is None:
        return printed
    return cv2.multiply(printed, cv2.merge([black] * 3), scale=1 / 255)


def _screened(ink: Array, drawn: Drawn, name: str) -> Array:
    """Ink (uint8, 255 = full) in dots, their rims as soft as a pixel is wide."""
    eighths = round(drawn["pitch"] * 8 * 0.7)  # of a pixel's share; so that no product is rounded
    threshold, evened = _dots(eighths)
    level = np.arange(256)
    spread = np.rint(level + 4 * drawn["gain"] * level * (255 - level) / 255)
    tone = cv2.LUT(ink, evened[spread.clip(0, 255).astype(np.uint8)])
    over = cv2.LUT(_wave(ink.shape, drawn, TURNED[name]), threshold)
    return cv2.addWeighted(tone, eighths / 8, over, -eighths / 8, 128).reshape(ink.shape[:2])


def _wave(extent: Sequence[int], drawn: Drawn, turned: int) -> Array:
    """The sum of two crossed waves over the tile, uint8. Whole-number phases in the photo's own
    coordinates: every tile continues its neighbors exactly."""
    height, width = extent[:2]
    angle = math.radians(drawn["angle"] + turned)
    cos, sin = (round(f(angle) * TURN / drawn["pitch"]) for f in (math.cos, math.sin))
    down = np.arange(drawn["top"], drawn["top"] + height, dtype=np.int64)[:, None]
    along = np.arange(drawn["left"], drawn["left"] + width, dtype=np.int64)[None]
    waves = []
    for (by_row, by_column), start in zip(((sin, cos), (cos, -sin)), drawn["phase"], strict=True):
        rows = ((down * by_row + start) % TURN).astype(np.uint16)
        columns = (along * by_column % TURN).astype(np.uint16)
        waves.append(cv2.LUT(((rows + columns) >> 8).astype(np.uint8), _cosine()))
    return cv2.add(waves[0], waves[1]).reshape(height, width)


@functools.cache
def _ink() -> Array:
    """Printing ink on paper is no black: full ink comes out at 28."""
    return np.array([round(28 + v * 227 / 255) for v in range(256)], np.uint8)


@functools.cache
def _cosine() -> Array:
    return np.array(
        [round(63.5 + 63.5 * math.cos(2 * math.pi * n / 256)) for n in range(256)], np.uint8
    )


@functools.lru_cache(maxsize=256)
def _dots(eighths: int) -> tuple[Array, Array]:
    """For rims that steep, look-up tables: the threshold at each value of the wave, and the tone
    that must meet it for the dots to average to each level."""
    wave, level = _cosine().astype(np.int64), np.arange(256)
    areas = np.bincount((wave[:, None] + wave[None]).ravel(), minlength=256)
    even = (areas.cumsum() - areas / 2) * (255 / areas.sum())
    # flatter as much as rims are soft, so that paper without ink stays bare, and full ink full
    flat = (eighths - 8) / eighths - 0.5 / 127.5
    threshold = np.rint(127.5 + (even - 127.5) * flat).astype(np.int64)
    dots = (eighths * (level[:, None] - threshold[None]) + 1024).clip(0, 2040)
    means = (dots * areas).sum(axis=1) / (8 * areas.sum())
    tone = np.rint(np.interp(level, means, level)).astype(np.uint8)
    return threshold.astype(np.uint8), tone


@functools.cache
def _replaced() -> Array:
    """How much black stands for ink that all three colors share (gray component replacement)."""
    return np.array([max(0, round((v - 60) * 0.85)) for v in range(256)], np.uint8)
