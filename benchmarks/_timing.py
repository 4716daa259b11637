"""Times taken side by side: A B A B, medians of process CPU time, one thread a library."""

import os
import statistics
import time
from collections.abc import Callable

import cv2

Task = Callable[[], object]
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}


def one_thread() -> None:
    """For this process; `ONE_THREAD` is the environment for others."""
    cv2.setNumThreads(1)
    os.environ.update(ONE_THREAD)


def cpu_seconds(task: Task) -> float:
    """CPU time of this process that a task takes."""
    start = time.process_time()
    task()
    return time.process_time() - start


def interleaved(tasks: dict[str, Task], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each task, all of them `repeats` times in turns; the median of three
    and more forgets the first one, which fills the caches."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            taken[name].append(cpu_seconds(task))
    return {name: statistics.median(times) for name, times in taken.items()}


def row(
    name: str, what: str, ours: float, peer: float, floor: float | None,
    ceiling: float | None = None, ratio: float | None = None,
) -> dict:  # fmt: skip
    """A row of rates (more is better); `ratio` is ours against the peer unless it is given."""
    ratio = ours / peer if ratio is None else ratio
    numbers = {"ours": ours, "peer": peer, "ratio": ratio, "floor": floor, "ceiling": ceiling}
    rounded = {key: None if one is None else float(f"{one:.4g}") for key, one in numbers.items()}
    return {"id": name, "what": what, **rounded}
