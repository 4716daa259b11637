"""The benchmark of versioning runs from end to end on a few photos; its figures are no test's."""

import pytest

from benchmarks import versioning
from tests.benchmarks.test_benchmarks import assert_well_formed, written


@pytest.mark.slow
def test_versioning_counts_what_a_photo_pushes(monkeypatch, tmp_path) -> None:
    sizes = versioning.Sizes(photos=40, added=1, photo_side=96, tile_side=32, per_photo=2)
    rows = written(monkeypatch, tmp_path, "versioning", versioning.main(sizes))
    assert_well_formed(rows)
    numbers = {row["id"]: (row["ours"], row["peer"]) for row in rows}
    assert set(numbers) == {"bytes-one-photo", "bytes-mean", "shards-mean"}
    whole, pushed = numbers["bytes-one-photo"]
    assert 0 < pushed < whole
    shards, redrawn = numbers["shards-mean"]
    assert 1 <= redrawn < shards
