"""Batches made by worker processes, and the next one on its way to the device."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial

import torch

from pipeline.errors import PipelineError, ShardError
from pipeline.stream.batches import Batch
from pipeline.stream.slots import Sender, Sent, Slots
from pipeline.stream.streams import Stream


class _Loader(torch.utils.data.IterableDataset[Batch | Sent | PipelineError]):
    """A worker's share of a stream, as torch's DataLoader wants it. `slots`: each worker's;
    `process`: the number of this training process, and how many there are.

    An expected failure travels as an item: DataLoader would turn it into a RuntimeError.
    """

    def __init__(
        self, stream: Stream, start: int, slots: list[Slots], process: tuple[int, int]
    ) -> None:
        self.stream, self.start, self.slots, self.process = stream, start, slots, process

    def __iter__(self) -> Iterator[Batch | Sent | PipelineError]:
        info = torch.utils.data.get_worker_info()
        worker, count = (0, 1) if info is None else (info.id, info.num_workers)
        (rank, size), start = self.process, self.start
        # Worker 0 must make the first batch that is asked for, whatever its number.
        dealt = (start + rank + size * worker) % (size * count)
        share = partial(self.stream.batches, start, dealt, size * count)
        try:
            if info is None:
                yield from share()
            else:
                sender = Sender(self.slots[worker])
                yield from map(sender.send, share(sender.new))
        except PipelineError as error:
            yield error


def load(
    stream: Stream, start: int, num_workers: int, rank: int = 0, size: int = 1
) -> Iterator[Batch]:
    """Batches ``start + rank, start + rank + size, …``, made by worker processes (0: in this one),
    in pinned memory where there is a card."""
    if num_workers and stream.section.num_streams % num_workers:
        next(stream.batches(start, 0, num_workers))  # tells the user, in this process
    room = 3 * stream.section.batch_size * stream.section.crop**2
    loader = torch.utils.data.DataLoader(
        _Loader(stream, start, [Slots(room) for _ in range(num_workers)], (rank, size)),
        batch_size=None,
        num_workers=num_workers,
        multiprocessing_context="spawn" if num_workers else None,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_leave_signals,
    )
    return _raise_errors(iter(loader))


def prefetch(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches as floats on `device`. To a card the next one travels, on a CUDA stream of its
    own, while the current one is used; elsewhere each is converted when it is asked for."""
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    aside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def send() -> Batch | None:
        batch = next(batches, None)
        with torch.cuda.stream(aside):
            return None if batch is None else batch.to(device)

    ahead = send()
    while ahead is not None:
        using = torch.cuda.current_stream(device)
        using.wait_stream(aside)
        for part in ahead:
            if part is not None:
                part.record_stream(using)  # or its memory could be given away too early
        current, ahead = ahead, send()
        yield current


def _leave_signals(worker: int) -> None:
    """Ctrl-C and SIGTERM reach a whole process group; the training decides when its loaders
    end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _raise_errors(items: Iterator[Batch | Sent | PipelineError]) -> Iterator[Batch]:
    try:
        for item in items:
            if isinstance(item, PipelineError):
                raise item
            yield item.batch() if isinstance(item, Sent) else item
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise ShardError(
            "loader", "a worker process died", "run it again, it goes on where it stopped"
        ) from None
