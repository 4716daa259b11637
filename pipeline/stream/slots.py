"""Memory that a worker process shares with the training, used again and again: what is new costs
a page fault for each 4 KiB, on both sides, which is a third of a worker's time."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.stream.batches import Batch

NUM_SLOTS = 24  # columns of 5 or 6 batches: made, waiting and in use; touched only when needed

_numbers = itertools.count()
_open: weakref.WeakValueDictionary[int, Slots] = weakref.WeakValueDictionary()  # of this process


class Slots:
    """`NUM_SLOTS` pieces of `size` bytes: the worker takes one and fills it, the training gives it
    back as soon as nobody holds what lies there any more. Each side only ever writes the mark that
    the other one waits for."""

    def __init__(self, size: int) -> None:
        self.size, self.number = size, next(_numbers)
        _open[self.number] = self
        self._marks, self._memory = shared((NUM_SLOTS,)), shared((NUM_SLOTS, size))
        self._marks[:] = 0

    def take(self, shape: Sequence[int]) -> tuple[int, torch.Tensor] | None:
        """A free slot and a uint8 tensor in it; None where all are in use, or are too small."""
        free = np.flatnonzero(self._marks.numpy() == 0)
        if not len(free) or math.prod(shape) > self.size:
            return None
        self._marks[free[0]] = 1
        return int(free[0]), self._memory[free[0], : math.prod(shape)].view(*shape)

    def lent(self, slot: int, shape: Sequence[int]) -> torch.Tensor:
        """What lies there; the slot is free again once the last tensor of its memory is gone."""
        array = self._memory.numpy()[slot, : math.prod(shape)].reshape(shape)
        weakref.finalize(array, self._give_back, slot).atexit = False
        return torch.from_numpy(array)  # which holds the array as long as its memory is used

    def _give_back(self, slot: int) -> None:
        self._marks.numpy()[slot] = 0


@dataclass(frozen=True)
class Sent:
    """A batch on its way: of each column its slot and shape, or itself where none was free.
    `number` of the slots."""

    number: int
    columns: tuple[tuple[int, tuple[int, ...]] | torch.Tensor | None, ...]

    def batch(self) -> Batch:
        """The batch, in the process that made the slots."""
        return self._as(lambda part: part)

    def pin_memory(self) -> Batch:
        """The same in pinned memory; called by torch's own thread for it."""
        return self._as(torch.Tensor.pin_memory)

    def _as(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Batch:
        lent = _open[self.number].lent
        parts = [lent(*part) if isinstance(part, tuple) else part for part in self.columns]
        clean, corrupted, mask, keep = (None if part is None else change(part) for part in parts)
        assert clean is not None and corrupted is not None and mask is not None
        return Batch(clean, corrupted, mask, keep)


class Sender:
    """Makes the memory that a worker's batches are written to, and sends what lies in it."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._taken: dict[int, int] = {}  # by address

    def new(self, shape: tuple[int, ...]) -> torch.Tensor:
        """A uint8 tensor; shared, also if no slot is free: else a thread would copy it to where it
        is shared, and one that copies while its process ends aborts it."""
        found = self.slots.take(shape)
        if found is None:
            return shared(shape)
        self._taken[found[1].data_ptr()] = found[0]
        return found[1]

    def send(self, batch: Batch) -> Sent:
        """To be made a batch again by `Sent.batch`."""
        return Sent(self.slots.number, tuple(self._sent(part) for part in batch))

    def _sent(self, part: torch.Tensor | None) -> tuple[int, tuple[int, ...]] | torch.Tensor | None:
        slot = None if part is None else self._taken.pop(part.data_ptr(), None)
        return part if part is None or slot is None else (slot, tuple(part.shape))


def shared(shape: tuple[int, ...]) -> torch.Tensor:
    """A uint8 tensor that other processes can be given."""
    storage = torch.UntypedStorage._new_shared(math.prod(shape))  # type: ignore[no-untyped-call]
    return torch.empty(0, dtype=torch.uint8).set_(storage).view(shape)
