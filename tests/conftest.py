"""What several test files share: real photos, small projects, the commands in real processes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
Params = dict[str, Any]


@pytest.fixture(scope="session")
def photos() -> Path:
    """The outside photos; skips without PATINA_PHOTOS."""
    folder = os.environ.get("PATINA_PHOTOS")
    if not folder:
        pytest.skip("PATINA_PHOTOS is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A real photo, uint8 512×512×3."""
    from skimage import data

    return data.astronaut()


def load_yaml(path: Path) -> Params:
    """A YAML file as plain data."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def small_params() -> Params:
    """The project's params, cut down to what runs in seconds: every section and name stays."""
    params = load_yaml(ROOT / "params.yaml")
    params["textures"] |= {"num_overlays": 7, "size": 128}
    params["synthesis"] = {"photos_per_group": 16, "samples_per_shard": 16}
    for recipe in params["recipes"].values():
        recipe["train"] = {"side": 64, "per_photo": 4, "variants": 1}
        recipe["val"] = recipe["test"] = {"side": 64, "per_photo": 2, "variants": 1}
    for split in ("train", "val", "test"):
        params["recipes"]["distorted"][split]["side"] = 128
    params["systems"]["dual_decoder"] |= {"widths": [4, 8], "bottleneck": 16, "num_blocks": 1}
    params["systems"]["aged_unet"] |= {"widths": [4, 8], "bottleneck": [16, 16, 8]}
    params["systems"]["three_stage"] |= {"widths": [4, 8], "bottleneck": 16}
    params["systems"]["three_stage"] |= {"inpainter_width": 4, "critic_width": 4, "rates": [1, 2]}
    params["systems"]["defect_unet"] |= {"widths": [4, 8], "bottleneck": 16, "reduction": 2}
    params["systems"]["defect_unet"] |= {"skips": [True, False], "blend_width": 4}
    params["systems"]["skip_vae"] |= {"widths": [4, 8], "hidden": 16, "latent": 8}
    params["systems"]["restorer"] |= {"widths": [4, 8], "num_blocks": [1, 1]}
    _shorten(params)
    return params


def six_systems() -> Params:
    """Small params with every system in training: those of the preset `all`."""
    params = small_params()
    preset = load_yaml(ROOT / "stages/presets/all.yaml")
    params["train"], params["evaluate"] = (preset["params"][one] for one in ("train", "evaluate"))
    params["synth"] = {name: {"reads": ["pipeline/corruptions"] * 8} for name in preset["recipes"]}
    _shorten(params)
    return params


def _shorten(params: Params) -> None:
    """Trainings of a few steps on crops of a few pixels."""
    for section in params["train"].values():
        section |= {"validate_every": 3, "save_every": 2, "val_samples": 2}
        for phase in section["phases"].values():
            phase["steps"] = 6
            for optimizer in phase["optimizers"].values():
                optimizer["schedule"]["warmup_steps"] = 1
        crop = 128 if section["kind"] == "skip_vae" else 32  # which takes no other
        section["stream"] |= {"batch_size": 2, "crop": crop}


def write_params(folder: Path, params: Params) -> None:
    """params.yaml of a project in `folder`."""
    with (folder / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that the commands take for a project: small params, the inbox, the scans."""
    write_params(tmp_path, small_params())
    (tmp_path / "data/inbox").mkdir(parents=True)
    (tmp_path / "textures/scans").mkdir(parents=True)
    return tmp_path


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def stage(project: Path) -> Run:
    """``stage("synth", "aged", "--workers", "2")`` runs a command in the project, in a process."""
    return lambda *words, **options: run_stage(project, *words, **options)


def run_stage(
    folder: Path, name: str, *words: str | Path, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m stages.<name>``; with `check`, a failure fails the test with its output."""
    done = subprocess.run(
        [sys.executable, "-m", f"stages.{name}", *map(str, words)],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder: name → content."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder, mounted so that not even root may write."""
    done = subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("cannot mount here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
