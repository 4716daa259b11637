"""Executors give every result once, never run far ahead, and bring expected failures home whole."""

import copy
import itertools
import operator
import os
import sys

import pytest

from pipeline.errors import ImageError, ParamsError, ShardError
from pipeline.executors import Processes, WorkerDiedError, run_here
from pipeline.files import sha256_bytes
from pipeline.ray_executor import RayExecutor

EXECUTORS = [run_here, Processes(1), Processes(2)]
DATA = [bytes([number]) * number for number in range(12)]


def fail(item):
    """An expected failure, as far as a worker can raise one."""
    raise ImageError(f"photo {item}", "is no picture", "copy it again")


@pytest.mark.parametrize("execute", EXECUTORS)
def test_every_item_is_done_once(execute):
    assert sorted(execute(sha256_bytes, DATA)) == sorted(map(sha256_bytes, DATA))


@pytest.mark.parametrize("execute", EXECUTORS)
def test_nothing_to_do_is_soon_done(execute):
    assert list(execute(sha256_bytes, [])) == []


@pytest.mark.parametrize(
    ("execute", "ahead"), [(run_here, 1), (Processes(1), 2), (Processes(2), 4)]
)
def test_endless_items_are_taken_a_few_at_a_time(execute, ahead):
    taken = []
    results = execute(operator.neg, (taken.append(n) or n for n in itertools.count()))
    seen = []
    for done, result in enumerate(itertools.islice(results, 20)):
        seen.append(-result)
        assert len(taken) <= done + ahead
    assert len(set(seen)) == 20 and max(seen) < 20 + ahead
    if execute is not run_here:
        results.close()


@pytest.mark.parametrize("execute", EXECUTORS)
def test_an_expected_failure_comes_home_whole(execute):
    with pytest.raises(ImageError) as caught:
        list(execute(fail, [7]))
    assert str(caught.value) == "photo 7: is no picture; copy it again"
    assert caught.value.what == "is no picture"


def test_a_dead_worker_process_is_one_line():
    with pytest.raises(ShardError, match="a worker process died; run it again"):
        list(Processes(2)(os._exit, [3, 4, 5]))


def leave(item):
    """One of the items ends its process."""
    return os._exit(1) if item == 13 else -item


def test_what_was_under_way_in_a_dead_process_is_told_and_nothing_else_is_lost():
    waiting, done = iter(range(40)), []
    with pytest.raises(WorkerDiedError) as caught:
        for one in Processes(2)(leave, waiting):
            done.append(-one)
    lost, rest = caught.value.lost, list(waiting)
    assert 13 in lost and 1 <= len(lost) <= 4
    assert sorted([*done, *lost, *rest]) == list(range(40))
    assert copy.copy(caught.value).lost == lost, "it crosses process borders whole"


def test_a_missing_ray_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ParamsError, match=r"executor ray: is not installed; run .* -e '\.\[ray\]'"):
        list(RayExecutor()(sha256_bytes, DATA))
