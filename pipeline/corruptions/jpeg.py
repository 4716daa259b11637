"""Blocks, ringing and washed-out color of a photo that was stored too small."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import cv2
import numpy as np
from pydantic import Field

from pipeline.corruptions import CORRUPTIONS, Array, Corruption, Drawn, Window, no_mask
from pipeline.corruptions.base import count_in, one_of
from pipeline.images import decode_jpeg, decode_webp, encode_jpeg, encode_webp, to_gray

Kind = Literal["jpeg", "webp"]
Quality = Annotated[int, Field(ge=1, le=100)]
UNTOUCHED, WORST = 100, 5  # quality
BLOCK = 16  # px: one block of color at half size, two of light
WEBP_LIMIT = 16383  # px


@CORRUPTIONS.add
class Jpeg(Corruption):
    """`quality_range`: of libjpeg or libwebp; 100 stands for not coded at all. `kinds`: the codecs.

    Color is stored at half size, as nearly all programs do. Blocks lie on the photo's grid: a tile
    may begin anywhere inside one.
    """

    extent = "global"
    kinds: tuple[Kind, ...] = Field(min_length=1)
    quality_range: tuple[Quality, Quality]

    @classmethod
    def at(cls, severity: float) -> Self:
        """Both codecs, at one quality."""
        quality = round(UNTOUCHED * (WORST / UNTOUCHED) ** severity)
        return cls(kinds=("jpeg", "webp"), quality_range=(quality, quality))

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """A codec, a quality, and how far the tile starts inside a block (px)."""
        window = Window.of(shape)
        place, kind = window.place(rng), one_of(self.kinds, rng)
        fits = max(window.height, window.width) + 2 * BLOCK <= WEBP_LIMIT
        return {
            "kind": kind if fits else "jpeg",
            "quality": count_in(self.quality_range, rng),
            "phase": [place.top % BLOCK, place.left % BLOCK],
        }

    def apply(self, tile: Array, drawn: Drawn) -> tuple[Array, Array]:
        """Fill up to whole blocks by mirroring, encode, decode, cut."""
        if drawn["quality"] == UNTOUCHED:
            return tile.copy(), no_mask(tile)
        (top, left), (height, width, channels) = drawn["phase"], tile.shape
        below, right = -(top + height) % BLOCK, -(left + width) % BLOCK
        whole = cv2.copyMakeBorder(tile, top, below, left, right, cv2.BORDER_REFLECT_101)
        whole = whole.reshape(*whole.shape[:2], channels)
        if drawn["kind"] == "jpeg":
            coded = decode_jpeg(encode_jpeg(whole, drawn["quality"], halved_color=True))
        else:
            coded = decode_webp(encode_webp(whole, drawn["quality"]))
            coded = to_gray(coded) if channels == 1 else coded
        cut = coded[top : top + height, left : left + width]
        return np.ascontiguousarray(cut), no_mask(tile)

    def severity(self, drawn: Drawn) -> float:
        """The quality, from 100 down to 5 on a scale of ratios: the eye sees little above 50."""
        lost = math.log(UNTOUCHED / drawn["quality"]) / math.log(UNTOUCHED / WORST)
        return min(1.0, lost)
