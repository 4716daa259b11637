"""What the loop promises of every registered system: resumed at any step of any phase it ends with
the same bytes, and no poison reaches the disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline import checkpoint, runs, training
from pipeline.config import load_params
from pipeline.errors import TrainingError
from pipeline.systems import SYSTEMS, make_system
from stages.train import make_run
from tests.conftest import run_stage, six_systems, tree, write_params

NAMES = SYSTEMS.names()
STEPS = 12  # of all phases together
LONG = 40
Begin = Callable[..., runs.Run]


class Watcher:
    """Asks to stop after every step, `times` over; else looks on."""

    def __init__(self, every: bool = False) -> None:
        self.every, self.rows = every, []

    def progress(self, told: runs.Told) -> None:
        pass

    def row(self, step: int, values: dict[str, float]) -> None:
        self.rows.append((step, values))

    def picture(self, step: int, picture: object) -> None:
        pass

    def stopping(self) -> bool:
        return self.every


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with the shards of all six systems."""
    folder = tmp_path_factory.mktemp("six")
    params = six_systems()
    for block in params["train"].values():
        block |= {"validate_every": 1, "save_every": 1}
    write_params(folder, params)
    (folder / "data/inbox").mkdir(parents=True)
    for word in ("fetch", "index", "textures"):
        run_stage(folder, word)
    for recipe in params["synth"]:
        run_stage(folder, "synth", recipe, "--workers", "1")
    return folder


@pytest.fixture
def begin(shards: Path, tmp_path: Path) -> Begin:
    """``begin(system, "a", 12)``: a run of 12 steps whose work lies in folder a, as if in a new
    process."""

    def make(system: str, work: str, steps: int = STEPS) -> runs.Run:
        params = load_params(shards / "params.yaml")
        phases = params["train"][system]["phases"].values()
        for phase in phases:
            phase["steps"] = steps // len(phases)
        run, _, _ = make_run(shards, params, system, "cpu", 0)
        run.begin(tmp_path / work)
        return run

    return make


@pytest.mark.slow
@pytest.mark.parametrize("steps", [STEPS, pytest.param(LONG, marks=pytest.mark.long)])
@pytest.mark.parametrize("system", NAMES)
def test_a_run_stopped_after_each_of_its_steps_ends_with_the_same_bytes(
    begin: Begin, tmp_path: Path, system: str, steps: int
) -> None:
    whole, parts = Watcher(), Watcher(every=True)
    state = training.train(begin(system, "whole", steps), whole)
    num_phases = len(begin(system, "none").system.phases)
    total = steps // num_phases * num_phases
    assert state.total == total
    stops = 0
    while True:
        parts.rows.clear()
        try:
            training.train(begin(system, "parts", steps), parts)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops == total - 1, "it stopped, and went on, after every step but the last"
    assert parts.rows == whole.rows
    expected, found = tree(tmp_path / "whole"), tree(tmp_path / "parts")
    bests = num_phases - 1  # of the phases before the last
    assert len(expected) == 3 + bests
    assert found == expected


def poison_weight(value: float) -> Callable[[torch.nn.Module], None]:
    def apply(module: torch.nn.Module) -> None:
        with torch.no_grad():
            next(module.parameters()).fill_(value)

    return apply


def poison_gradient(value: float) -> Callable[[torch.nn.Module], None]:
    return lambda module: (
        next(module.parameters()).register_hook(lambda grad: grad * value) and None
    )


POISONS = {
    "nan in the weights": poison_weight(float("nan")),
    "inf in the weights": poison_weight(float("inf")),
    "nan in the gradient": poison_gradient(float("nan")),
    "inf in the gradient": poison_gradient(float("inf")),
}


def phases_of(system: str) -> tuple[str, ...]:
    return make_system(system, six_systems(), 7)[0].phases


PHASES = [(system, phase) for system in NAMES for phase in phases_of(system)]


@pytest.mark.parametrize("poison", POISONS)
@pytest.mark.parametrize(("system", "phase"), PHASES)
def test_poison_stops_the_run_and_leaves_finite_weights(
    begin: Begin, tmp_path: Path, system: str, phase: str, poison: str
) -> None:
    run = begin(system, "work", 2 * len(phases_of(system)))
    modules = list(run.system.groups(phase).values())

    class Poisoner(Watcher):
        """Lets a step of the phase pass, so that there is something to lose."""

        def progress(self, told: runs.Told) -> None:
            if told.phase == phase:
                for module in modules:
                    POISONS[poison](module)

    start = 2 * run.system.phases.index(phase)
    with pytest.raises(TrainingError, match=rf"step {start + 1}: not finite"):
        training.train(run, Poisoner())
    files = list((tmp_path / "work").glob("*.safetensors"))
    assert files, "at least the best of the step before"
    for file in files:
        kind = "state" if file.name == runs.STATE else "weights"
        _, tensors = checkpoint.load(file, kind)
        floats = [value for value in tensors.values() if value.is_floating_point()]
        assert floats and all(torch.isfinite(value).all() for value in floats)
