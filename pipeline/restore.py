"""A real photo restored at its own size: tile by tile, seams blended, depth and metadata kept."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
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
    sepia tone stays, unless it is one that colors. A 16-bit photo gets the predicted change on top
    of its full depth.
    """
    full = int(np.iinfo(picture.pixels.dtype).max)
    restored = np.empty_like(picture.pixels)
    height, width = restored.shape[:2]
    degraded = _judge(picture, system, device)
    # Only the rows that a later row of tiles still touches are held as floats.
    change = np.zeros((0, width, system.target_channels), np.float32)
    total = np.zeros((0, width, 1), np.float32)
    bands = [list(band) for _, band in groupby(plan_windows(height, width), _top)]
    for band, below in zip(bands, [*bands[1:], None], strict=True):
        top, bottom = band[0].rows.start, band[0].rows.stop
        change, total = _grow(change, bottom - top), _grow(total, bottom - top)
        for window in band:
            tile, seen = _see(picture, window, system)
            before = seen if system.target_channels == system.channels else tile
            after = _restore_tile(seen, system, device, degraded).astype(np.float32)
            difference = after - before
            change[:, window.columns] += difference * window.weights
            total[:, window.columns] += window.weights
        end = height if below is None else below[0].rows.start
        done = end - top
        levels = np.rint(change[:done] / total[:done] * (full / 255)).astype(np.int32)
        restored[top:end] = np.clip(picture.pixels[top:end] + levels, 0, full)
        change, total = change[done:], total[done:]
    return restored


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


def _top(window: Window) -> int:
    return int(window.rows.start)


def _grow(band: Array, height: int) -> Array:
    """The band with empty rows below, down to `height`."""
    rows = np.zeros((height - band.shape[0], *band.shape[1:]), band.dtype)
    return np.concatenate([band, rows])


def _see(picture: Picture, window: Window, system: System) -> tuple[Array, Array]:
    """A tile of the photo, uint8 H×W×3, and what the system sees of it."""
    tile = images.to_uint8(picture.pixels[window.rows, window.columns])
    return tile, images.to_gray(tile) if system.channels == 1 else tile


@torch.no_grad()
def _judge(picture: Picture, system: System, device: torch.device) -> torch.Tensor | None:
    """Whether the whole photo is degraded must not change from tile to tile: the mean over all of
    them, by their size."""
    sums, pixels = torch.zeros(()), 0
    for window in plan_windows(*picture.pixels.shape[:2]):
        _, seen = _see(picture, window, system)
        judged = system.judge(_to_tensor(seen, device))
        if judged is None:
            return None
        sums += judged.float().mean().cpu() * seen[..., 0].size
        pixels += seen[..., 0].size
    return (sums / pixels).to(device)


@torch.no_grad()
def _restore_tile(
    tile: Array, system: System, device: torch.device, degraded: torch.Tensor | None
) -> Array:
    x = _to_tensor(tile, device)
    levels = (system.restore(x, degraded=degraded).composite[0] * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().numpy()


def _to_tensor(tile: Array, device: torch.device) -> torch.Tensor:
    x = torch.from_numpy(np.ascontiguousarray(tile))[None].to(device)
    return x.permute(0, 3, 1, 2).to(torch.float32) / 255
