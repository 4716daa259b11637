"""`patina train` on several processes, as users start it: what is refused, what a signal leaves,
and that one process goes on with what two began."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import checkpoint
from tests.conftest import ROOT, load_yaml, run_stage, tree, write_params
from tests.torchrun import options, prepare, torchrun

pytestmark = pytest.mark.slow
LONGER = 60  # steps, so that a signal finds it at work


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with shards, and `run` in it, that finds this Python."""
    folder = prepare(tmp_path_factory.mktemp("ranks") / "project", "shapes")
    params = load_yaml(folder / "params.yaml")
    block = params["train"]["dual_decoder"]
    block["phases"]["fit"]["steps"], block["stream"]["cache_gigabytes"] = LONGER, 0.01
    block["validate_every"] = 20
    write_params(folder, params)
    shutil.copy(ROOT / "run", folder)
    python = folder / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    (folder / ".venv/installed").write_text("tests")
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return folder


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Our lines about what went wrong; torchrun adds many of its own."""
    assert done.returncode != 0 and "stages/" not in done.stderr, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def test_loaders_that_divide_nothing_are_told_once(folder: Path) -> None:
    done = torchrun(folder, 2, "stages.train", "dual_decoder", "--workers", "4")
    assert errors(done) == [
        "error: params: train.dual_decoder.stream.num_streams: 4 cannot be shared by 2 processes of"
        " 4 loaders each; choose numbers whose product divides it"
    ]
    assert not list((folder / "models").glob("*/*"))


@pytest.mark.long
def test_processes_that_divide_nothing_are_told_once(folder: Path) -> None:
    done = torchrun(folder, 3, "stages.train", "dual_decoder")
    assert errors(done) == [
        "error: params: train.dual_decoder.accumulate: 4 micro-batches a step cannot be shared by "
        "3 processes; choose a number of processes that divides it"
    ]


@pytest.mark.long
@pytest.mark.parametrize(
    ("words", "says"), [(["dual_decodr"], "dual_decodr"), (["aged_unet"], "run `patina synth")]
)
def test_what_all_processes_find_wrong_is_told_once(
    folder: Path, words: list[str], says: str
) -> None:
    (told,) = errors(torchrun(folder, 2, "stages.train", *words))
    assert says in told


def test_a_number_of_processes_must_be_one(folder: Path) -> None:
    settings = options(folder)
    settings["env"]["PATINA_PROCESSES"] = "two"
    command = ["./run", "stage", "train", "dual_decoder"]
    done = subprocess.run(command, capture_output=True, check=False, **settings)
    assert done.returncode == 1
    assert done.stderr == "run: PATINA_PROCESSES: 'two' is no number of processes\n"


def test_a_signal_ends_all_and_one_process_goes_on(folder: Path) -> None:
    settings = options(folder)
    settings["env"]["PATINA_PROCESSES"] = "2"
    process = subprocess.Popen(
        ["./run", "stage", "train", "dual_decoder", "--workers", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings,
    )  # fmt: skip
    home = folder / ".work/train-dual_decoder"
    while process.poll() is None and not list(home.glob("*/state.safetensors")):
        time.sleep(0.005)
    process.terminate()
    _, told = process.communicate(timeout=120)
    stops = re.findall(r"stopped after step (\d+) of \d+; the next run goes on from here", told)
    assert process.returncode != 0 and len(stops) == 1, told
    assert "error: " not in told and "stages/" not in told
    state = next(home.glob("*/state.safetensors"))
    step = checkpoint.load(state, "state")[0]["state"]["step"]
    assert step == int(stops[0]) < LONGER
    run_stage(folder, "train", "dual_decoder")
    assert list(home.glob("*/state.safetensors")) == [state], "it went on with the same work"
    rows = json.loads((folder / "reports/training/dual_decoder/history.json").read_text())
    assert [row["step"] for row in rows] == [20, 40, 60]
    assert {"best.safetensors", "last.safetensors"} <= tree(folder / "models/dual_decoder").keys()
