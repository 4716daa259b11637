"""Samples gathered into batches: uint8 as workers make them, floats on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from pipeline.samples import Array

New = Callable[[tuple[int, ...]], torch.Tensor]
AROUND = {(False, False): None, (True, False): 0, (False, True): 1, (True, True): -1}  # cv2.flip's


class Arrays(NamedTuple):
    """One sample: uint8 H×W×C pictures, uint8 H×W masks; views are welcome."""

    clean: Array
    corrupted: Array
    mask: Array
    keep: Array | None = None

    @property
    def channels(self) -> tuple[int, int]:
        """Of the damaged and of the clean picture."""
        return self.corrupted.shape[2], self.clean.shape[2]


class Batch(NamedTuple):
    """uint8 NHWC pictures and NHW1 masks as the workers make them; float32 NCHW in [0, 1] on the
    device. `keep` is None where no sample has one, and 0 for a sample without."""

    clean: torch.Tensor
    corrupted: torch.Tensor
    mask: torch.Tensor
    keep: torch.Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Moved, then converted there: a quarter of the bytes travel. The memory stays
        channels-last. What is float already is only moved."""
        clean, corrupted, mask = (_sent(part, device) for part in self[:3])
        return Batch(
            clean, corrupted, mask, None if self.keep is None else _sent(self.keep, device)
        )


def to_batch(
    samples: Sequence[tuple[Array, Array, Array]], keeps: Sequence[Array | None] | None = None
) -> Batch:
    """Samples (clean, corrupted, mask) of one size as a uint8 batch, with the keep masks of those
    that have one."""
    kept = keeps or [None] * len(samples)
    return gather([Arrays(*sample, keep) for sample, keep in zip(samples, kept, strict=True)])


def gather(samples: Sequence[Arrays]) -> Batch:
    """Samples of one size as a uint8 batch."""
    filling = Filling(len(samples))
    for sample in samples:
        filling.add(sample)
    return filling.batch()


class Filling:
    """A batch of `size` samples in the making: each pixel is copied once, to where it stays, while
    it is still in the cache.

    With `channels` (of the damaged and of the clean pictures), gray ones become RGB where 3 are
    wanted. `new` makes the uint8 tensors.
    """

    def __init__(
        self, size: int, channels: tuple[int, int] | None = None, new: New | None = None
    ) -> None:
        self.size, self.channels, self._new = size, channels, new or fresh
        self._columns: dict[str, torch.Tensor] = {}
        self._places: dict[str, Array] = {}
        self._num = 0

    def add(self, sample: Arrays) -> None:
        """The next sample; all are of one size."""
        damaged, clean = self.channels or sample.channels
        self._put("clean", sample.clean, clean)
        self._put("corrupted", sample.corrupted, damaged)
        self._put("mask", sample.mask[:, :, None], 1)
        if sample.keep is not None:
            self._put("keep", sample.keep[:, :, None], 1)
        elif "keep" in self._places:
            self._places["keep"][self._num] = 0
        self._num += 1

    def batch(self) -> Batch:
        """What came, once all have come."""
        assert self._num == self.size
        return Batch(**self._columns)

    def _put(self, name: str, array: Array, channels: int) -> None:
        if name not in self._places:
            column = self._columns[name] = self._new((self.size, *array.shape[:2], channels))
            self._places[name] = column.numpy()
            self._places[name][: self._num] = 0  # those before had none
        place = self._places[name][self._num]
        if array.shape[2] < channels:
            cv2.cvtColor(np.ascontiguousarray(array), cv2.COLOR_GRAY2RGB, place)
        else:
            copy_turned(array, place)


def fresh(shape: tuple[int, ...]) -> torch.Tensor:
    """A uint8 tensor of this process."""
    return torch.empty(shape, dtype=torch.uint8)


def copy_turned(view: Array, out: Array) -> None:
    """``out[...] = view`` of H×W×C, 40 times as fast as numpy where the view is mirrored or
    turned: there it moves single pixels, OpenCV whole registers."""
    rows, columns = view.strides[:2]
    if min(view.shape[:2]) == 1 or view.dtype != np.uint8 or not out.flags.c_contiguous:
        out[...] = view
        return
    source = view[:: -1 if rows < 0 else 1, :: -1 if columns < 0 else 1]
    if abs(rows) < abs(columns):
        # Aside first: `out` may lie far off, and transposing jumps about in it.
        source = cv2.transpose(source.swapaxes(0, 1)).reshape(view.shape)
    around = AROUND[rows < 0, columns < 0]
    if around is None:
        out[...] = source
    else:
        cv2.flip(source, around, out)


def _sent(part: torch.Tensor, device: torch.device) -> torch.Tensor:
    part = part.to(device, non_blocking=True)
    if part.is_floating_point():
        return part
    return part.permute(0, 3, 1, 2).to(torch.float32).mul_(1 / 255)
