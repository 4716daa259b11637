"""Overlays are blended by their formulas, turned whole, and refused when they changed."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import png, seeds
from pipeline.corruptions import Recipe
from pipeline.errors import ParamsError, ReplayError
from pipeline.files import sha256_bytes
from tests.pipeline.corruptions.conftest import PARAMS, Array, apply, family, photo_tile


def overlays(bank: Path) -> dict[str, str]:
    return json.loads((bank / "bank.json").read_text())["overlays"]


def one_overlay(bank: Path, kind: str = "mixed", **changes: Any) -> dict[str, Any]:
    """An overlay at its own size, unturned."""
    name = next(name for name in sorted(overlays(bank)) if name.startswith(kind))
    side = png.decode_mask((bank / f"{name}.png").read_bytes()).shape[0]
    plain = {
        "name": name, "sha256": overlays(bank)[name], "place": [0.0, 0.0], "side": side,
        "turn": 0, "flip": False, "mode": "screen", "opacity": 1.0,
    }  # fmt: skip
    return plain | changes


def formula(mode: str, tile: Array, amplitude: Array) -> Array:
    """The blends in float, where x is the photo and a the mark."""
    x, a = tile.astype(float), amplitude[:, :, None].astype(float)
    return {
        "screen": x + a - x * a / 255,
        "add": np.minimum(x + a, 255),
        "multiply": x * (1 - a / 255),
    }[mode]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("opacity", [1.0, 0.43])
@pytest.mark.parametrize("mode", ["screen", "add", "multiply"])
def test_a_blend_is_its_formula(mode: str, opacity: float, channels: int, bank: Path) -> None:
    overlay = one_overlay(bank, mode=mode, opacity=opacity)
    amplitude = png.decode_mask((bank / f"{overlay['name']}.png").read_bytes())[:90, :110]
    assert amplitude.max() > 100
    tile = photo_tile(90, 110, channels)
    out, mask = apply(family("texture", bank), tile, {"overlays": [overlay]})
    wanted = formula(mode, tile, amplitude * opacity)
    assert np.abs(out - wanted)[mask > 0].max() <= 1.01
    np.testing.assert_array_equal(out[mask == 0], tile[mask == 0])
    assert np.abs(wanted - tile).max(axis=2)[mask == 0].max() <= 5.5, "only the faint is left out"
    assert np.abs(out.astype(int) - tile).max(axis=2)[mask > 0].min() > 4
    assert 0 < np.count_nonzero(mask) < mask.size


@pytest.mark.parametrize(("mode", "sign"), [("screen", 1), ("add", 1), ("multiply", -1)])
def test_light_modes_only_lighten_and_dark_ones_only_darken(
    mode: str, sign: int, bank: Path
) -> None:
    tile = photo_tile(90, 110)
    out, _ = apply(family("texture", bank), tile, {"overlays": [one_overlay(bank, mode=mode)]})
    change = (out.astype(int) - tile) * sign
    assert change.min() == 0 and change.max() > 4


def test_light_and_dark_marks_both_occur(bank: Path) -> None:
    corruption = family("texture", bank)
    tile = np.full((128, 128, 3), 128, np.uint8)
    light = dark = 0
    for number in range(60):
        drawn = corruption.draw((128, 128, 300), seeds.rng(7, number))
        change = apply(corruption, tile, drawn)[0].astype(int) - 128
        light, dark = light + bool(change.max() > 4), dark + bool(change.min() < -4)
    assert light > 15 and dark > 8


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_an_overlay_is_turned_and_flipped_whole(turn: int, flip: bool, bank: Path) -> None:
    black = np.zeros((128, 128, 1), np.uint8)
    corruption = family("texture", bank)
    plain, _ = apply(corruption, black, {"overlays": [one_overlay(bank)]})
    out, _ = apply(corruption, black, {"overlays": [one_overlay(bank, turn=turn, flip=flip)]})
    wanted = np.rot90(plain, turn)
    np.testing.assert_array_equal(out, wanted[:, ::-1] if flip else wanted)


def test_every_overlay_mode_turn_and_count_occurs(bank: Path) -> None:
    corruption = family("texture", bank)
    draws = [corruption.draw((64, 64, 300), seeds.rng(7, n))["overlays"] for n in range(200)]
    assert {len(drawn) for drawn in draws} == {1, 2}
    seen = [overlay for drawn in draws for overlay in drawn]
    assert {one["name"] for one in seen} == set(overlays(bank))
    assert {one["mode"] for one in seen} == {"screen", "add", "multiply"}
    assert {one["turn"] for one in seen} == {0, 1, 2, 3}
    assert {one["flip"] for one in seen} == {False, True}
    assert all(one["sha256"] == overlays(bank)[one["name"]] for one in seen)
    assert all(0.3 <= one["opacity"] <= 1 and 240 <= one["side"] <= 480 for one in seen)


@pytest.mark.parametrize("place", ["none", "absent", "empty", "no JSON", "a list"])
def test_texture_needs_a_bank_and_says_so_in_one_line(place: str, tmp_path: Path) -> None:
    folder = None if place == "none" else tmp_path / place
    if place not in ("none", "absent"):
        (tmp_path / place).mkdir()
    if place in ("no JSON", "a list"):
        (tmp_path / place / "bank.json").write_text("{" if place == "no JSON" else "[]")
    corruption = Recipe.single(PARAMS, "texture", folder).steps[0].corruption
    with pytest.raises(ParamsError, match="run `patina textures`") as caught:
        corruption.draw((64, 64), seeds.rng(7))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("change", ["changed", "cut", "gone", "another's hash"])
def test_an_overlay_that_changed_is_refused(change: str, bank: Path, tmp_path: Path) -> None:
    overlay = one_overlay(bank)
    file = tmp_path / f"{overlay['name']}.png"
    data = (bank / file.name).read_bytes()
    if change == "changed":
        data = png.encode(png.decode(data) ^ 1)
    elif change == "cut":
        data = data[:-5]
    elif change == "another's hash":
        overlay["sha256"] = "0" * 64
    if change != "gone":
        file.write_bytes(data)
    corruption = family("texture", tmp_path)
    with pytest.raises(ReplayError, match="is not the overlay drawn") as caught:
        corruption.apply(photo_tile(64, 64), {"overlays": [overlay]})
    assert file.name in str(caught.value)


def test_overlays_are_as_large_as_the_photo_asks(bank: Path) -> None:
    corruption = family("texture", bank)
    sides = [
        np.mean([
            one["side"]
            for number in range(80)
            for one in corruption.draw((256, 256, side), seeds.rng(7, number))["overlays"]
        ])
        for side in (300, 600)
    ]  # fmt: skip
    assert 1.99 < sides[1] / sides[0] < 2.01


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    """A bank of one overlay: a disc of a fifth of its side, in the middle."""
    mark = cv2.circle(np.zeros((250, 250), np.uint8), (125, 125), 25, 255, cv2.FILLED)
    data = png.encode(mark[:, :, None])
    (tmp_path / "disc.png").write_bytes(data)
    (tmp_path / "bank.json").write_text(json.dumps({"overlays": {"disc": sha256_bytes(data)}}))
    return tmp_path


@pytest.mark.parametrize("turn", [0, 1])
@pytest.mark.parametrize("extent", [(900, 900), (300, 700), (700, 300)])
@pytest.mark.parametrize("side", [125, 250, 375, 750, 2000])
def test_marks_are_round_and_as_large_as_their_overlay(
    side: int, extent: tuple[int, int], turn: int, disc: Path
) -> None:
    overlay = one_overlay(disc, "disc") | {"side": side, "place": [0.5, 0.5], "turn": turn}
    _, mask = apply(
        family("texture", disc), np.zeros((*extent, 1), np.uint8), {"overlays": [overlay]}
    )
    found = cv2.connectedComponentsWithStats(mask)[2][1:]
    side = max(side, *extent)  # an overlay covers the tile
    inside = [
        one for one in found
        if one[0] and one[1] and one[0] + one[2] < extent[1] and one[1] + one[3] < extent[0]
    ]  # fmt: skip
    assert inside or side / 5 > min(extent) - 2
    for _, _, width, height, area in inside:
        assert abs(width - side / 5) <= 0.03 * side + 2 and abs(width - height) <= 2
        assert area == pytest.approx(np.pi * width * height / 4, rel=0.12)
