"""Restores pictures of any size with a network that takes one size only: overlapping tiles,
blended."""

from __future__ import annotations

from collections.abc import Callable

import torch

from pipeline.systems import Tensor, pad_to_multiple


def restore_tiles(
    x: Tensor, tile: int, overlap: int, restore: Callable[[Tensor], Tensor]
) -> Tensor:
    """`restore` maps M×C×tile×tile to M×C'×tile×tile; NCHW of any height and width goes in and
    comes back as float32 N×C'×H×W.

    Neighbours share at least `overlap` px (< `tile`) and are blended linearly there. Sides shorter
    than a tile are padded by reflection (by the edge where that does not reach) and cropped back.
    """
    height, width = x.shape[-2:]
    rows, columns = max(height, tile), max(width, tile)
    x = pad_to_multiple(x, tile)[..., :rows, :columns]
    lefts, across = _windows(columns, tile, overlap), _weights(columns, tile, overlap, x)
    total: Tensor | None = None
    for top, down in zip(
        _windows(rows, tile, overlap), _weights(rows, tile, overlap, x), strict=True
    ):
        crops = torch.cat([x[..., top : top + tile, left : left + tile] for left in lefts])
        for left, weights, made in zip(
            lefts, across, restore(crops).float().chunk(len(lefts)), strict=True
        ):
            if total is None:
                total = made.new_zeros(x.shape[0], made.shape[1], rows, columns)
            total[..., top : top + tile, left : left + tile] += made * down[:, None] * weights
    assert total is not None
    return total[..., :height, :width]


def _windows(length: int, tile: int, overlap: int) -> list[int]:
    """Starts of tiles, evenly spread."""
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    return [round(number * (length - tile) / max(1, count - 1)) for number in range(count)]


def _weights(length: int, tile: int, overlap: int, like: Tensor) -> list[Tensor]:
    """For each tile along a side, how much of each pixel it gives: they sum to 1.

    A tile's share rises linearly over `overlap` px where a neighbour reaches into it.
    """
    starts = _windows(length, tile, overlap)
    shape = torch.ones(len(starts), tile, dtype=torch.float32, device=like.device)
    ramp = torch.arange(1, overlap + 1, dtype=torch.float32, device=like.device) / (overlap + 1)
    for number in range(len(starts)):
        if number > 0:
            shape[number, :overlap] = ramp
        if number < len(starts) - 1:
            end = shape[number, tile - overlap :]
            torch.minimum(end, ramp.flip(0), out=end)
    total = like.new_zeros(length, dtype=torch.float32)
    for start, share in zip(starts, shape, strict=True):
        total[start : start + tile] += share
    return [share / total[start : start + tile] for start, share in zip(starts, shape, strict=True)]
