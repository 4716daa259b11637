"""Augraphy's side of `damage`, and the environment of its own that it lives in: it pulls
opencv-python, which overwrites the headless one.

Run by that environment's Python with a file of tiles, this file answers each family named on stdin
with the CPU seconds that its counterpart takes for all tiles; it imports nothing of the repository.
"""

import os
import random  # noqa: TID251 (Augraphy draws from the global generators)
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

VERSION = "8.2.6"
ENVIRONMENT = Path(__file__).resolve().parent.parent / ".work" / "augraphy-venv"
STAMP = f"augraphy {VERSION}"
# Family → class and arguments of what it has like it; folds of ours lie at any angle.
COUNTERPARTS: dict[str, tuple[str, dict]] = {
    "dust": ("DirtyScreen", {}),
    "fading": ("LightingGradient", {}),
    "folds": ("Folding", {"fold_angle_range": (-45, 45)}),
    "grain": ("SubtleNoise", {"subtle_range": 40}),
    "halftone": ("Faxify", {"monochrome": 0, "halftone": 1}),
    "jpeg": ("Jpeg", {"quality_range": (22, 22)}),
    "scratches": ("NoisyLines", {}),
    "stains": ("Stains", {}),
    "strokes": ("Scribbles", {"scribbles_type": "lines"}),
}


def is_installed() -> bool:
    """Does the environment stand, whole and of this version?"""
    stamp = ENVIRONMENT / "installed"
    return stamp.is_file() and stamp.read_text() == STAMP


def install() -> str:
    """Make the environment; a line on what went wrong, or nothing."""
    make = [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)]
    fill = [str(ENVIRONMENT / "bin/python"), "-m", "pip", "install", f"augraphy=={VERSION}"]
    for command in (make, fill):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return ((done.stderr or done.stdout).strip().splitlines() or ["no reason told"])[-1]
    (ENVIRONMENT / "installed").write_text(STAMP)
    return ""


class Augraphy:
    """A process that damages tiles with Augraphy while its `with` is open."""

    def __init__(self, tiles: Path, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [str(ENVIRONMENT / "bin/python"), "-P", __file__, str(tiles)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | environment,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.communicate()

    def seconds(self, family: str) -> float:
        """CPU time that its counterpart of a family takes for all tiles."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(family + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def _answer(tiles: Path) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Augraphy prints
    import augraphy
    import cv2

    cv2.setNumThreads(1)
    pictures = np.load(tiles)
    for line in sys.stdin:
        name, arguments = COUNTERPARTS[line.strip()]
        augmentation = getattr(augraphy, name)(**arguments, p=1)
        start = time.process_time()
        for number, picture in enumerate(pictures):
            random.seed(number)
            np.random.seed(number)  # noqa: NPY002, TID251
            augmentation(picture.copy())
        answers.write(f"{time.process_time() - start}\n")
        answers.flush()


if __name__ == "__main__":
    _answer(Path(sys.argv[1]))
