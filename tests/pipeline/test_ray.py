"""Ray makes the bytes that one process makes, whichever worker, machine or driver dies."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from pipeline.errors import ImageError, ParamsError, ShardError
from pipeline.executors import run_here
from pipeline.files import sha256_bytes
from pipeline.ray_executor import Needs, RayExecutor
from pipeline.seeds import rng
from pipeline.synthesis import Store, synthesize
from pipeline.tiling import ShardSpec, TileSpec
from pipeline.url_store import UrlStore
from tests.conftest import ROOT, run_stage, small_params, tree, write_params
from tests.pipeline.synthesized import new_photo
from tests.pipeline.test_url_store import turned

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.slow

MEMORY = 100 << 20


@dataclass(frozen=True)
class ToldStore(Store):
    """A store that notes in `notes` which machine and process began and ended which shard, and
    takes its time. With `deadly`, the first worker that begins the named shard dies."""

    notes: Path = Path()
    seconds: float = 0.0
    deadly: str = ""

    def make(self, spec, make_sample):
        node = ray.get_runtime_context().get_node_id()
        begun = Counter(name for _, name, *_ in notes_of(self.notes))
        self.note("began", spec.name, node, str(os.getpid()))
        if spec.name == self.deadly and not begun[spec.name]:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds)
        row = super().make(spec, make_sample)
        self.note("ended", spec.name, node, str(os.getpid()))
        return row

    def note(self, *words):
        with self.notes.open("a") as file:
            file.write(" ".join(words) + "\n")


def notes_of(path):
    return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def cluster():
    """Two machines, as far as Ray knows, with one core each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    before = signal.getsignal(signal.SIGTERM)
    words = {"num_cpus": 1, "object_store_memory": MEMORY}
    made = Cluster(initialize_head=True, head_node_args={**words, "include_dashboard": False})
    made.second = made.add_node(**words)
    yield made
    made.shutdown()
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def specs(tmp_path):
    """Twelve shards of two samples."""
    pixels = rng(0, "photo").integers(0, 256, (64, 64, 3), np.uint8)
    photo = new_photo(tmp_path / "raw", pixels)
    return [
        ShardSpec(f"train-{n:05d}.tar", "train", tmp_path / "raw", 1.0,
                  tuple(TileSpec(photo, f"{photo.id}_{n:04d}_{v:02d}", n, v, 32) for v in (0, 1)))
        for n in range(12)
    ]  # fmt: skip


def silent(done, total):
    """No progress told."""


def made_here(specs, folder):
    """The files that one process makes."""
    synthesize("upside", specs, turned, Store(folder, "png"), run_here, silent)
    return tree(folder)


def told_store(tmp_path, **words):
    (tmp_path / "work").mkdir()
    return ToldStore(tmp_path / "work/shards", "png", tmp_path / "notes", **words)


# a cluster of two machines


def test_shards_of_a_cluster_are_those_of_one_process(cluster, specs, tmp_path):
    store = told_store(tmp_path)
    execute = RayExecutor(cluster.address, writes=tmp_path / "work")
    rows = synthesize("upside", specs, turned, store, execute, silent)
    assert [row.name for row in rows] == [spec.name for spec in specs]
    assert tree(store.folder) == made_here(specs, tmp_path / "here")
    assert not list((tmp_path / "work").glob(".tmp-*"))


def test_a_cluster_fills_a_url_too(cluster, specs, tmp_path):
    store = UrlStore(f"file://{tmp_path}/url", "png", "code")
    synthesize("upside", specs, turned, store, RayExecutor(cluster.address), silent)
    shutil.rmtree(tmp_path / "url/receipts")
    assert tree(tmp_path / "url") == made_here(specs, tmp_path / "here")


def test_expected_failures_come_home_whole_and_stop_the_rest(cluster, specs, tmp_path):
    photo = specs[0].folder / specs[0].tiles[0].photo.path
    photo.write_bytes(photo.read_bytes() + b"x")
    store = told_store(tmp_path, seconds=0.2)
    with pytest.raises(ImageError) as caught:
        synthesize("upside", specs, turned, store, RayExecutor(cluster.address), silent)
    assert type(caught.value) is ImageError
    assert caught.value.what == "has changed since it was indexed"
    assert not ray.is_initialized()
    time.sleep(1)
    begun = len(notes_of(store.notes))
    time.sleep(1)
    assert len(notes_of(store.notes)) == begun < 12


def test_a_mistake_in_the_code_keeps_its_traceback(cluster):
    with pytest.raises(TypeError, match="sha256_bytes"):
        list(RayExecutor(cluster.address)(sha256_bytes, [None]))


def test_folders_that_a_machine_does_not_see_are_one_line(cluster, tmp_path):
    unseen = tmp_path / "nowhere"
    with pytest.raises(ShardError, match=f"does not see {unseen}; share that folder"):
        list(RayExecutor(cluster.address, reads=(unseen,))(sha256_bytes, [b"x"]))


def test_few_items_are_under_way(cluster, tmp_path):
    taken = []
    items = (taken.append(n) or bytes([n]) for n in range(200))
    results = RayExecutor(cluster.address, number=3)(sha256_bytes, items)
    for done, _ in zip(range(20), results, strict=False):
        assert len(taken) <= done + 4
    results.close()
    assert not ray.is_initialized()


def test_a_killed_worker_is_made_up_for(cluster, specs, tmp_path):
    store = told_store(tmp_path, deadly="train-00004.tar")
    synthesize("upside", specs, turned, store, RayExecutor(cluster.address), silent)
    assert tree(store.folder) == made_here(specs, tmp_path / "here")
    begun = Counter(name for word, name, *_ in notes_of(store.notes) if word == "began")
    assert begun["train-00004.tar"] == 2 and set(begun.values()) == {1, 2}


