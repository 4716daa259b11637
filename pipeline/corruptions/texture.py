"""Overlays of dust, hair, scratches, folds and stains, blended over the photo, lighter or
darker."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import cv2
import numpy as np
from pydantic import Field, PrivateAttr

from pipeline import png
from pipeline.config import Count, Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window
from pipeline.errors import ParamsError, ReplayError
from pipeline.files import sha256_bytes

Mode = Literal["screen", "add", "multiply"]
VISIBLE = 4  # gray levels: a smaller change does not count as damage
# For each quarter turn (counter-clockwise), and then mirrored: transposed first? and OpenCV's flip.
SYMMETRIES = (
    ((False, None), (True, 0), (False, -1), (True, 1)),
    ((False, 1), (True, -1), (False, 0), (True, None)),
)
BANK_LIST = "bank.json"  # written last by the textures stage


@CORRUPTIONS.add
class Texture(Corruption):
    """`num_range`: overlays one after another; `scale_range`: the overlay's side against the
    photo's short side; `opacity_range`: strength of the blend; `modes`: screen and add lighten,
    multiply darkens.
    """

    extent = "local"
    version = 3
    num_range: tuple[Count, Count]
    scale_range: tuple[Size, Size]
    opacity_range: tuple[Share, Share]
    modes: tuple[Mode, ...] = Field(min_length=1)

    _bank: Path | None = PrivateAttr(None)
    _listed: dict[str, str] | None = PrivateAttr(None)

    @classmethod
    def at(cls, severity: float) -> Self:
        """One or two overlays in any mode, at one opacity."""
        return cls(
            num_range=(1, 2),
            scale_range=(0.8, 1.6),
            opacity_range=(severity, severity),
            modes=("screen", "add", "multiply"),
        )

    def bind(self, textures: Path | None) -> Texture:
        """With the overlay bank in folder `textures`."""
        bound = self.model_copy()
        bound._bank, bound._listed = textures, None
        return bound

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Which overlays, where cut, how turned, how blended."""
        window = Window.of(shape)
        listed = self._listed  # pydantic is slow with what is private
        if listed is None:
            listed = self._listed = _bank_list(self._folder())
        count = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        return {"overlays": [self._draw_one(window, listed, rng) for _ in range(count)]}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Blend one overlay after another; where one changes 4 gray levels or fewer, it changes
        nothing, so that the mask tells all."""
        out, mask = tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        folder = self._folder()
        for overlay in drawn["overlays"]:
            change = _change(out, _cut(folder, overlay, tile.shape), overlay)
            seen, change = _visible(change)
            shift = cv2.subtract if overlay["mode"] == "multiply" else cv2.add
            shift(out, change, dst=out)
            cv2.bitwise_or(mask, seen, dst=mask)
        return out, mask

    def severity(self, drawn: Drawn) -> float:
        """The strongest opacity."""
        return min(1.0, max((float(one["opacity"]) for one in drawn["overlays"]), default=0.0))

    def _draw_one(self, window: Window, listed: dict[str, str], rng: np.random.Generator) -> Drawn:
        name = list(listed)[int(rng.integers(len(listed)))]
        return {
            "name": name,
            "sha256": listed[name],
            "place": [round(float(value), 5) for value in rng.random(2)],
            "side": round(float(rng.uniform(*self.scale_range)) * window.photo_side),
            "turn": int(rng.integers(4)),
            "flip": bool(rng.integers(2)),
            "mode": self.modes[int(rng.integers(len(self.modes)))],
            "opacity": round(float(rng.uniform(*self.opacity_range)), 3),
        }

    def _folder(self) -> Path:
        bank = self._bank
        if bank is None:
            raise ParamsError("family 'texture'", "has no overlay bank", "run `patina textures`")
        return bank


def _cut(folder: Path, overlay: Drawn, extent: tuple[int, ...]) -> Array:
    """The amplitude map over the tile, uint8 H×W: cropped in the pixels of the overlay, which
    is halved before until it is less than twice too large, then resized. One that is
    smaller than the tile is made large enough for it."""
    side = max(overlay["side"], *extent[:2])
    file = folder, overlay["name"], overlay["sha256"]
    bank = _halved(*file, max(1, _halved(*file, 0).shape[0] // side).bit_length() - 1)
    scale = bank.shape[0] / side
    height, width = extent[:2] if overlay["turn"] % 2 == 0 else extent[1::-1]
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    top = int(overlay["place"][0] * (bank.shape[0] - rows + 1))
    left = int(overlay["place"][1] * (bank.shape[1] - columns + 1))
    cut = bank[top : top + rows, left : left + columns]
    if (rows, columns) != (height, width):
        cut = cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)
    transposed, flip = SYMMETRIES[overlay["flip"]][overlay["turn"]]
    cut = cv2.transpose(cut) if transposed else cut
    return cut if flip is None else cv2.flip(cut, flip)


def _change(tile: Array, marks: Array, overlay: Drawn) -> Array:
    """How much lighter screen ``x + a(1 - x)`` and add ``x + a`` make the tile, or how much darker
    multiply ``x - ax`` does; uint8 like the tile."""
    if tile.shape[2] > 1:
        marks = cv2.merge([marks] * tile.shape[2])
    marks = marks.reshape(tile.shape)
    scale = overlay["opacity"] / 255
    if overlay["mode"] == "multiply":
        change = cv2.multiply(tile, marks, scale=scale)
    elif overlay["mode"] == "screen":
        room = cv2.bitwise_not(tile)
        change = cv2.multiply(room, marks, dst=room, scale=scale)
    else:
        change = cv2.min(
            cv2.convertScaleAbs(marks, alpha=overlay["opacity"]), cv2.bitwise_not(tile)
        )
    return change.reshape(tile.shape)


def _visible(change: Array) -> tuple[Array, Array]:
    """The mask of what can be seen in any channel, and the change there alone."""
    if change.shape[2] > 1:
        most = functools.reduce(cv2.max, cv2.split(change))
        seen = cv2.threshold(most, VISIBLE, 255, cv2.THRESH_BINARY)[1]
        return seen, cv2.copyTo(change, seen)
    seen = cv2.threshold(change, VISIBLE, 255, cv2.THRESH_BINARY)[1]
    return seen, cv2.threshold(change, VISIBLE, 255, cv2.THRESH_TOZERO, dst=change)[1]


def _bank_list(folder: Path) -> dict[str, str]:
    """Overlay name → sha256 of its file, sorted."""
    try:
        return dict(sorted(json.loads((folder / BANK_LIST).read_text())["overlays"].items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ParamsError(folder, "holds no overlay bank", "run `patina textures`") from None


def _overlay(folder: Path, name: str, sha256: str) -> Array:
    try:
        data = (folder / f"{name}.png").read_bytes()
    except OSError:
        data = b""
    if sha256_bytes(data) != sha256:
        raise ReplayError(
            folder / f"{name}.png", "is not the overlay drawn", "run `patina textures`"
        )
    return png.decode_mask(data)


@functools.lru_cache(maxsize=1024)
def _halved(folder: Path, name: str, sha256: str, times: int) -> Array:
    """An overlay at half its size, so many times."""
    if times == 0:
        return _overlay(folder, name, sha256)
    twice = _halved(folder, name, sha256, times - 1)
    size = max(1, twice.shape[1] // 2), max(1, twice.shape[0] // 2)
    return cv2.resize(twice, size, interpolation=cv2.INTER_AREA)
