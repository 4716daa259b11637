"""One training on one, two and four processes: the same micro-batches, the same losses, the same
weights, also when the number of processes changes on the way."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import checkpoint, runs
from pipeline.ranks import Ranks
from tests.conftest import tree
from tests.pipeline.ranked import train
from tests.torchrun import ACCUMULATE, STEPS, prepare, torchrun

pytestmark = pytest.mark.slow
# BatchNorm; dropout; a critic, and three phases; a running prior and its count.
SYSTEMS = ["dual_decoder", "defect_unet", "three_stage", "aged_unet"]
# Sums in another order. Measured: 2e-7 of a loss, 1e-6 of a validation value, and, where Muon lifts
# what is next to nothing in a gradient, 7e-5 in weights that moved by 0.06.
LOSSES, VALUES, WEIGHTS, STATISTICS = 1e-5, 1e-4, 5e-4, 1e-5
Job = dict[str, Any]


def job(system: str, work: str, **more: Any) -> Job:
    return {"system": system, "work": work, "notes": work, **more}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each system's training by 1, 2 and 4 processes; one begun by 2 and finished by
    4; and one begun by 4 and finished by 1."""
    home, half = tmp_path_factory.mktemp("ranks"), STEPS // 2
    project = prepare(home / "project", "shapes", "defects", "polygons")
    jobs: dict[int, list[Job]] = {2: [], 4: [], 1: []}
    for system in SYSTEMS:
        for size, some in jobs.items():
            some.append(job(system, f"{system}-{size}"))
        jobs[2].append(job(system, f"{system}-grown", stop=half))
        jobs[4].append(job(system, f"{system}-grown", notes=f"{system}-grown-on"))
        jobs[4].append(job(system, f"{system}-shrunk", stop=half))
        jobs[1].append(job(system, f"{system}-shrunk", notes=f"{system}-shrunk-on"))
    for size in (2, 4):
        done = torchrun(home, size, "tests.pipeline.ranked", project, home, json.dumps(jobs[size]))
        assert done.returncode == 0, done.stderr
    for one in jobs[1]:
        train(project, home, one, Ranks())
    return home


def told(home: Path, name: str, size: int) -> list[dict[str, list[Any]]]:
    """What each process wrote down."""
    return [json.loads((home / f"{name}-{rank}.json").read_text()) for rank in range(size)]


def same_tensors(one: Path, other: Path) -> None:
    """All weights files, and the states with their moments and averages, hold nearly the same."""
    files = sorted(path.name for path in one.glob("*.safetensors"))
    assert files == sorted(path.name for path in other.glob("*.safetensors")) and len(files) >= 3
    for name in files:
        kind = "state" if name == runs.STATE else "weights"
        found, wanted = (checkpoint.load(folder / name, kind)[1] for folder in (one, other))
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            close = STATISTICS if key.endswith(("prior", "running_mean")) else WEIGHTS
            torch.testing.assert_close(found[key], value, atol=close, rtol=WEIGHTS, msg=key)


def often(*often: tuple[str, object], of: tuple[object, ...]) -> list:
    """Every system with each of these, but for the `often` ones in the long tier alone."""
    return [
        pytest.param(system, one, marks=[] if (system, one) in often else pytest.mark.long)
        for system in SYSTEMS
        for one in of
    ]


@pytest.mark.parametrize(
    ("system", "size"), often(("dual_decoder", 4), ("three_stage", 2), ("aged_unet", 2), of=(2, 4))
)
def test_the_number_of_processes_changes_nothing(home: Path, system: str, size: int) -> None:
    (whole,), parts = told(home, f"{system}-1", 1), told(home, f"{system}-{size}", size)
    steps = range(len(whole["batches"]))
    assert len(steps) == STEPS and all(len(one) == ACCUMULATE for one in whole["batches"])
    dealt = [
        [parts[n % size]["batches"][step][n // size] for n in range(ACCUMULATE)] for step in steps
    ]
    assert dealt == whole["batches"], "the same pixels, in the same places"
    assert len({digest for one in dealt for digest in one}) == STEPS * ACCUMULATE
    for part in parts:
        assert part["terms"] == parts[0]["terms"], "all processes know the same"
        assert part["rows"] == parts[0]["rows"]
    for found, wanted in zip(parts[0]["terms"], whole["terms"], strict=True):
        assert found[:2] == wanted[:2] and found[2] == pytest.approx(wanted[2], rel=LOSSES)
    for (step, found), (same, wanted) in zip(parts[0]["rows"], whole["rows"], strict=True):
        assert step == same and found == pytest.approx(wanted, rel=VALUES)
    same_tensors(home / f"{system}-{size}", home / f"{system}-1")


@pytest.mark.parametrize(
    ("system", "change"), often(("dual_decoder", "grown"), of=("grown", "shrunk"))
)
def test_another_number_of_processes_goes_on(home: Path, system: str, change: str) -> None:
    first, second = {"grown": (2, 4), "shrunk": (4, 1)}[change]
    (whole,) = told(home, f"{system}-1", 1)
    before, after = (
        told(home, f"{system}-{change}{on}", n) for on, n in (("", first), ("-on", second))
    )
    half = STEPS // 2
    assert [one[0] for one in before[0]["terms"]] == list(range(1, half + 1))
    assert [one[0] for one in after[0]["terms"]] == list(range(half + 1, STEPS + 1))
    for found, wanted in zip(after[0]["rows"], whole["rows"], strict=True):
        assert found[1] == pytest.approx(wanted[1], rel=VALUES), "the whole history is told"
    same_tensors(home / f"{system}-{change}", home / f"{system}-1")


def test_only_the_first_process_reads_and_writes(home: Path) -> None:
    for system in SYSTEMS:
        assert tree(home / f"{system}-4").keys() == tree(home / f"{system}-1").keys()
    assert not (home / "elsewhere").exists()


def test_a_poisoned_process_ends_all_before_its_poison_is_kept(home: Path) -> None:
    jobs = json.dumps([job("dual_decoder", "poisoned", poison=1)])
    done = torchrun(home, 2, "tests.pipeline.ranked", home / "project", home, jobs)
    assert done.returncode != 0
    assert done.stderr.count("error: ") == 1
    assert "error: train dual_decoder, step 3: not finite: gradient norm nan" in done.stderr
    assert 'File "/' not in done.stderr.split("torch/distributed/elastic")[0]
    for name, kind in ((runs.STATE, "state"), (runs.BEST, "weights")):
        _, tensors = checkpoint.load(home / "poisoned" / name, kind)
        assert all(torch.isfinite(value).all() for value in tensors.values())


@pytest.mark.long
def test_one_process_of_torchrun_makes_the_bytes_of_none(home: Path) -> None:
    jobs = [job(system, f"{system}-single") for system in SYSTEMS]
    project = home / "project"
    done = torchrun(home, 1, "tests.pipeline.ranked", project, home, json.dumps(jobs))
    assert done.returncode == 0, done.stderr
    for system in SYSTEMS:
        assert tree(home / f"{system}-single") == tree(home / f"{system}-1")
