"""What torchrun starts in tests: several trainings one after another, of which each process writes
down what it saw. `python -m tests.pipeline.ranked PROJECT WORK JOBS`, where JOBS is JSON:
[{"system": …, "work": folder, "notes": name, "stop": after which step, "poison": a rank}, …], the
last two if wanted."""

import hashlib
import json
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pipeline import runs, training
from pipeline.config import load_params
from pipeline.ranks import ElsewhereError, Ranks, join
from pipeline.stream import Batch
from pipeline.turns import Turns
from stages.console import command
from stages.train import make_run


class Notes:
    """A watcher that writes down everything, and asks this process alone to stop."""

    def __init__(self, stop: int | None) -> None:
        self.stop, self.step = stop, 0
        self.told: dict[str, list[Any]] = {"terms": [], "rows": [], "batches": []}

    def progress(self, told: runs.Told) -> None:
        self.step = told.step
        self.told["terms"].append([told.step, told.phase, told.terms])

    def row(self, step: int, values: dict[str, float]) -> None:
        self.told["rows"].append([step, values])

    def picture(self, step: int, picture: object) -> None:
        pass

    def stopping(self) -> bool:
        return self.step == self.stop


def digest(batch: Batch) -> str:
    """A hash over the pixels of a micro-batch."""
    parts = (part.contiguous().numpy().tobytes() for part in batch if part is not None)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def train(project: Path, home: Path, job: dict[str, Any], ranks: Ranks) -> None:
    """One job; what this process saw goes to ``<notes>-<rank>.json``."""
    params = load_params(project / "params.yaml")
    run, _, _ = make_run(project, params, job["system"], "cpu", 0, ranks=ranks)
    run.begin(home / job["work"])
    if not ranks.first:  # as on another machine, which has neither its files nor its weights
        run.begin(home / "elsewhere" / str(ranks.rank))
        for tensor in run.system.state_dict().values():
            tensor.zero_()
    notes = Notes(job.get("stop") if ranks.rank == ranks.size - 1 else None)
    if job.get("poison") == ranks.rank:
        seen = iter(range(10**6))
        next(run.system.parameters()).register_hook(
            lambda grad: grad * float("nan") if next(seen) > 5 else grad
        )
    take = Turns.take

    def noted(self: Turns, parts: list[Batch]) -> dict[str, float]:
        notes.told["batches"].append([digest(part) for part in parts])
        return take(self, parts)

    Turns.take = noted  # type: ignore[method-assign]
    try:
        training.train(run, notes)
    except (KeyboardInterrupt, ElsewhereError):
        if job.get("stop") is None:
            raise
    finally:
        Turns.take = take  # type: ignore[method-assign]
    (home / f"{job['notes']}-{ranks.rank}.json").write_text(json.dumps(notes.told))


def main(project: str, home: str, jobs: str) -> None:
    """All jobs, in one group of processes."""
    torch.set_num_threads(1)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    with join(lambda: "cpu") as ranks:
        for job in json.loads(jobs):
            train(Path(project), Path(home), job, ranks)


if __name__ == "__main__":
    import typer

    try:
        command(partial(main, *sys.argv[1:]))()
    except typer.Exit as end:
        sys.exit(end.exit_code)
