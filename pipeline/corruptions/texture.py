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
from pydantic import Field, PrivateAttr, field_validator

from pipeline import png
from pipeline.config import Count, Share, Size, ordered
from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window
from pipeline.errors import ParamsError, ReplayError
from pipeline.files import sha256_bytes
from pipeline.images import resize

Mode = Literal["screen", "add", "multiply"]
VISIBLE = 4  # gray levels: a smaller change does not count as damage
TURNS = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
BANK_LIST = "bank.json"  # written last by the textures stage


@CORRUPTIONS.add
class Texture(Corruption):
    """`num_range`: overlays one after another; `scale_range`: the overlay's side against the
    photo's short side; `opacity_range`: strength of the blend; `modes`: screen and add lighten,
    multiply darkens.
    """

    extent = "local"
    version = 2
    num_range: tuple[Count, Count]
    scale_range: tuple[Size, Size]
    opacity_range: tuple[Share, Share]
    modes: tuple[Mode, ...] = Field(min_length=1)

    _ordered = field_validator("num_range", "scale_range", "opacity_range")(ordered)
    _bank: Path | None = PrivateAttr(None)

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
        bound._bank = textures
        return bound

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """Which overlays, where cut, how turned, how blended."""
        window = Window.of(shape)
        names = sorted(_bank_list(self._folder()))
        count = int(rng.integers(self.num_range[0], self.num_range[1] + 1))
        return {"overlays": [self._draw_one(window, names, rng) for _ in range(count)]}

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Blend; fainter changes than 4 gray levels are left out, so that the mask tells all."""
        out = tile
        for overlay in drawn["overlays"]:
            out = _blend(out, self._cut(overlay, tile.shape), overlay)
        if out is tile:
            return tile.copy(), np.zeros(tile.shape[:2], np.uint8)
        changed = cv2.absdiff(out, tile)
        if tile.shape[2] > 1:
            changed = functools.reduce(cv2.max, cv2.split(changed))
        mask = cv2.threshold(changed, VISIBLE, 255, cv2.THRESH_BINARY)[1]
        return cv2.copyTo(out, mask, tile.copy()).reshape(tile.shape), mask

    def severity(self, drawn: Drawn) -> float:
        """The strongest opacity."""
        return min(1.0, max((float(one["opacity"]) for one in drawn["overlays"]), default=0.0))

    def _draw_one(self, window: Window, names: list[str], rng: np.random.Generator) -> Drawn:
        name = names[int(rng.integers(len(names)))]
        return {
            "name": name,
            "sha256": _bank_list(self._folder())[name],
            "place": [round(float(value), 5) for value in rng.random(2)],
            "side": round(float(rng.uniform(*self.scale_range)) * window.photo_side),
            "turn": int(rng.integers(4)),
            "flip": bool(rng.integers(2)),
            "mode": self.modes[int(rng.integers(len(self.modes)))],
            "opacity": round(float(rng.uniform(*self.opacity_range)), 3),
        }

    def _cut(self, overlay: Drawn, extent: tuple[int, ...]) -> Array:
        """The amplitude map over the tile, uint8 H×W: cropped in the overlay's own pixels, then
        resized."""
        bank = _overlay(self._folder(), overlay["name"], overlay["sha256"])
        scale = bank.shape[0] / max(1, overlay["side"])
        height, width = extent[:2] if overlay["turn"] % 2 == 0 else extent[1::-1]
        rows = min(bank.shape[0], max(1, round(height * scale)))
        columns = min(bank.shape[1], max(1, round(width * scale)))
        top = int(overlay["place"][0] * (bank.shape[0] - rows + 1))
        left = int(overlay["place"][1] * (bank.shape[1] - columns + 1))
        cut = resize(bank[top : top + rows, left : left + columns], height, width)
        if overlay["turn"]:
            cut = cv2.rotate(cut, TURNS[overlay["turn"] - 1])
        return cv2.flip(cut, 1) if overlay["flip"] else cut

    def _folder(self) -> Path:
        if self._bank is None:
            raise ParamsError("family 'texture'", "has no overlay bank", "run `patina textures`")
        return self._bank


def _blend(tile: Array, amplitude: Array, overlay: Drawn) -> Array:
    """Screen ``x + a(1 - x)``, add ``x + a`` or multiply ``x - ax``, in 8 bits with saturation."""
    several = tile.shape[2] > 1
    marks = (cv2.merge([amplitude] * tile.shape[2]) if several else amplitude).reshape(tile.shape)
    if overlay["mode"] == "add":
        faded = cv2.convertScaleAbs(marks, alpha=overlay["opacity"])
        return cv2.add(tile, faded, dst=faded).reshape(tile.shape)
    scale = overlay["opacity"] / 255
    if overlay["mode"] == "multiply":
        lost = cv2.multiply(tile, marks, scale=scale)
        return cv2.subtract(tile, lost, dst=lost).reshape(tile.shape)
    gained = cv2.bitwise_not(tile)
    cv2.multiply(gained, marks, dst=gained, scale=scale)
    return cv2.add(tile, gained, dst=gained).reshape(tile.shape)


@functools.lru_cache(maxsize=8)
def _bank_list(folder: Path) -> dict[str, str]:
    """Overlay name → sha256 of its file."""
    try:
        return dict(json.loads((folder / BANK_LIST).read_text())["overlays"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ParamsError(folder, "holds no overlay bank", "run `patina textures`") from None


@functools.lru_cache(maxsize=512)
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