@pytest.mark.long
def test_a_machine_killed_half_way_changes_no_byte(cluster, specs, tmp_path):
    store = told_store(tmp_path, seconds=0.4)
    lost = cluster.second.node_id

    def kill(done, total):
        if done >= 6 and cluster.second is not None:
            freeze(store.notes, lost)
            cluster.remove_node(cluster.second, allow_graceful=False)
            cluster.second = None
            for pid in {pid for _, _, node, pid in notes_of(store.notes) if node == lost}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)

    synthesize("upside", specs, turned, store, RayExecutor(cluster.address), kill)
    assert tree(store.folder) == made_here(specs, tmp_path / "here")
    assert cluster.second is None
    torn = unfinished(store.notes, lost)
    assert len(torn) == 1
    ended = {(name, node) for word, name, node, _ in notes_of(store.notes) if word == "ended"}
    assert {name for name, node in ended if node != lost} >= set(torn)
    assert {node for _, node in ended} > {lost}  # both had made some


def unfinished(notes, node):
    """Shard → process, of those that a machine began and did not end."""
    mine = [note for note in notes_of(notes) if note[2] == node]
    ended = {name for word, name, _, _ in mine if word == "ended"}
    return {name: int(pid) for _, name, _, pid in mine if name not in ended}


def freeze(notes, node):
    """Stop the process of a machine in the middle of a shard, which it will never end."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for pid in unfinished(notes, node).values():
            os.kill(pid, signal.SIGSTOP)
            if pid in unfinished(notes, node).values():
                return
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("that machine does not work")


# a cluster of this machine alone, by the command


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with photos, and the shards that one process makes of them."""
    folder = tmp_path_factory.mktemp("project")
    params = small_params()
    params["synthesis"]["samples_per_shard"] = 2
    params["recipes"]["shapes"]["train"] |= {"per_photo": 16, "side": 128}
    write_params(folder, params)
    (folder / "data/inbox").mkdir(parents=True)
    for name in ("fetch", "index"):
        run_stage(folder, name)
    run_stage(folder, "synth", "shapes", "--out", folder / "undisturbed", "--workers", "1")
    shutil.rmtree(folder / ".work")
    return folder


WORDS = ["synth", "shapes", "--executor", "ray", "--workers", "2", "--out"]


def start(home, out):
    """The command as a process of its own that has just finished its first shards."""
    shutil.rmtree(home / ".work", ignore_errors=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "stages", *WORDS, str(out)], cwd=home, text=True,
        stderr=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while len(receipts(home)) < 2:
        assert child.poll() is None and time.monotonic() < deadline, "it ended too early"
        time.sleep(0.005)
    return child


def receipts(home):
    return sorted((home / ".work").glob("synth-shapes/*/receipts/[!.]*.json"))


def finished(home):
    """What identifies each finished tar on disk: name → (inode, mtime)."""
    stats = {
        path.stem: (path.parent.parent / "shards" / path.stem).stat() for path in receipts(home)
    }
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (signal.SIGKILL, -9, None),
        pytest.param(
            signal.SIGINT, 130, "stopped; the next run goes on from here", marks=pytest.mark.long
        ),
        pytest.param(signal.SIGTERM, 143, None, marks=pytest.mark.long),
    ],
)
def test_a_driver_that_ends_leaves_nobody_and_the_next_makes_nothing_twice(
    home, tmp_path, number, code, told
):
    child = start(home, tmp_path / "out")
    # Ray's agents, that make nothing, outlive a killed driver by up to a minute.
    everyone = [one for one in psutil.Process(child.pid).children(recursive=True)
                if number != signal.SIGKILL or "Agent" not in one.name()]  # fmt: skip
    child.send_signal(number)
    error = child.communicate(timeout=60)[1]
    assert child.returncode == code and "Traceback" not in error
    if told:
        assert error.splitlines()[-1] == told
    assert psutil.wait_procs(everyone, timeout=20)[1] == []
    before = finished(home)
    assert 2 <= len(before) < len(tree(home / "undisturbed")) - 1
    assert not (tmp_path / "out").exists()
    # Whoever goes on: Ray again, or processes of this machine.
    words = WORDS[1:] if number == signal.SIGKILL else ["shapes", "--workers", "2", "--out"]
    run_stage(home, "synth", *words, tmp_path / "out")
    assert tree(tmp_path / "out") == tree(home / "undisturbed")
    after = finished(home)
    assert {name: after[name] for name in before} == before


# without any cluster


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"])
def test_an_address_where_no_cluster_answers_is_one_line_and_quick(address):
    start = time.monotonic()
    with pytest.raises(ParamsError) as caught:
        list(RayExecutor(address)(sha256_bytes, [b"x"]))
    assert str(caught.value).startswith(f"Ray at {address}: ")
    assert time.monotonic() - start < 15


def test_nothing_to_do_starts_no_cluster():
    assert list(RayExecutor("127.0.0.1:9")(sha256_bytes, [])) == []


def test_a_machine_with_another_opencv_or_numpy_is_refused():
    Needs(()).check()
    for other in ({"opencv": "4.0"}, {"numpy": "1.0"}):
        with pytest.raises(ShardError, match="install OpenCV"):
            replace(Needs(()), **other).check()


def test_an_address_without_ray_is_one_line(home):
    done = run_stage(home, "synth", "shapes", "--address", "auto", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: --address auto: is Ray's; add --executor ray"]
