"""Each part of fading does what its name says, in the photo's own coordinates."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.fading import DYES, WORST, Fading

Array = np.ndarray
NONE = {f"{part}_range": (0.0, 0.0) for part in WORST}
NOISE = seeds.field(1).integers(0, 256, (96, 128, 3), np.uint8)


def fade(tile: Array, seed: int = 0, told: dict[str, Any] | None = None, **parts: float) -> Array:
    """The tile with these parts alone, e.g. ``contrast=0.5``."""
    ranges = {f"{part}_range": (amount, amount) for part, amount in parts.items()}
    family = Fading(**(NONE | ranges), leak_probability=1.0)
    drawn = family.draw(tile.shape[:2], seeds.rng(5, seed)) | (told or {})
    return family.apply(tile, drawn)[0]


def flat(level: int, side: int = 200, channels: int = 3) -> Array:
    """One tone."""
    return np.full((side, side, channels), level, np.uint8)


@pytest.mark.parametrize("amount", [0.2, 0.5, 0.8])
def test_contrast_shrinks_every_difference_alike(amount: float) -> None:
    assert abs(fade(NOISE, contrast=amount).std() / NOISE.std() - (1 - amount)) < 0.01


def test_black_rises_and_white_sinks_in_place() -> None:
    assert fade(flat(0), black=0.2).max() == 51 and fade(flat(255), black=0.2).min() == 255
    assert fade(flat(255), highlight=0.2).min() == 204 and not fade(flat(0), highlight=0.2).any()


def test_lost_dyes_tint_the_middle_tones_and_neither_paper_nor_black() -> None:
    for dyes in DYES:
        told = {"dyes": list(dyes)}
        gray = fade(flat(120), told=told, cast=0.5)[0, 0].astype(int)
        assert list(np.argsort(gray)) == list(np.argsort(dyes)) or len({*dyes}) < 3
        assert gray.min() > 120 and np.ptp(gray) > 20
        assert fade(flat(255), told=told, cast=0.5).min() == 255
        assert not fade(flat(0), told=told, cast=0.5).any()


def test_density_of_a_dye_fades_by_its_share() -> None:
    faded = fade(flat(64), told={"dyes": [1.0, 0.5, 0.0]}, cast=0.4)[0, 0]
    density = -np.log10(faded / 255)
    np.testing.assert_allclose(density / -np.log10(64 / 255), [0.6, 0.8, 1.0], atol=0.01)


def test_yellowing_takes_blue_most() -> None:
    assert fade(flat(200), yellowing=0.4)[0, 0].tolist() == [195, 180, 120]


def test_full_sepia_leaves_one_hue_told_by_luma_alone() -> None:
    toned = fade(NOISE, sepia=1.0).reshape(-1, 3).astype(int)
    luma = cv2.cvtColor(NOISE, cv2.COLOR_RGB2GRAY).ravel()
    assert (toned[:, 0] >= toned[:, 1]).all() and (toned[:, 1] >= toned[:, 2]).all()
    assert all(np.ptp(toned[luma == level], axis=0).max() == 0 for level in range(20, 236, 9))
    assert np.corrcoef(toned.sum(axis=1), luma)[0, 1] > 0.99


@pytest.mark.parametrize("part", ["cast", "yellowing", "sepia"])
def test_color_parts_leave_a_gray_tile_alone(part: str) -> None:
    tile = np.ascontiguousarray(NOISE[:, :, :1])
    np.testing.assert_array_equal(fade(tile, **{part: 0.6}), tile)
    assert (fade(NOISE, **{part: 0.6}) != NOISE).any()


@pytest.mark.parametrize("part", ["contrast", "black", "highlight", "vignette", "uneven", "leak"])
def test_tone_parts_reach_a_gray_tile(part: str) -> None:
    tile = np.ascontiguousarray(NOISE[:, :, :1])
    assert np.abs(fade(tile, **{part: 0.6}).astype(int) - tile).mean() > 3


def test_corners_are_darker_than_the_middle() -> None:
    for seed in range(8):
        out = fade(flat(200, 240), seed, vignette=0.6).astype(float)[:, :, 0]
        middle = out[90:150, 90:150].mean()
        corners = [out[y, x] for y in (0, 239) for x in (0, 239)]
        assert middle > 195 and max(corners) < 0.9 * middle
        assert min(corners) >= 200 * 0.4 - 1


def test_a_small_window_sees_little_of_the_vignette() -> None:
    family = Fading(**(NONE | {"vignette_range": (0.7, 0.7)}), leak_probability=0.0)
    spans = []
    for n in range(40):
        drawn = family.draw((64, 64, 1000), seeds.rng(6, n))
        spans.append(np.ptp(family.apply(flat(200, 64), drawn)[0].astype(int)))
    whole = family.apply(flat(200, 64), family.draw((64, 64), seeds.rng(6)))[0]
    assert np.mean(spans) < 0.2 * np.ptp(whole.astype(int))


@pytest.mark.parametrize("seed", range(4))
def test_a_tile_continues_its_photo(seed: int) -> None:
    photo = cv2.resize(NOISE[:8, :8], (400, 300), interpolation=cv2.INTER_LINEAR)
    family = Fading.at(0.8).model_copy(update={"leak_probability": 1.0})
    drawn = family.draw(photo.shape[:2], seeds.rng(7, seed))
    whole, _ = family.apply(photo, drawn)
    for top, left in ((0, 0), (101, 77), (199, 250)):
        part = photo[top : top + 97, left : left + 131]
        place = [*drawn["place"][:2], top, left]
        out, _ = family.apply(part, drawn | {"place": place})
        gap = np.abs(out.astype(int) - whole[top : top + 97, left : left + 131])
        assert gap.max() <= 3 and gap.mean() < 0.5


def test_one_side_pales_towards_paper() -> None:
    right = {"towards": [0.0, 1.0]}
    out = fade(flat(60), told=right, uneven=0.5).astype(float)
    columns = out.mean(axis=(0, 2))
    assert columns[0] == 60 and columns[-1] > 130
    assert (np.diff(columns) > -1).all()  # gain and light are rounded each
    np.testing.assert_allclose(out[0, -1], 0.5 * 60 + 0.5 * np.array([240, 228, 204]), atol=2)


def test_a_leak_is_a_warm_light_on_one_border_only() -> None:
    sides = set()
    for seed in range(24):
        light = fade(flat(60), seed, leak=0.9).astype(int) - 60
        assert light.min() >= 0
        if light.max() < 60:
            continue  # its slant took it off the photo
        assert light[:, :, 0].mean() > 1.2 * light[:, :, 1].mean()
        total = light.sum(axis=2)
        edges = [total[-1], total[0], total[:, -1], total[:, 0]]
        best = int(np.argmax([edge.max() for edge in edges]))
        sides.add(best)
        assert edges[best].max() == total.max()
        assert not edges[best ^ 1].any()  # the border across is dark
    assert sides == {0, 1, 2, 3}


def test_severity_is_the_worst_part() -> None:
    family = Fading(**(NONE | {"sepia_range": (0.5, 0.5)}), leak_probability=0.0)
    assert family.severity(family.draw((64, 64), seeds.rng(1))) == 0.5
    stronger = family.model_copy(update={"black_range": (0.15, 0.15)})
    assert stronger.severity(stronger.draw((64, 64), seeds.rng(1))) == pytest.approx(0.75)
