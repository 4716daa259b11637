"""The loop: a run that is cut anywhere ends with the weights of one that never was."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline import checkpoint, runs, training
from pipeline.config import load_params, validate
from pipeline.errors import ParamsError, TrainingError
from pipeline.muon import Muon, orthogonalize
from pipeline.schedules import Course, ScheduleSection, num_drops, rate_at
from stages.train import make_run
from tests.conftest import run_stage, small_params, tree, write_params

SYSTEMS = ("dual_decoder", "aged_unet")


class Cut(Exception):
    """Stands for a kill."""


class Watcher:
    """Remembers all that it is told; dies after step `cut`, or asks to stop after step `stop`."""

    def __init__(self, cut: int | None = None, stop: int | None = None) -> None:
        self.cut, self.stop = cut, stop
        self.rows: list[tuple[int, dict[str, float]]] = []
        self.terms: list[dict[str, float]] = []
        self.pictures: list[int] = []

    def progress(self, told: runs.Told) -> None:
        self.terms.append(told.terms)
        if told.step == self.cut:
            raise Cut

    def row(self, step: int, values: dict[str, float]) -> None:
        self.rows.append((step, values))

    def picture(self, step: int, picture: np.ndarray) -> None:
        assert picture.dtype == np.uint8
        self.pictures.append(step)

    def stopping(self) -> bool:
        return len(self.terms) == self.stop


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with the shards of both recipes."""
    folder = tmp_path_factory.mktemp("project")
    params = small_params()
    params["train"]["dual_decoder"]["accumulate"] = 2
    params["train"]["aged_unet"]["stream"]["mode"] = "stored"
    write_params(folder, params)
    (folder / "data/inbox").mkdir(parents=True)
    for words in ("fetch", "index", "textures"), ("synth", "shapes"), ("synth", "aged"):
        if words[0] == "synth":
            run_stage(folder, *words, "--workers", "1")
        else:
            for word in words:
                run_stage(folder, word)
    return folder


@pytest.fixture
def begin(shards: Path, tmp_path: Path) -> Callable[..., runs.Run]:
    """``begin(system, "a", steps=4)``: a run whose work lies in folder a."""

    def make(system: str, work: str, change: Callable[[dict], None] | None = None) -> runs.Run:
        params = load_params(shards / "params.yaml")
        if change:
            change(params["train"][system])
        run, _, _ = make_run(shards, params, system, "cpu", 0)
        run.begin(tmp_path / work)
        return run

    return make


def steps(section: dict, count: int) -> None:
    """Let the only phase end after `count` steps."""
    section["phases"]["fit"]["steps"] = count


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_run_asked_to_stop_has_saved_its_last_step(begin, stop) -> None:
    run = begin("aged_unet", f"asked{stop}")
    with pytest.raises(KeyboardInterrupt, match=f"after step {stop} of 6"):
        training.train(run, Watcher(stop=stop))
    meta, _ = checkpoint.load(run.work / runs.STATE, "state")
    assert meta["state"]["step"] == meta["state"]["total"] == stop


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_run_cut_after_any_step_ends_with_the_same_bytes(begin, tmp_path, system) -> None:
    whole = Watcher()
    state = training.train(begin(system, "whole"), whole)
    expected = tree(tmp_path / "whole")
    assert state.step == 6 and set(expected) == {
        "best.safetensors",
        "last.safetensors",
        "state.safetensors",
    }
    for cut in range(1, 7):
        with pytest.raises(Cut):
            training.train(begin(system, f"cut{cut}"), Watcher(cut))
        again = Watcher()
        training.train(begin(system, f"cut{cut}"), again)
        assert tree(tmp_path / f"cut{cut}") == expected, f"cut after step {cut}"
        assert again.rows == whole.rows, "a resumed run tells its whole history again"


def test_a_run_cut_at_every_step_in_turn_still_ends_the_same(begin, tmp_path) -> None:
    training.train(begin("aged_unet", "whole"), Watcher())
    for cut in (2, 3, 5):
        with pytest.raises(Cut):
            training.train(begin("aged_unet", "torn"), Watcher(cut))
    training.train(begin("aged_unet", "torn"), Watcher())
    assert tree(tmp_path / "torn") == tree(tmp_path / "whole")


def test_loader_processes_do_not_change_the_weights(begin, tmp_path) -> None:
    training.train(begin("dual_decoder", "none"), Watcher())
    run = begin("dual_decoder", "two")
    run.num_workers = 2
    training.train(run, Watcher())
    assert tree(tmp_path / "two") == tree(tmp_path / "none")


