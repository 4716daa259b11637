"""A screen has its pitch and angle, keeps tone, and runs on from tile to tile."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.halftone import Halftone

SIDE = 240
Array = np.ndarray
NOISE = seeds.field(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
DRAWN = {
    "pitch": 6.0, "angle": 45.0, "gain": 0.0, "strength": 1.0, "inks": "black",
    "phase": [1200, 40000], "top": 0, "left": 0,
}  # fmt: skip
FAMILY = Halftone.at(1.0)


def printed(tile: Array, **changes: Any) -> Array:
    """The tile printed with `DRAWN`, some of it changed."""
    out, mask = FAMILY.apply(tile, DRAWN | changes)
    assert not mask.any()
    return out


def flat(level: int, channels: int = 3) -> Array:
    """One tone."""
    return np.full((SIDE, SIDE, channels), level, np.uint8)


def peak(plane: Array) -> tuple[float, float]:
    """The strongest wave: its length (px) and direction (degrees up to 90, a screen is square)."""
    window = np.hanning(SIDE)[:, None] * np.hanning(SIDE)[None]
    power = np.abs(np.fft.fft2((plane - plane.mean()) * window))
    rows, columns = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    best = np.unravel_index(int(power.argmax()), power.shape)
    y, x = float(rows[best]), float(columns[best])
    return 1 / float(np.hypot(y, x)), float(np.degrees(np.arctan2(y, x)) % 90)


def apart(one: float, other: float) -> float:
    """Degrees between two directions of square screens."""
    return min((one - other) % 90, (other - one) % 90)


@pytest.mark.parametrize(("pitch", "angle"), [(4.0, 45.0), (6.0, 30.0), (9.5, 52.0), (16.0, 10.0)])
def test_the_screen_has_its_pitch_and_angle(pitch: float, angle: float) -> None:
    length, direction = peak(printed(flat(140, 1), pitch=pitch, angle=angle)[:, :, 0])
    assert abs(length / pitch - 1) < 0.06
    assert apart(direction, angle) < 4


def test_each_ink_has_a_screen_of_its_own() -> None:
    for inks, steps in (("cmy", (15, 75, 0)), ("cmyk", (15, 75, 0))):
        level = 210 if inks == "cmyk" else 140  # so light that no black is printed
        out = printed(flat(level), pitch=8.0, inks=inks)
        for plane, angle in enumerate(steps):
            length, direction = peak(out[:, :, plane])
            assert abs(length / 8 - 1) < 0.06 and apart(direction, angle) < 4
    common = printed(flat(70), pitch=8.0, inks="cmyk").max(axis=2)  # black covers all three
    assert apart(peak(common)[1], 45) < 4


@pytest.mark.parametrize("inks", ["black", "cmy", "cmyk"])
@pytest.mark.parametrize("pitch", [3.0, 6.0, 12.0])
def test_dots_average_to_the_tone_between_ink_and_paper(inks: str, pitch: float) -> None:
    for level in (20, 80, 128, 180, 235):
        out = printed(flat(level), pitch=pitch, inks=inks)
        assert abs(out.mean() - (28 + level * 227 / 255)) < 4


@pytest.mark.parametrize("inks", ["black", "cmy", "cmyk"])
def test_paper_stays_bare_and_full_ink_closes(inks: str) -> None:
    assert printed(flat(255), inks=inks).min() == 255
    assert printed(flat(0), inks=inks).max() <= 30


def test_coarse_dots_are_ink_or_paper_and_fine_ones_gray() -> None:
    def between(pitch: float) -> float:
        out = printed(flat(128, 1), pitch=pitch)
        return float(np.mean((out > 60) & (out < 225)))

    assert between(20.0) < 0.15 < 0.5 < between(2.5)


def test_dot_gain_darkens_the_middle_most() -> None:
    def darker(level: int) -> float:
        tile = flat(level, 1)
        return float(printed(tile).mean() - printed(tile, gain=0.1).mean())

    assert darker(255) == 0
    assert darker(128) == pytest.approx(0.1 * 227, abs=3)
    assert darker(128) > darker(220) > 0


@pytest.mark.parametrize("inks", ["black", "cmyk"])
def test_a_tile_continues_its_photo_exactly(inks: str) -> None:
    whole = printed(NOISE, inks=inks, pitch=5.3, angle=38.0)
    for top, left in ((0, 0), (17, 91), (140, 3)):
        box = slice(top, top + 77), slice(left, left + 101)
        part = printed(NOISE[box], inks=inks, pitch=5.3, angle=38.0, top=top, left=left)
        np.testing.assert_array_equal(part, whole[box])


def test_black_prints_gray_and_a_gray_tile_knows_no_color() -> None:
    out = printed(NOISE)
    assert (out == out[:, :, :1]).all()
    gray = cv2.cvtColor(NOISE, cv2.COLOR_RGB2GRAY)[:, :, None]
    np.testing.assert_array_equal(printed(gray), out[:, :, :1])
    np.testing.assert_array_equal(printed(gray, inks="cmyk"), printed(gray))


def test_color_prints_keep_the_hue() -> None:
    tile = np.zeros((SIDE, SIDE, 3), np.uint8) + np.array([200, 120, 60], np.uint8)
    for inks in ("cmy", "cmyk"):
        means = printed(tile, inks=inks).reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(means, 28 + np.array([200, 120, 60]) * 227 / 255, atol=9)


def test_strength_blends_photo_and_print() -> None:
    np.testing.assert_array_equal(printed(NOISE, strength=0.0), NOISE)
    middle = (NOISE.astype(float) + printed(NOISE)) / 2
    assert np.abs(printed(NOISE, strength=0.5) - middle).max() <= 0.5


def test_pitch_follows_the_photo_and_never_goes_below_two_pixels() -> None:
    drawn = [FAMILY.draw((64, 64, side), seeds.rng(1)) for side in (500, 1000, 100)]
    assert drawn[1]["pitch"] == pytest.approx(2 * drawn[0]["pitch"], abs=0.01)
    assert drawn[2]["pitch"] == 2.0
