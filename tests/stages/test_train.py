"""`patina train` in real processes: killed, run again, killed again; and its outs equal an
undisturbed run's."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import checkpoint
from tests.conftest import ROOT, run_stage, small_params, tree, write_params

pytestmark = pytest.mark.slow


def prepare(folder: Path) -> Path:
    """A small project with shards, ready to train."""
    params = small_params()
    for section in params["train"].values():
        section |= {"validate_every": 4, "save_every": 2}
        section["phases"]["fit"]["steps"] = 16
    write_params(folder, params)
    (folder / "data/inbox").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["textures"], ["synth", "aged"], ["synth", "shapes"]):
        run_stage(folder, *words)
    return folder


def outs(folder: Path, system: str) -> dict[str, bytes]:
    """All that a training leaves."""
    training = tree(folder / "reports/training" / system)
    return tree(folder / "models" / system) | {f"training/{k}": v for k, v in training.items()}


def run_until(folder: Path, system: str, num_saves: int) -> int:
    """Start a training and kill it, hard, once it has saved its state `num_saves` times."""
    command = [sys.executable, "-m", "stages.train", system]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    seen: set[int] = set()
    while process.poll() is None and len(seen) < num_saves:
        seen |= {path.stat().st_ino for path in folder.glob(".work/train-*/*/state.safetensors")}
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.mark.parametrize(
    "system", ["dual_decoder", pytest.param("aged_unet", marks=pytest.mark.long)]
)
def test_killed_trainings_end_with_the_bytes_of_an_undisturbed_one(tmp_path, system) -> None:
    folder = prepare(tmp_path)
    run_stage(folder, "train", system)
    expected = outs(folder, system)
    assert {"best.safetensors", "last.safetensors", "training/history.json"} <= set(expected)
    for name in ("models", "reports", ".work"):
        subprocess.run(["rm", "-r", folder / name], check=True)
    killed = [run_until(folder, system, num_saves) for num_saves in (1, 2)]
    assert killed == [-signal.SIGKILL] * 2, "each was still at work when it was killed"
    assert not list((folder / "models" / system).glob("*")), "nothing under a final name"
    run_stage(folder, "train", system)
    assert outs(folder, system) == expected


def test_a_second_training_of_the_same_system_is_told_that_it_is_busy(tmp_path) -> None:
    folder = prepare(tmp_path)
    command = [sys.executable, "-m", "stages.train", "aged_unet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    first = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not (folder / "models/.aged_unet.lock").is_file() and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGSTOP)
        second = run_stage(folder, "train", "aged_unet", check=False)
        assert second.returncode == 1
        assert f"busy: pid {first.pid}" in second.stderr and "Traceback" not in second.stderr
    finally:
        first.send_signal(signal.SIGCONT)
        first.terminate()
        assert first.wait() == 143


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_stopped_group_of_processes_saves_and_goes_on_from_that_step(tmp_path, number) -> None:
    folder = prepare(tmp_path)
    run_stage(folder, "train", "aged_unet")
    expected = outs(folder, "aged_unet")
    for name in ("models", "reports", ".work"):
        subprocess.run(["rm", "-r", folder / name], check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.train", "aged_unet", "--workers", "1"],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    while process.poll() is None and not list(folder.glob(".work/train-*/*/state.safetensors")):
        time.sleep(0.005)
    os.killpg(process.pid, number)  # as a terminal does: loaders and all
    _, told = process.communicate(timeout=120)
    assert process.returncode == 128 + number and "Traceback" not in told, told
    found = re.search(r"stopped after step (\d+) of 16; the next run goes on from here", told)
    assert found, told
    saved, _ = checkpoint.load(next(folder.glob(".work/train-*/*/state.safetensors")), "state")
    assert saved["state"]["step"] == int(found[1]) < 16
    run_stage(folder, "train", "aged_unet")
    assert outs(folder, "aged_unet") == expected
