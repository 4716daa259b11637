"""Shards are the same bytes for any number of processes, any environment, and after any kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from pipeline.corruptions import Recipe
from pipeline.samples import unpack
from pipeline.shards import read_manifest, read_samples, read_stories
from pipeline.splits import read_index
from tests.conftest import ROOT, run_stage, small_params, write_params
from tests.pipeline.synthesized import PARAMS, synth
from tests.pipeline.test_shards import webdataset_members


def start(home, out, num_workers):
    """`synth aged` as a process of its own that has just finished its first shards."""
    shutil.rmtree(home / ".work", ignore_errors=True)
    words = ["synth", "aged", "--workers", str(num_workers), "--out", str(out)]
    child = subprocess.Popen(
        [sys.executable, "-m", "stages", *words], cwd=home, text=True, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while len(receipts(home)) < 2:
        assert child.poll() is None and time.monotonic() < deadline, "it ended too early"
        time.sleep(0.002)
    return child


def receipts(home):
    return sorted((home / ".work").glob("synth-aged/*/receipts/[!.]*.json"))


def finished(home):
    """What identifies each finished tar on disk: name → (inode, mtime)."""
    stats = {
        path.stem: (path.parent.parent / "shards" / path.stem).stat() for path in receipts(home)
    }
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def workers_of(home):
    """The processes that make shards in this project, whoever their parent is."""
    found = []
    for one in psutil.process_iter():
        try:
            if "spawn_main" in " ".join(one.cmdline()) and one.cwd() == str(home):
                found.append(one)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def assert_no_workers(home, seconds=10):
    deadline = time.monotonic() + seconds
    while workers_of(home):
        assert time.monotonic() < deadline, "a worker lives on"
        time.sleep(0.02)


# the same bytes


@pytest.fixture(scope="module", params=["aged", "everything", "defects"])
def alone(home, undisturbed, request):
    """A recipe, and its files made by one process."""
    if request.param == "aged":
        return request.param, undisturbed
    folder = home / f"undisturbed-{request.param}"
    return request.param, synth(home, folder, "--workers", "1", recipe=request.param)


@pytest.mark.slow
def test_what_is_compared_has_every_family_of_its_recipe(home, alone):
    recipe, _ = alone
    folder = home / ("undisturbed" if recipe == "aged" else f"undisturbed-{recipe}")
    told = {
        step["family"]
        for split in ("train", "val", "test")
        for story in read_stories(folder, split)
        for step in story["steps"]
    }
    wanted = Recipe.load(PARAMS, recipe, None).flat_steps()
    assert told == {step.family for step in wanted}


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_the_bytes_do_not_depend_on_the_number_of_processes(home, alone, tmp_path, num_workers):
    recipe, files = alone
    assert synth(home, tmp_path / "out", "--workers", num_workers, recipe=recipe) == files


ENVIRONMENTS = [
    {"PYTHONHASHSEED": "1"},
    {"PYTHONHASHSEED": "99", "TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    {"TZ": "America/St_Johns", "LC_ALL": "C", "COLUMNS": "20", "PYTHONUTF8": "0",
     "OMP_NUM_THREADS": "4"},
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_bytes_do_not_depend_on_the_environment(home, alone, tmp_path, environment):
    recipe, files = alone
    made = synth(home, tmp_path / "out", "--workers", "1", recipe=recipe, **environment)
    assert made == files


def test_the_bytes_do_not_depend_on_the_working_folder(home, undisturbed, tmp_path):
    made = synth(home, tmp_path / "out", "--workers", "1", cwd=home / "data/raw")
    assert made == undisturbed


def test_the_manifest_comes_with_every_planned_sample(home, undisturbed):
    manifest = read_manifest(home / "undisturbed")
    photos = read_index(home / "data/index.json")
    for split in ("train", "val", "test"):
        tiles = PARAMS["recipes"]["aged"][split]
        count = sum(photo.split == split for photo in photos) * tiles["per_photo"]
        assert manifest.num_samples(split) == count * tiles["variants"]
    assert {row.name for row in manifest.shards} == {n for n in undisturbed if n.endswith(".tar")}


def test_keys_are_unique_and_have_no_dots(home, undisturbed):
    keys = [
        sample.key
        for split in ("train", "val", "test")
        for sample in read_samples(home / "undisturbed", split)
    ]
    assert len(keys) == len(set(keys)) > 0
    for key in keys:
        photo, tile, variant = key.split("_")
        assert "." not in key and len(photo) == 64 and tile.isdigit() and variant.isdigit()


def test_only_remakes_the_very_sample_of_the_shards(home, undisturbed, tmp_path):
    wanted = list(read_samples(home / "undisturbed", "test"))[3]
    run_stage(home, "synth", "aged", "--only", wanted.key, "--out", tmp_path)
    (made,) = (unpack(one) for one in webdataset_members(next(tmp_path.glob("*.tar")).read_bytes()))
    assert (made.key, made.story) == (wanted.key, wanted.story)
    for name in ("clean", "corrupted", "mask"):
        np.testing.assert_array_equal(getattr(made, name), getattr(wanted, name))


def test_only_with_an_unknown_key_is_one_line(home):
    done = run_stage(home, "synth", "aged", "--only", "nobody", check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: --only nobody: the recipe makes no such sample; see `patina show`"
    ]


# kills


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_next_without_making_anything_twice(
    home, undisturbed, tmp_path
):
    child = start(home, tmp_path / "out", 2)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert_no_workers(home)
    before = finished(home)
    assert 2 <= len(before) < len(undisturbed) - 1
    assert not (tmp_path / "out").exists()
    assert synth(home, tmp_path / "out", "--workers", "2", keep_work=True) == undisturbed
    after = finished(home)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_no_worker_outlives_a_killed_parent(home, tmp_path):
    child = start(home, tmp_path / "out", 4)
    everyone = psutil.Process(child.pid).children(recursive=True)
    assert workers_of(home)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert_no_workers(home)
    assert psutil.wait_procs(everyone, timeout=10)[1] == []


@pytest.mark.slow
def test_a_killed_worker_is_a_one_line_error_and_the_next_run_finishes(home, undisturbed, tmp_path):
    child = start(home, tmp_path / "out", 2)
    workers_of(home)[0].kill()
    error = child.communicate(timeout=30)[1]
    assert child.returncode == 1 and "Traceback" not in error
    told = [line for line in error.splitlines() if not line.startswith("synth aged: ")]
    assert told == [
        "error: synth: a worker process died; run it again, it goes on where it stopped"
    ]
    before = finished(home)
    assert synth(home, tmp_path / "out", "--workers", "2", keep_work=True) == undisturbed
    after = finished(home)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_a_polite_end_leaves_no_worker_and_no_traceback(home, undisturbed, tmp_path):
    child = start(home, tmp_path / "out", 2)
    everyone = psutil.Process(child.pid).children(recursive=True)
    child.send_signal(signal.SIGTERM)
    error = child.communicate(timeout=30)[1]
    assert child.returncode == 143 and "Traceback" not in error
    assert psutil.wait_procs(everyone, timeout=10)[1] == []
    assert synth(home, tmp_path / "out", "--workers", "1", keep_work=True) == undisturbed


# what a user can get wrong


def test_a_split_without_photos_is_one_line(home, tmp_path):
    params = small_params()
    params["recipes"]["aged"]["sources"] = ["folder"]
    write_params(tmp_path, params)
    (tmp_path / "data").mkdir()
    for name in ("index.json", "textures"):
        (tmp_path / "data" / name).symlink_to(home / "data" / name)
    done = run_stage(tmp_path, "synth", "aged", check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: recipes.aged: no train photos come from the sources folder;")
    assert not (tmp_path / "data/shards").exists()


def test_a_photo_that_changed_since_it_was_indexed_is_one_line(home, tmp_path):
    write_params(tmp_path, PARAMS)
    shutil.copytree(home / "data", tmp_path / "data")
    name = json.loads((home / "data/index.json").read_text())["photos"][0]["path"]
    with (tmp_path / "data/raw" / name).open("ab") as file:
        file.write(b"x")
    for num_workers in (1, 2):
        done = run_stage(tmp_path, "synth", "aged", "--workers", num_workers, check=False)
        told = [line for line in done.stderr.splitlines() if not line.startswith("synth aged: ")]
        assert done.returncode == 1 and len(told) == 1
        assert f"{name}: has changed since it was indexed; run `patina index` again" in told[0]
        assert not (tmp_path / "data/shards/aged").exists()
