"""Who fills shards and reads photos: this process, processes of this machine, or (shards) a Ray
cluster; the bytes never depend on it."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar

import cv2

from pipeline.errors import ShardError

Work = TypeVar("Work")
Done = TypeVar("Done")


class Executor(Protocol):
    """Does `task` for every item, and gives the results as they come."""

    def __call__(self, task: Callable[[Work], Done], items: Iterable[Work]) -> Iterator[Done]: ...


def run_here(task: Callable[[Work], Done], items: Iterable[Work]) -> Iterator[Done]:
    """One after the other, in this process."""
    return map(task, items)


class WorkerDiedError(ShardError):
    """A worker process died; `lost` are the items that were under way, the deadly one among
    them."""

    def __init__(self, where: str, lost: list[Any]) -> None:
        super().__init__(
            where, "a worker process died", "run it again, it goes on where it stopped"
        )
        self.lost = lost

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.where, self.lost)


class Processes:
    """Processes of this machine. When one of them dies, raises WorkerDiedError that begins with
    `where`, after the results that are there; items that it did not take may still be done."""

    def __init__(self, number: int, where: str = "synth") -> None:
        self.number, self.where = number, where

    def __call__(self, task: Callable[[Work], Done], items: Iterable[Work]) -> Iterator[Done]:
        """At most twice as many items are under way as there are processes."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.number, context, initializer=_start_worker) as pool:
            waiting = iter(items)
            running: dict[Future[Done], Work] = {}
            lost: list[Work] = []
            try:
                while True:
                    if not lost:
                        lost += self._submit(pool, task, waiting, running)
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        item = running.pop(future)
                        if isinstance(future.exception(), BrokenProcessPool):
                            lost.append(item)
                        else:
                            yield future.result()
            finally:
                for future in running:
                    future.cancel()
        if lost:
            raise WorkerDiedError(self.where, lost)

    def _submit(
        self,
        pool: ProcessPoolExecutor,
        task: Callable[[Work], Done],
        waiting: Iterator[Work],
        running: dict[Future[Done], Work],
    ) -> list[Work]:
        """As many as may be under way; the one, if any, that came when a process had died."""
        for item in itertools.islice(waiting, 2 * self.number - len(running)):
            try:
                running[pool.submit(task, item)] = item
            except BrokenProcessPool:
                return [item]
        return []


def _start_worker() -> None:
    """One thread a worker; a worker whose parent is gone ends itself."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
