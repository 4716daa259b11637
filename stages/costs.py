"""What a training or an evaluation cost in processor time and in hours of waiting: kept in
``.work/costs/``, for times go into no out."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError

STARTED = time.monotonic()  # of the command, but for the start of Python
EVERY = 10.0  # seconds between notes: a killed command loses no more
NOTE = "cost.json"  # in a work folder


@contextlib.contextmanager
def counted(work: Path, device: str, processes: int = 1) -> Iterator[None]:
    """Add the time of this command and its children, from its very start, to that of the killed
    ones before it, in `work`; work that was finished before costs no more. Of several `processes`
    only this one is counted, and the note tells how many there were.
    """
    before, told = _read(work / NOTE), _machine(device) | {"processes": processes}
    if before.get("finished"):
        yield
        return
    over, finished = threading.Event(), False

    def keep_noting() -> None:
        _note(work, before, told, finished=False)
        while not over.wait(EVERY):
            _note(work, before, told, finished=False)

    thread = threading.Thread(target=keep_noting, daemon=True)
    thread.start()
    try:
        yield
        finished = True
    finally:
        over.set()
        thread.join()
        _note(work, before, told, finished)


def keep(root: Path, stage: str, weights_sha256: str, work: Path) -> None:
    """Leave the cost of finished `work` where it stays: by the weights that it made or measured."""
    from pipeline.files import write_json

    note = _read(work / NOTE)
    if note.pop("finished", False):
        path = _home(root, stage)
        write_json(path, _read(path) | {weights_sha256: note})


def cost_of(root: Path, stage: str, weights_sha256: str) -> dict[str, Any] | None:
    """``cpu_seconds``, ``wall_seconds``, ``processor``, ``threads``, ``accelerator`` (or None) and
    ``processes`` of a stage; None where it did not run in this clone."""
    found = _read(_home(root, stage)).get(weights_sha256)
    return found if isinstance(found, dict) and "cpu_seconds" in found else None


def _machine(device: str) -> dict[str, Any]:
    """What computes: processor, threads, and the accelerator if there is one."""
    import torch

    card = torch.cuda.get_device_name() if device == "cuda" else None
    return {"processor": _processor(), "threads": torch.get_num_threads(), "accelerator": card}


def _processor() -> str:
    """Its name, as people know it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _note(work: Path, before: dict[str, Any], told: dict[str, Any], finished: bool) -> None:
    """A disk that is full is told by whoever writes results."""
    from pipeline.files import write_json

    spent = {"cpu_seconds": _cpu_seconds(), "wall_seconds": time.monotonic() - STARTED}
    total = {name: round(before.get(name, 0.0) + more, 1) for name, more in spent.items()}
    with contextlib.suppress(OSError, PipelineError):
        write_json(work / NOTE, told | total | {"finished": finished})


def _cpu_seconds() -> float:
    """Of this process and all its children; a loader counts while it runs where /proc tells, else
    when it ends."""
    ended = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    total = sum(one.ru_utime + one.ru_stime for one in ended)
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += sum(map(_running_seconds, listed.read_text(encoding="ascii").split()))
    return total


def _running_seconds(process: str) -> float:
    with contextlib.suppress(OSError):
        words = Path("/proc", process, "stat").read_text(encoding="ascii", errors="replace")
        own = words.rpartition(")")[2].split()[11:15]  # behind the name: user, system, of children
        return sum(map(int, own)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _home(root: Path, stage: str) -> Path:
    return root / ".work/costs" / f"{stage}.json"


def _read(path: Path) -> dict[str, Any]:
    """A note; an empty one where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
