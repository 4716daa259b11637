"""Who looks on while a system trains: DVCLive's scalars, pictures, the bar of the terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.runs import Told
    from pipeline.samples import Array

SHOWN = ("val/psnr", "val/mask_f1")  # beside the bar


class Tracker:
    """Writes DVCLive's scalars and the validation pictures, and shows progress.

    A resumed run tells all rows again, so that the scalars never hold a step twice.
    """

    def __init__(self, work: Path, show: Callable[..., None], stopping: Callable[[], bool]) -> None:
        from dvclive import Live

        self.live = Live(
            str(work / "training"), resume=False, report=None, save_dvc_exp=False, dvcyaml=None
        )
        self.pictures, self.show, self.stopping = work / "pictures", show, stopping
        self.pace_file = work / "pace.json"
        self.measured: list[str] = []  # by the last validation
        self.pace: dict[int, dict[str, float]] = {}
        self.paces: list[dict[str, float]] = []
        if self.pace_file.is_file():  # of the run that this one goes on with
            self.paces = json.loads(self.pace_file.read_text(encoding="utf-8"))

    def progress(self, told: Told) -> None:
        """Loss terms and pace beside the bar."""
        words = [f"{name} {value:.4f}" for name, value in told.terms.items()]
        words += self.measured
        words.append(f"{told.rate:.3g} images/s, {told.wait_share:.0%} waiting for data")
        if told.phase != "fit":
            words.insert(0, told.phase)
        self.show(told.step, told.steps, "  ".join(words))
        self.pace = {told.step: {"images_per_second": told.rate, "wait_share": told.wait_share}}

    def row(self, step: int, values: dict[str, float]) -> None:
        """One validation's values; the pace since the last one stays in the work folder, since no
        two runs have the same."""
        from pipeline.files import write_json

        if step in self.pace:  # not told again after a resume
            self.paces.append({"step": step, **self.pace[step]})
            write_json(self.pace_file, self.paces)
        shown = [name for name in SHOWN if name in values]
        self.measured = [f"{name} {values[name]:.4g}" for name in shown]
        self.live.step = step
        for name, value in sorted(values.items()):  # a resumed run knows no other order
            self.live.log_metric(name, value)
        self.live.make_summary()

    def picture(self, step: int, picture: Array) -> None:
        """Corrupted, composite and clean, a row a sample."""
        from pipeline.files import write_bytes
        from pipeline.images import encode_png

        write_bytes(self.pictures / f"{step:06d}.png", encode_png(picture))


def finish_curves(work: Path, history: list[dict[str, Any]]) -> None:
    """The validation rows and pictures beside DVCLive's scalars."""
    from pipeline.files import write_json

    write_json(work / "training/history.json", history)
    shutil.copytree(work / "pictures", work / "training/pictures", dirs_exist_ok=True)


class Still:
    """In a process that is not the first: knows when it is to stop, and tells nobody anything."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self.stopping = stopping

    def progress(self, told: Told) -> None:
        """Nothing."""

    def row(self, step: int, values: dict[str, float]) -> None:
        """Nothing."""

    def picture(self, step: int, picture: Array) -> None:
        """Nothing."""
