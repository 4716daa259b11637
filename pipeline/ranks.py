"""The processes that train one system together: which of them this one is, and what they tell each
other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from pipeline.errors import ParamsError, PipelineError, TrainingError

T = TypeVar("T")


class ElsewhereError(PipelineError):
    """Another process tells why the training ends; this one ends without a word."""

    def __init__(self) -> None:
        super().__init__("training", "another process ended it", "read what that one says")

    @property
    def lines(self) -> list[str]:
        """None."""
        return []


class Ranks:
    """`size` processes, of which this one is number `rank`, and `here` are on this machine; one
    process that nobody started others beside has no `fabric`.

    Each exchange begins with a roll call, which a process that failed answers too, whatever the
    others do meanwhile (see `join`): so nobody waits for one that will not come.
    """

    def __init__(
        self, device: str = "cpu", fabric: Fabric | None = None, size: int = 1, here: int = 1
    ) -> None:
        self.device, self.size, self.here = device, size, here
        self.rank = fabric.global_rank if fabric else 0
        self.lost = False
        self._fabric = fabric

    @property
    def first(self) -> bool:
        """Does this process touch the disk, validate, and talk?"""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Is there nobody to tell anything?"""
        return self._fabric is None

    @property
    def devices(self) -> Any:
        """The one device of this process, as Fabric wants it."""
        if self._fabric is None or self._fabric.device.index is None:
            return 1
        return [self._fabric.device.index]

    def own(self, count: int) -> range:
        """The numbers of this process among `count` that are dealt out in turn."""
        return range(self.rank, count, self.size)

    def roll_call(self, flag: bool = False, failed: bool = False) -> bool:
        """Wait for all. Has any of them raised its `flag`?

        Raises ElsewhereError when a process `failed`, but for the lowest of those, and when one
        has died.
        """
        if self.alone:
            return flag
        told = torch.tensor([self.rank if failed else self.size, 0 if flag else 1])
        with self._connected():
            dist.all_reduce(told, dist.ReduceOp.MIN)
        speaker, down = told.tolist()
        if speaker < self.size and not (failed and speaker == self.rank):
            raise ElsewhereError
        return bool(down == 0)

    def add_up(self, tensors: Sequence[torch.Tensor]) -> None:
        """Let each tensor become, in place, its sum over all processes; all give the same shapes
        and types, in the same order."""
        if self.alone:
            return
        self.roll_call()
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            alike = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in alike])
            with self._connected():
                dist.all_reduce(flat)
            parts = torch.split(flat, [tensor.numel() for tensor in alike])
            for tensor, part in zip(alike, parts, strict=True):
                tensor.detach().copy_(part.view(tensor.shape))

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first process makes, for all; tensors have to lie in the processor's memory."""
        if self._fabric is None:
            return make()
        made = [make()] if self.first else []
        self.roll_call()
        with self._connected():
            return self._fabric.broadcast(made)[0]

    def stop(self, where: str) -> NoReturn:
        """End all at once, when the first has written what it wanted to; it alone tells."""
        self.roll_call()
        if self.first:
            raise KeyboardInterrupt(where)
        raise ElsewhereError

    def outlive(self) -> None:
        """Wait until another process has ended. torchrun ends the rest when one does, so whoever
        has something to tell, or to write, must be the first to go."""
        if not self.lost:
            with suppress(RuntimeError):
                dist.all_reduce(torch.zeros(1))

    @contextmanager
    def _connected(self) -> Iterator[None]:
        """One that died breaks the connections of all."""
        try:
            yield
        except RuntimeError:
            self.lost = True
            if not self.first:
                raise ElsewhereError from None
            what = "one of its processes died"
            step = "run it again, it goes on where it was saved"
            raise TrainingError("training", what, step) from None


@contextmanager
def join(choose_device: Callable[[], str]) -> Iterator[Ranks]:
    """The processes that torchrun started, or this one alone, on the device that is chosen.

    What fails in one of them ends all: the lowest that failed raises its error, the others
    ElsewhereError.
    """
    if not dist.is_torchelastic_launched():
        yield Ranks(choose_device())
        return
    ranks = _meet(choose_device)
    try:
        yield ranks
        ranks.roll_call()  # the first may still have been publishing
    except ElsewhereError:
        ranks.outlive()
        raise
    except KeyboardInterrupt:
        if ranks.first:
            raise
        raise ElsewhereError from None
    except Exception:
        if not ranks.lost:
            _answer_failed(ranks)
        raise
    dist.destroy_process_group()


def _answer_failed(ranks: Ranks) -> None:
    try:
        ranks.roll_call(failed=True)
    except ElsewhereError:
        ranks.outlive()
        raise ElsewhereError from None


def _meet(choose_device: Callable[[], str]) -> Ranks:
    """Lightning Fabric forms the group, of the processes that torchrun's variables tell of."""
    size, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    try:
        device = choose_device()
        if device == "cuda" and here > torch.cuda.device_count():
            what = f"{here} processes on a machine with {torch.cuda.device_count()} GPUs"
            raise ParamsError("torchrun", what, "start one for each GPU, or use --device cpu")
        if size % here:
            what = f"{here} of {size} processes are on this machine, elsewhere another number"
            raise ParamsError("torchrun", what, "start the same number on each machine")
    except PipelineError:
        if os.environ["LOCAL_RANK"] == "0":
            raise
        raise ElsewhereError from None
    # Roll calls go through the processors: they wait for no kernel of a card.
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    fabric = Fabric(
        accelerator=device,
        devices=here,
        num_nodes=size // here,
        strategy=DDPStrategy(process_group_backend=backend),
    )
    fabric.launch()
    return Ranks(device, fabric, size, here)
