"""Who fills shards and reads photos: this process, processes of this machine, or (shards) a Ray
cluster; the bytes never depend on it."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Protocol, TypeVar

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


class Processes:
    """Processes of this machine. Raises ShardError that begins with `where` when one of them
    dies."""

    def __init__(self, number: int, where: str = "synth") -> None:
        self.number, self.where = number, where

    def __call__(self, task: Callable[[Work], Done], items: Iterable[Work]) -> Iterator[Done]:
        """At most twice as many items are under way as there are processes."""
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.number, context, initializer=_start_worker) as pool:
            waiting = iter(items)
            running: set[Future[Done]] = set()
            try:
                while True:
                    for item in waiting:
                        running.add(pool.submit(task, item))
                        if len(running) >= 2 * self.number:
                            break
                    if not running:
                        return
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        yield future.result()
            except BrokenProcessPool:
                raise ShardError(
                    self.where, "a worker process died", "run it again, it goes on where it stopped"
                ) from None
            finally:
                for future in running:
                    future.cancel()


def _start_worker() -> None:
    """One thread a worker; a worker whose parent is gone ends itself."""
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
