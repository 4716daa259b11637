"""A real photo restored at its own size: tile by tile, seams blended, depth and metadata kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from pipeline import images
from pipeline.images import Array
from pipeline.photos import Picture
from pipeline.systems import System

TILE, OVERLAP = 512, 64  # px; the overlap is blended linearly


class Window(NamedTuple):
    """A tile of the photo and its blending weights, float32 H×W×1."""

    rows: slice
    columns: slice
    weights: Array


def restore_picture(picture: Picture, system: System, device: torch.device) -> Array:
    """The restored pixels: the size, depth and channels of ``picture.pixels``, H×W×3.

    A gray system works on the luma; what it changes there is added to all three channels, so that a
    sepia tone stays. A 16-bit photo gets the predicted change on top of its full depth.
    """
    eight = images.to_uint8(picture.pixels)
    seen = images.to_gray(eight) if system.channels == 1 else eight
    change = np.zeros(seen.shape, np.float32)
    total = np.zeros((*seen.shape[:2], 1), np.float32)
    for window in plan_windows(*seen.shape[:2]):
        tile = seen[window.rows, window.columns]
        restored = _restore_tile(tile, system, device)
        difference = restored.astype(np.float32) - tile
        change[window.rows, window.columns] += difference * window.weights
        total[window.rows, window.columns] += window.weights
    change /= total
    full = int(np.iinfo(picture.pixels.dtype).max)
    pixels = picture.pixels + np.rint(change * (full / 255))
    changed: Array = np.clip(pixels, 0, full).astype(picture.pixels.dtype)
    return changed


def plan_windows(height: int, width: int) -> Iterator[Window]:
    """Tiles that cover a photo and overlap, in reading order."""
    tops, lefts = images.windows(height, TILE, OVERLAP), images.windows(width, TILE, OVERLAP)
    for top in tops:
        rows = slice(top, min(height, top + TILE))
        down = images.feather(rows.stop - top, OVERLAP, top == 0, rows.stop == height)
        for left in lefts:
            columns = slice(left, min(width, left + TILE))
            across = images.feather(columns.stop - left, OVERLAP, left == 0, columns.stop == width)
            yield Window(rows, columns, (down[:, None] * across)[:, :, None])


@torch.no_grad()
def _restore_tile(tile: Array, system: System, device: torch.device) -> Array:
    x = torch.from_numpy(np.ascontiguousarray(tile))[None].to(device)
    x = x.permute(0, 3, 1, 2).to(torch.float32) / 255
    levels = (system.restore(x).composite[0] * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().numpy()