def test_accumulated_micro_batches_equal_one_large_batch(begin, tmp_path) -> None:
    """For a system without batch statistics, 2 × 2 samples step like 1 × 4."""

    def change(accumulate: int, size: int):
        def apply(section: dict) -> None:
            section |= {"accumulate": accumulate, "precision": "fp32"}
            section["phases"]["fit"]["steps"] = 1
            section["stream"] |= {"batch_size": size, "num_streams": 1}

        return apply

    training.train(begin("aged_unet", "many", change(2, 2)), Watcher())
    training.train(begin("aged_unet", "one", change(1, 4)), Watcher())
    _, many = checkpoint.load_system(tmp_path / "many/last.safetensors")
    _, one = checkpoint.load_system(tmp_path / "one/last.safetensors")
    for a, b in zip(many.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_not_finite_stops_before_the_step(begin, tmp_path) -> None:
    training.train(begin("aged_unet", "work", lambda section: steps(section, 3)), Watcher())
    good = (tmp_path / "work/best.safetensors").read_bytes()
    run = begin("aged_unet", "work")
    with torch.no_grad():
        run.system.net.head.weight.fill_(float("nan"))
    (tmp_path / "work/state.safetensors").unlink()
    with pytest.raises(TrainingError, match=r"step 0: not finite: picture nan"):
        training.train(run, Watcher())
    assert (tmp_path / "work/best.safetensors").read_bytes() == good
    _, system = checkpoint.load_system(tmp_path / "work/best.safetensors")
    assert all(torch.isfinite(value).all() for value in system.state_dict().values())


def test_a_gradient_that_is_not_finite_stops_before_the_step(begin) -> None:
    run = begin("aged_unet", "work")
    run.system.net.head.weight.register_hook(lambda grad: grad * float("inf"))
    before = {name: value.clone() for name, value in run.system.state_dict().items()}
    with pytest.raises(TrainingError, match="gradient norm"):
        training.train(run, Watcher())
    after = run.system.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_training_stops_early_and_keeps_the_best(begin) -> None:
    def change(section: dict) -> None:
        section |= {"validate_every": 1, "save_every": 1}
        stop = {"metric": "val/mse", "mode": "max", "patience": 2, "min_delta": 0.5}
        section["phases"]["fit"] |= {"steps": 40, "early_stop": stop}

    state = training.train(begin("aged_unet", "work", change), Watcher())
    assert state.step == 3 and state.best_step == 1, "the first is best; two more are not better"


def test_an_unknown_early_stop_metric_is_told_with_the_known_ones(begin) -> None:
    def change(section: dict) -> None:
        section["phases"]["fit"]["early_stop"]["metric"] = "val/pnsr"

    with pytest.raises(ParamsError, match=r"val/pnsr.*val/psnr"):
        training.train(begin("aged_unet", "work", change), Watcher())


def test_optimizers_must_name_the_groups_of_the_system(begin) -> None:
    def change(section: dict) -> None:
        phase = section["phases"]["fit"]
        phase["optimizers"] = {"generator": phase["optimizers"]["restorer"]}

    with pytest.raises(ParamsError, match=r"optimizers: names generator; .* restorer"):
        training.train(begin("aged_unet", "work", change), Watcher())


def test_training_learns(begin) -> None:
    def change(section: dict) -> None:
        section["validate_every"] = 60
        steps(section, 60)

    watcher = Watcher()
    training.train(begin("aged_unet", "work", change), watcher)
    losses = [terms["picture"] for terms in watcher.terms]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])


def schedule(name: str, warmup: int = 0, **keys: float) -> ScheduleSection:
    return ScheduleSection(name=name, warmup_steps=warmup, **keys)


def rates(section: ScheduleSection, count: int, num_steps: int = 100, watched=()) -> list[float]:
    """The rates of the first steps; an epoch has ten."""
    return [rate_at(section, Course(n, num_steps, 10, watched, 0.0)) for n in range(count)]


def test_rates_follow_their_schedules() -> None:
    cosine = rates(schedule("cosine", 4, floor=0.1), 105, 104)
    assert cosine[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert cosine[4] == 1.0
    assert cosine[54] == pytest.approx(0.55) and cosine[104] == pytest.approx(0.1)
    decay = rates(schedule("exponential", gamma=0.95, floor=0.2), 400)
    assert decay[30] == pytest.approx(0.95**3) and decay[399] == 0.2
    assert set(rates(schedule("constant"), 9)) == {1.0}


def test_warm_restarts_are_torchs() -> None:
    """As torch.optim.lr_scheduler.CosineAnnealingWarmRestarts, epoch by epoch."""
    ours = schedule("warm_restarts", period=3.0, growth=2.0, floor=0.01)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 3, 2, eta_min=0.01)
    for step in range(250):
        theirs.step(step / 10)
        rate = rate_at(ours, Course(step, 250, 10, (), 0.0))
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-9)


def test_a_plateau_lowers_the_rate_as_torchs_does() -> None:
    """As torch.optim.lr_scheduler.ReduceLROnPlateau, and its patience."""
    values = [5.0, 4.0, 4.0, 4.1, 3.95, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, threshold=0.0, threshold_mode="abs"
    )
    for number, value in enumerate(values, 1):
        theirs.step(value)
        drops = num_drops(values[:number], 1, 0.0)
        assert 0.5**drops == optimizer.param_groups[0]["lr"], number
    plateau = schedule("plateau", gamma=0.5, patience=1, floor=0.1)
    assert rates(plateau, 1, watched=tuple(values[:4])) == [0.5]
    assert rates(plateau, 1, watched=(1.0,) * 40) == [0.1], "never below the floor"


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"name": "cosine"}, "floor must be given for cosine"),
        ({"name": "constant", "gamma": 0.5}, "gamma must be left out for constant"),
        ({"name": "plateau", "gamma": 0.5, "floor": 0.0}, "patience must be given for plateau"),
    ],
)
def test_a_schedule_has_exactly_its_keys(keys, says) -> None:
    with pytest.raises(ParamsError, match=says):
        validate({"warmup_steps": 0, **keys}, "train.x.schedule", ScheduleSection)


def test_muon_makes_directions_orthogonal() -> None:
    torch.manual_seed(0)
    for shape in ((3, 16, 40), (2, 40, 16)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape)))
        assert values.min() > 0.3 and values.max() < 1.4


def test_muon_descends_a_quadratic_and_its_state_round_trips() -> None:
    torch.manual_seed(0)
    target = torch.randn(16, 16)
    weight, bias = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((16, 16), (16,)))
    optimizer = Muon([weight, bias], lr=0.05, weight_decay=0.0)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = ((weight - target) ** 2).mean() + ((bias - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]
    twin = Muon([weight, bias], lr=0.05, weight_decay=0.0)
    twin.load_state_dict(optimizer.state_dict())
    kinds = [set(state) for state in twin.state_dict()["state"].values()]
    assert kinds == [{"momentum"}, {"first", "second", "count"}]
