"""Pictures as small files for a page."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.images import Array, encode_jpeg, resize

SHOWN_SIDE = 384  # px; larger pictures are shown smaller
SMALLER = (1.0, 0.8, 0.65, 0.5)  # of it, until a page's pictures fit


def shrink(picture: Array, side: int = SHOWN_SIDE) -> Array:
    """The picture with its longer side cut down to `side` (px), where it is longer."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, round(length * scale)) for length in picture.shape[:2])
    return resize(picture, height, width)


def encode_all(pictures: Sequence[Array], quality: int, most: int) -> list[bytes]:
    """JPEG (4:4:4) of each uint8 H×W×3 or H×W×1 picture: as large as fits `most` bytes for all of
    them, from 384 px a side down to half of that, where it stops."""
    made: list[bytes] = []
    for share in SMALLER:
        side = round(SHOWN_SIDE * share)
        made = [encode_jpeg(shrink(picture, side), quality) for picture in pictures]
        if sum(map(len, made)) <= most:
            break
    return made
