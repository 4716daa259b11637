"""The benchmark of the restorer's blocks runs from end to end on tiny sizes; which are better, no
test asks."""

import numpy as np
import pytest
import torch

from benchmarks import blocks
from benchmarks._project import make_project
from pipeline.config import load_params
from pipeline.systems import count_parameters
from tests.conftest import ROOT

TINY = blocks.Sizes(
    side=32, batch=2, held_out=3, held_out_side=64, photo_side=96, turn=0.2, overlays=(7, 64)
)


def test_contenders_are_of_equal_size_and_the_first_is_what_params_name() -> None:
    params = load_params(ROOT / "params.yaml")
    pupils = {name: blocks.Pupil(one, params, 1.0) for name, one in blocks.CONTENDERS.items()}
    counts = {name: count_parameters(one.system) for name, one in pupils.items()}
    ours = counts.pop(blocks.OURS)
    assert all(abs(count / ours - 1) <= 0.05 for count in counts.values())
    assert pupils[blocks.OURS].system.section.blocks == params["systems"]["restorer"]["blocks"]


@pytest.mark.slow
def test_blocks_learn_in_turns_for_equal_time() -> None:
    threads = torch.get_num_threads()
    rows = {row["id"]: row for row in blocks.main("1.0", TINY)}
    assert torch.get_num_threads() == threads
    assert set(rows) == {
        f"{name}-{what}"
        for name in blocks.CONTENDERS
        if name != blocks.OURS
        for what in ("size", "speed", "gain")
    }
    assert all(rows[name]["ours"] > 0 for name in rows if name.endswith("-speed"))
    assert all(np.isfinite(row["ratio"]) for row in rows.values())


def test_everyone_sees_the_same_batches(tmp_path) -> None:
    project = make_project(tmp_path, *TINY.overlays)
    photos = blocks.load("train", TINY.photo_side)
    one, other = (blocks.train_batches(project, photos, TINY) for _ in range(2))
    for _ in range(3):
        batch = next(one)
        assert all(torch.equal(*pair) for pair in zip(batch[:3], next(other)[:3], strict=True))
        assert batch.clean.shape == (2, 3, 32, 32)
