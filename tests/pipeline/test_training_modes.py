"""How a training computes: precision, averages, warm starts, phases that end early."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline import checkpoint, runs, training
from pipeline.config import load_params
from pipeline.errors import ParamsError, PipelineError, TrainingError
from pipeline.files import sha256_file
from pipeline.precision import FIRST_SCALE, MAX_SKIPPED
from pipeline.trainer import Trainer
from stages.train import make_run
from tests.conftest import tree
from tests.pipeline.test_training import Watcher, begin, shards  # noqa: F401  # fixtures

Begin = Callable[..., runs.Run]


class Stopping(Watcher):
    """Asks to stop after every step."""

    def stopping(self) -> bool:
        return True


def in_pieces(again: Callable[[], runs.Run]) -> None:
    """Train step by step, each as if in a new process."""
    while True:
        try:
            training.train(again(), Stopping())
            return
        except KeyboardInterrupt:
            pass


def half(section: dict) -> None:
    section["precision"] = "fp16"


def state(folder: Path) -> dict:
    return checkpoint.load(folder / runs.STATE, "state")[0]["state"]


def test_fp16_trains_and_goes_on_after_any_step(begin: Begin, tmp_path: Path) -> None:  # noqa: F811
    watcher = Watcher()
    training.train(begin("aged_unet", "whole", half), watcher)
    assert [len(terms) for terms in watcher.terms] == [1] * 6
    assert state(tmp_path / "whole")["scales"]["restorer"]["good"] == 6
    in_pieces(lambda: begin("aged_unet", "parts", half))
    assert tree(tmp_path / "parts") == tree(tmp_path / "whole")


def spoil(run: runs.Run, calls: range) -> None:
    """Make the gradient of one weight infinite in the given backward passes."""
    seen = iter(range(10**6))
    run.system.net.head.weight.register_hook(
        lambda grad: grad * float("inf") if next(seen) in calls else grad
    )


def test_under_fp16_a_bad_gradient_skips_its_step_and_halves_the_scale(
    begin: Begin,  # noqa: F811
    tmp_path: Path,
) -> None:
    run = begin("aged_unet", "work", half)
    spoil(run, range(2))
    start = {name: value.clone() for name, value in run.system.state_dict().items()}
    with pytest.raises(KeyboardInterrupt):
        training.train(run, Watcher(stop=2))
    tensors = checkpoint.load(tmp_path / "work" / runs.STATE, "state")[1]
    assert all(torch.equal(tensors[f"model.{name}"], value) for name, value in start.items())
    scale = state(tmp_path / "work")["scales"]["restorer"]
    assert scale == {"value": FIRST_SCALE / 4, "good": 0, "skipped": 2}
    training.train(begin("aged_unet", "work", half), Watcher())
    scale = state(tmp_path / "work")["scales"]["restorer"]
    assert scale == {"value": FIRST_SCALE / 4, "good": 4, "skipped": 0}


def test_under_fp16_ten_bad_gradients_in_a_row_end_the_run(begin: Begin) -> None:  # noqa: F811
    def longer(section: dict) -> None:
        half(section)
        section["phases"]["fit"]["steps"] = 40

    watcher, run = Watcher(), begin("aged_unet", "work", longer)
    spoil(run, range(3, 10**6))
    with pytest.raises(TrainingError, match="gradient norm"):
        training.train(run, watcher)
    assert len(watcher.terms) == 3 + MAX_SKIPPED - 1


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_last_weights_are_the_averaged_ones(
    begin: Begin,  # noqa: F811
    tmp_path: Path,
    decay: float,
) -> None:
    training.train(begin("aged_unet", "work", lambda s: s.update(ema_decay=decay)), Watcher())
    tensors = checkpoint.load(tmp_path / "work" / runs.STATE, "state")[1]
    last = checkpoint.load(tmp_path / "work" / runs.LAST, "weights")[1]
    name = "net.head.weight"
    assert torch.equal(last[name], tensors[f"average.{name}"])
    assert torch.equal(last[name], tensors[f"model.{name}"]) == (decay == 0)


def test_norms_rest_after_their_share_of_the_steps(begin: Begin, tmp_path: Path) -> None:  # noqa: F811
    def frozen(section: dict) -> None:
        section["ema_decay"] = 0.0
        section["phases"]["fit"]["freeze_norm_at"] = 0.5

    def norms() -> dict[str, torch.Tensor]:
        tensors = checkpoint.load(tmp_path / "work" / runs.STATE, "state")[1]
        return {k: v for k, v in tensors.items() if k.startswith("model.") and "running" in k}

    seen = []
    for stop in (2, 3, 5):
        with pytest.raises(KeyboardInterrupt):
            run = begin("dual_decoder", "work", frozen)
            watcher = Watcher()
            watcher.stopping = lambda run=run, stop=stop, watcher=watcher: (  # type: ignore[method-assign]
                run is not None and watcher.last == stop
            )
            watcher.progress = lambda told, watcher=watcher: setattr(watcher, "last", told.step)  # type: ignore[method-assign]
            training.train(run, watcher)
        seen.append(norms())
    assert any(not torch.equal(seen[0][name], seen[1][name]) for name in seen[0])
    assert all(torch.equal(seen[1][name], seen[2][name]) for name in seen[1])


def warm(folder: Path, **changes: str) -> Callable[[dict], None]:
    path = folder / runs.BEST
    block = {"path": str(path), "sha256": sha256_file(path), **changes}
    return lambda section: section.update(warm_start=block)


def test_a_warm_start_begins_with_the_weights_of_the_file(begin: Begin, tmp_path: Path) -> None:  # noqa: F811
    training.train(begin("aged_unet", "first"), Watcher())
    run = begin("aged_unet", "second", warm(tmp_path / "first"))
    trainer = Trainer(run, tmp_path / "second" / runs.STATE)
    _, tensors = checkpoint.load(tmp_path / "first" / runs.BEST, "weights")
    found = trainer.average.state_dict()
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in found)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"sha256": "0" * 64}, "has the sha256"), ({"path": "nowhere.safetensors"}, "is no file")],
)
def test_a_warm_start_from_something_else_is_refused(
    begin: Begin,  # noqa: F811
    tmp_path: Path,
    changes: dict[str, str],
    says: str,
) -> None:
    training.train(begin("aged_unet", "first"), Watcher())
    with pytest.raises(ParamsError, match=says):
        begin("aged_unet", "second", warm(tmp_path / "first", **changes))


def test_a_warm_start_from_another_kind_is_refused(begin: Begin, tmp_path: Path) -> None:  # noqa: F811
    training.train(begin("aged_unet", "first"), Watcher())
    with pytest.raises(ParamsError, match="weights of aged_unet, not of dual_decoder"):
        begin("dual_decoder", "second", warm(tmp_path / "first"))


def test_a_smaller_gain_than_min_delta_is_kept_but_does_not_prolong(begin: Begin) -> None:  # noqa: F811
    def change(section: dict) -> None:
        section["validate_every"] = 1
        stop = {"metric": "val/mse", "mode": "min", "patience": 3, "min_delta": 1.0}
        section["phases"]["fit"] |= {"steps": 40, "early_stop": stop}

    watcher = Watcher()
    ended = training.train(begin("aged_unet", "work", change), watcher)
    values = [row["val/mse"] for _, row in watcher.rows]
    assert ended.step == 4 == len(values), "the first sets the mark; three gained less than 1"
    assert ended.best == min(values) and ended.best_step == values.index(min(values)) + 1


def test_phases_and_groups_are_checked_before_anything_runs(shards: Path) -> None:  # noqa: F811
    params = load_params(shards / "params.yaml")
    phases = params["train"]["aged_unet"]["phases"]
    phases["fitt"] = phases.pop("fit")
    with pytest.raises(PipelineError, match=r"phases: names fitt; the system has fit"):
        make_run(shards, params, "aged_unet", "cpu", 0)
