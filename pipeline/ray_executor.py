"""Shards made by the tasks of a Ray cluster: one that is started here, or one that runs already."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar

import cv2
import numpy as np

import pipeline
from pipeline.errors import ParamsError, PipelineError, ShardError
from pipeline.files import TEMPORARY

Work = TypeVar("Work")
Done = TypeVar("Done")

LOCAL = "local"
NUM_RETRIES = 5  # of an item whose worker or machine died
STORE_BYTES = 100 << 20  # shared memory of a cluster started here: only manifest rows pass it
PATIENCE = 10.0  # seconds for a cluster to answer
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": "Raylet is terminated",  # tens of lines for each lost machine
}


@dataclass(frozen=True)
class RayExecutor:
    """An `executors.Executor`. An item is done again when its worker or its machine dies.

    `address`: "local" starts a cluster on this machine with `number` workers (0: one a core);
    "auto" or ``host:port`` joins one and has at most `number` items under way (0: two a core).
    Workers get this very `pipeline` package; they need the same environment, the files `reads`, and
    the folder `writes`, under the same paths.
    """

    address: str = LOCAL
    number: int = 0
    reads: tuple[Path, ...] = ()
    writes: Path | None = None

    def __call__(self, task: Callable[[Work], Done], items: Iterable[Work]) -> Iterator[Done]:
        """The results as they come. Raises what a task expectedly raises, and ShardError when an
        item died too often."""
        waiting = iter(items)
        if not (first := list(islice(waiting, 1))):
            return
        with contextlib.ExitStack() as stack:
            paths = [*self.reads]
            if self.writes is not None:  # seen by all who share the folder, not a namesake of it
                beacon = stack.enter_context(NamedTemporaryFile(prefix=TEMPORARY, dir=self.writes))
                paths.append(Path(beacon.name))
            ray = stack.enter_context(self._cluster())
            remote = ray.remote(num_cpus=1, max_retries=NUM_RETRIES)(_work)
            fixed = ray.put(task), Needs(tuple(paths))
            try:
                yield from self._results(ray, remote, fixed, chain(first, waiting))
            except ray.exceptions.RayTaskError:
                raise  # a mistake in the code: its traceback is wanted
            except ray.exceptions.RayError as error:
                what = f"Ray gave up ({type(error).__name__})"
                step = "run it again, it goes on where it stopped"
                raise ShardError("synth", what, step) from None

    def _results(
        self, ray: Any, remote: Any, fixed: tuple[Any, Needs], items: Iterator[Any]
    ) -> Iterator[Any]:
        running: list[Any] = []
        while True:
            free = max(0, self._most(ray) - len(running))
            running += [remote.remote(*fixed, item) for item in islice(items, free)]
            if not running:
                return
            ready, running = ray.wait(running, num_returns=1)
            for result in ray.get(ready):
                if isinstance(result, Failed):
                    raise result.error
                yield result

    def _most(self, ray: Any) -> int:
        """How many items may be under way: the cluster may have grown or shrunk."""
        if self.number and self.address != LOCAL:
            return self.number
        return max(2, 2 * int(ray.cluster_resources().get("CPU", 0)))

    @contextlib.contextmanager
    def _cluster(self) -> Iterator[Any]:
        """The module `ray`, connected. Leaving it ends all tasks of ours."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        try:
            import ray
        except ImportError:
            step = "run .venv/bin/python -m pip install -c constraints.txt -e '.[ray]'"
            raise ParamsError("executor ray", "is not installed", step) from None
        logging.getLogger("ray").setLevel(logging.ERROR)
        with _own_signals() as restore:
            self._connect(ray)
            restore()
            try:
                yield ray
            finally:
                ray.shutdown()

    def _connect(self, ray: Any) -> None:
        options: dict[str, Any] = {
            "runtime_env": {"py_modules": [pipeline.__path__[0]]},
            "log_to_driver": False,
            "configure_logging": False,
        }
        if self.address == LOCAL:
            options |= {
                "num_cpus": self.number or os.cpu_count() or 1,
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
            }
        try:
            _knock(self.address)
            ray.init(self.address, **options)
        except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            what = " ".join(str(error).split())[:200]
            step = "start one with `ray start --head`, or use the address local"
            raise ParamsError(f"Ray at {self.address}", what, step) from None


@dataclass(frozen=True)
class Needs:
    """What a machine must have to make the same shards: `paths`, and versions that draw alike."""

    paths: tuple[Path, ...]
    opencv: str = cv2.__version__
    numpy: str = np.__version__

    def check(self) -> None:
        """Raises ShardError on a machine that has not."""
        host = socket.gethostname()
        if (self.opencv, self.numpy) != (cv2.__version__, np.__version__):
            what = f"has OpenCV {cv2.__version__} and numpy {np.__version__}"
            raise ShardError(host, what, f"install OpenCV {self.opencv} and numpy {self.numpy}")
        for path in self.paths:
            if not path.exists():
                step = "share that folder among all machines (shards may go to a URL instead)"
                raise ShardError(host, f"does not see {path}", step)


@dataclass(frozen=True)
class Failed:
    """An expected failure of a task, brought home whole."""

    error: Exception


def _work(task: Callable[[Work], Done], needs: Needs, item: Work) -> Done | Failed:
    """What runs on the cluster."""
    cv2.setNumThreads(1)
    try:
        needs.check()
        return task(item)
    except (PipelineError, OSError) as error:
        return Failed(error)


def _knock(address: str) -> None:
    """Raises OSError where nobody listens: Ray itself would try for minutes."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS", "")
    if found := re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:(\d+)", address):
        socket.create_connection((found[1], int(found[2])), PATIENCE).close()


@contextlib.contextmanager
def _own_signals() -> Iterator[Callable[[], None]]:
    """Yield what puts the caller's SIGTERM handler back, for Ray replaces it; so does the end."""
    mine = signal.getsignal(signal.SIGTERM)

    def restore() -> None:
        if mine is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, mine)

    try:
        yield restore
    finally:
        restore()
