"""Real processes of torchrun, on this machine's processor."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT, run_stage, six_systems, write_params

STEPS = 6  # of all phases together
ACCUMULATE = 4


def words(processes: int, module: str, *rest: str | Path) -> list[str]:
    """The command line that starts so many processes of a module."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*launcher, "--nproc-per-node", str(processes), "-m", module, *map(str, rest)]


def options(folder: Path) -> dict[str, Any]:
    """Where, and how, `words` are run."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return {"cwd": folder, "env": environment, "text": True}


def torchrun(
    folder: Path, processes: int, module: str, *rest: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run so many processes of a module to their end."""
    return subprocess.run(
        words(processes, module, *rest),
        capture_output=True, check=False, timeout=300, **options(folder),
    )  # fmt: skip


def prepare(folder: Path, *recipes: str) -> Path:
    """A project with the shards of these recipes, whose steps have four micro-batches."""
    params = six_systems()
    for block in params["train"].values():
        block |= {
            "accumulate": ACCUMULATE,
            "precision": "fp32",
            "validate_every": 2,
            "save_every": 1,
        }
        block["stream"]["num_streams"] = 4
        for phase in block["phases"].values():
            phase["steps"] = STEPS // len(block["phases"])
    # Colors whose rarity is learned on the way, as a running mean and a count.
    params["systems"]["aged_unet"] |= {"color": "lab", "color_loss": "rebalanced"}
    params["systems"]["defect_unet"]["dropout"] = 0.2
    for key in ("recipe", "mix"):
        params["train"]["aged_unet"][key] = params["train"]["three_stage"][key]
    (folder / "data/inbox").mkdir(parents=True)
    write_params(folder, params)
    for name in ("fetch", "index", "textures"):
        run_stage(folder, name)
    for recipe in recipes:
        run_stage(folder, "synth", recipe, "--workers", "1")
    return folder
