"""The benchmark of loading runs from end to end on tiny sizes; its peers make what streams make."""

from itertools import islice

import numpy as np
import pytest
import torch

from benchmarks import loader
from benchmarks._project import make_project
from pipeline.executors import run_here
from pipeline.synthesis import Store, synthesize
from tests.benchmarks.test_benchmarks import assert_well_formed, written

TINY = loader.Sizes(32, 4, 4, 2, 1, 1, 1, (2, 64), 2)


@pytest.mark.slow
def test_every_way_of_loading_is_measured(monkeypatch, tmp_path) -> None:
    rows = written(monkeypatch, tmp_path, "loader", loader.main(TINY))
    assert_well_formed(rows)
    floors = {row["id"]: row["floor"] for row in rows}
    ways = {"stored": 4, "fly": 5, "cache": 25, "fly-cache": None, "bare": 0.85}
    expected = {
        f"loader-{recipe}-{way}{suffix}": floor if suffix or way == "bare" else None
        for recipe in loader.RECIPES
        for way, floor in ways.items()
        for suffix in (("", "-uint8") if way != "bare" else ("",))
    }
    assert floors == expected | {"loader-two-processes": 1.5}


@pytest.mark.slow
def test_peers_deliver_the_same_samples(tmp_path) -> None:
    """The same pixels in all, flipped and turned, as floats of the same range."""
    project = make_project(tmp_path, 2, 64)
    specs = project.specs(32, 4, 8)
    store = Store(tmp_path / "shards", "png")
    synthesize("shapes", specs, project.maker("shapes", 32), store, run_here, lambda *told: None)
    shards = sorted((tmp_path / "shards").glob("train-*.tar"))
    stream = loader._stream(tmp_path, TINY)
    ways = {
        "ours": (batch.to(loader.CPU) for batch in islice(stream.batches(), stream.num_batches())),
        "bare": (batch.to(loader.CPU) for batch in loader.bare(shards, TINY)),
        "usual": loader.usual(shards, TINY),
    }
    sums = {}
    for name, batches in ways.items():
        parts = [batch[:3] for batch in batches]
        assert all(one.dtype == torch.float32 and one.max() <= 1 for part in parts for one in part)
        assert {tuple(one.shape[1:]) for part in parts for one in part} == {
            (3, 32, 32),
            (1, 32, 32),
        }
        sums[name] = [
            np.sort(torch.cat([part[place].sum((1, 2, 3)) for part in parts]).numpy())
            for place in range(3)
        ]
    for name in ("bare", "usual"):
        for ours, theirs in zip(sums["ours"], sums[name], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-4)
