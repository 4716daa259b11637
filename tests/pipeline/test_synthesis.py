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

from pipeline.corruptions import Recipe, Tiles
from pipeline.executors import run_here
from pipeline.files import sha256_bytes
from pipeline.images import encode_png
from pipeline.seeds import rng
from pipeline.shards import read_manifest, read_samples, unpack
from pipeline.splits import Photo, pixel_id, read_index
from pipeline.synthesis import SampleMaker, Store, make_shard, synthesize
from pipeline.tiling import SynthesisSection, TileSpec, cut_tile, plan_split, plan_tiles
from tests.conftest import ROOT, run_stage, small_params, tree, write_params
from tests.pipeline.test_shards import webdataset_members

PARAMS = small_params()
PARAMS["synthesis"]["samples_per_shard"] = 2  # many shards, so that a kill falls between some
SECTION = SynthesisSection(**PARAMS["synthesis"])
MEGAPIXELS = PARAMS["index"]["max_megapixels"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with photos and textures; no shards yet."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, PARAMS)
    (folder / "data/inbox").mkdir(parents=True)
    (folder / "textures/scans").mkdir(parents=True)
    for name in ("fetch", "index", "textures"):
        run_stage(folder, name)
    return folder


@pytest.fixture(scope="module")
def undisturbed(home):
    """The files of `aged`, made by one process."""
    return synth(home, home / "undisturbed", "--workers", "1")


@pytest.fixture(scope="module")
def recipe(home):
    return Recipe.load(PARAMS, "aged", home / "data/textures")


def synth(home, out, *words, cwd=None, keep_work=False, **environment):
    """Every file of a fresh `synth aged`: name → bytes."""
    if not keep_work:
        shutil.rmtree(home / ".work", ignore_errors=True)
    run_stage(cwd or home, "synth", "aged", "--out", out, *words, **environment)
    return tree(out)


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


def cut(**changes):
    return Tiles(**{"side": 48, "per_photo": 3, "variants": 2} | changes)


def train_photos(home):
    return [photo for photo in read_index(home / "data/index.json") if photo.split == "train"]


def plan(home, photos, tiles, section=SECTION):
    return plan_split("train", photos, tiles, section, 7, home / "data/raw", MEGAPIXELS)


def new_photo(folder, pixels, name="new.png"):
    """A row for pixels that lie in a file of `folder`."""
    data = encode_png(pixels)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    identity = pixel_id(pixels)
    return Photo(
        id=identity, source="folder", name=name, path=name, sha256=sha256_bytes(data), gray=False,
        width=pixels.shape[1], height=pixels.shape[0], group=identity, split="train",
    )  # fmt: skip


def samples_of(specs, make):
    """Key → sample, of all shards."""
    made = [webdataset_members(make_shard(spec, make)[0]) for spec in specs]
    return {one["__key__"]: unpack(one) for members in made for one in members}


# the same bytes


def fill(specs, make, folder, seen: list | None = None) -> None:
    """Make the shards of some specs here, noting the progress told."""
    note = (lambda done, total: None) if seen is None else lambda *told: seen.append(told)
    synthesize("aged", specs, make, Store(folder, "png"), run_here, note)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [1, 2, 4])
def test_the_bytes_do_not_depend_on_the_number_of_processes(
    home, undisturbed, tmp_path, num_workers
):
    assert synth(home, tmp_path / "out", "--workers", num_workers) == undisturbed


ENVIRONMENTS = [
    {"PYTHONHASHSEED": "1"},
    {"PYTHONHASHSEED": "99", "TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    {"TZ": "America/St_Johns", "LC_ALL": "C", "COLUMNS": "20", "PYTHONUTF8": "0"},
]


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_bytes_do_not_depend_on_the_environment(home, undisturbed, tmp_path, environment):
    assert synth(home, tmp_path / "out", "--workers", "1", **environment) == undisturbed


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


# resuming


@pytest.mark.parametrize(
    "spoil",
    [
        lambda shard, receipt: shard.unlink(),
        lambda shard, receipt: shard.write_bytes(shard.read_bytes()[:-1]),
        lambda shard, receipt: receipt.unlink(),
        lambda shard, receipt: receipt.write_text("{"),
        lambda shard, receipt: receipt.write_text("{}"),
        lambda shard, receipt: receipt.write_text("[]"),
    ],
)
def test_unfinished_or_spoiled_work_is_made_again(home, recipe, tmp_path, spoil):
    make = SampleMaker("aged", 7, recipe.damage)
    specs = plan(home, train_photos(home)[:2], cut())
    work = tmp_path / "shards"
    fill(specs, make, work)
    whole = tree(tmp_path)
    spoil(work / specs[1].name, tmp_path / "receipts" / f"{specs[1].name}.json")
    seen = []
    synthesize(
        "aged",
        specs,
        make,
        Store(work, "png"),
        run_here,
        lambda done, total: seen.append((done, total)),
    )
    assert tree(tmp_path) == whole
    assert seen == [(10, 12), (12, 12)]


def test_what_a_killed_run_had_half_written_is_swept_away(home, recipe, tmp_path):
    make = SampleMaker("aged", 7, recipe.damage)
    specs = plan(home, train_photos(home)[:1], cut())
    (tmp_path / "shards").mkdir()
    for name in (".tmp-half.tar", ".tmp-x.json", "train-00099.tar"):
        (tmp_path / "shards" / name).write_bytes(b"half")
    synthesize(
        "aged", specs, make, Store(tmp_path / "shards", "png"), run_here, lambda done, total: None
    )
    wanted = {spec.name for spec in specs} | {"manifest.json"}
    assert {path.name for path in (tmp_path / "shards").iterdir()} == wanted


def test_progress_goes_up_to_the_total(home, recipe, tmp_path):
    seen = []
    specs = plan(home, train_photos(home)[:2], cut())
    make = SampleMaker("aged", 7, recipe.damage)
    synthesize(
        "aged",
        specs,
        make,
        Store(tmp_path / "w", "png"),
        run_here,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(done, 12) for done in range(0, 13, 2)]


# photos and tiles


def test_a_photo_smaller_than_the_tile_is_reflected(home, recipe, tmp_path):
    pixels = rng(0, "small").integers(0, 256, (20, 31, 3), np.uint8)
    photo = new_photo(tmp_path / "data/raw", pixels)
    make = SampleMaker("aged", 7, recipe.damage)
    (spec,) = plan(tmp_path, [photo], cut(side=64, per_photo=1, variants=1))
    tile = cut_tile(pixels, spec.tiles[0])
    assert tile.shape == (64, 64, 3) and tile.flags.c_contiguous
    rows = [*range(20), *range(19, -1, -1), *range(20), *range(19, 15, -1)]
    columns = [*range(31), *range(30, -1, -1), 0, 1]
    np.testing.assert_array_equal(tile, pixels[rows][:, columns])
    (sample,) = samples_of([spec], make).values()
    assert sample.clean.shape == (64, 64, 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 100), (100, 1), (47, 48), (48, 48), (49, 200)])
def test_tiles_of_any_photo_have_the_asked_size_and_lie_inside(shape, tmp_path):
    pixels = rng(0, "any", *shape).integers(0, 256, (*shape, 3), np.uint8)
    photo = new_photo(tmp_path, pixels)
    for spec in plan_tiles(photo, cut(per_photo=20), 7):
        tile = cut_tile(pixels, spec)
        assert tile.shape == (48, 48, 3)
        assert 0 <= spec.top <= max(0, shape[0] - 48) and 0 <= spec.left <= max(0, shape[1] - 48)
        seen = pixels[spec.top : spec.top + 48, spec.left : spec.left + 48]
        np.testing.assert_array_equal(tile[: seen.shape[0], : seen.shape[1]], seen)


def test_tiles_reach_every_border_of_a_photo(tmp_path):
    photo = new_photo(tmp_path, np.zeros((51, 50, 3), np.uint8))
    specs = plan_tiles(photo, cut(per_photo=200), 7)
    assert {spec.top for spec in specs} == {0, 1, 2, 3}
    assert {spec.left for spec in specs} == {0, 1, 2}


def test_variants_share_their_window_and_have_damage_of_their_own(home, recipe):
    specs = plan(home, train_photos(home)[:1], cut())
    made = samples_of(specs, SampleMaker("aged", 7, recipe.damage))
    for key, sample in made.items():
        if key.endswith("_00"):
            twin = made[f"{key[:-3]}_01"]
            np.testing.assert_array_equal(sample.clean, twin.clean)
            assert (sample.corrupted != twin.corrupted).any()
            assert sample.story["photo"] == twin.story["photo"]


def test_the_clean_picture_is_the_window_that_the_story_names(home, recipe):
    """`shapes` keeps the clean tile as it was cut."""
    from pipeline.splits import load_photo

    shapes = Recipe.load(PARAMS, "shapes", None)
    photos = train_photos(home)[:3]
    made = samples_of(plan(home, photos, cut()), SampleMaker("shapes", 7, shapes.damage))
    pixels = {one.name: load_photo(home / "data/raw", one, MEGAPIXELS) for one in photos}
    assert len(made) == 18
    for sample in made.values():
        told = sample.story["photo"]
        top, left = told["top"], told["left"]
        np.testing.assert_array_equal(
            sample.clean, pixels[told["name"]][top : top + 48, left : left + 48]
        )


def test_a_new_photo_changes_no_sample_of_the_others(home, recipe, tmp_path):
    raw = shutil.copytree(home / "data/raw", tmp_path / "data/raw")
    make = SampleMaker("aged", 7, recipe.damage)
    photos = train_photos(home)[:4]
    pixels = rng(0, "newcomer").integers(0, 256, (90, 90, 3), np.uint8)
    before = samples_of(plan(tmp_path, photos, cut()), make)
    after = samples_of(plan(tmp_path, [new_photo(raw, pixels), *photos], cut()), make)
    assert len(after) == len(before) + 6
    for key, sample in before.items():
        assert after[key].story == sample.story
        for name in ("clean", "corrupted", "mask"):
            np.testing.assert_array_equal(getattr(after[key], name), getattr(sample, name))


def test_the_order_of_the_index_does_not_matter(home):
    photos = train_photos(home)
    assert plan(home, photos, cut()) == plan(home, photos[::-1], cut())


@pytest.mark.parametrize(("group", "shard"), [(1, 1), (2, 5), (16, 128), (3, 4)])
def test_every_tile_is_planned_once_whatever_the_shard_size(home, group, shard):
    section = SynthesisSection(photos_per_group=group, samples_per_shard=shard)
    photos = train_photos(home)
    specs = plan(home, photos, cut(), section)
    keys = [tile.key for spec in specs for tile in spec.tiles]
    assert sorted(keys) == sorted(tile.key for one in photos for tile in plan_tiles(one, cut(), 7))
    assert all(0 < len(spec.tiles) <= shard for spec in specs)
    assert [spec.name for spec in specs] == [f"train-{n:05d}.tar" for n in range(len(specs))]


def test_a_recipe_with_another_name_or_seed_draws_other_damage(home, recipe):
    (first, *_) = plan(home, train_photos(home)[:1], cut())
    one = samples_of([first], SampleMaker("aged", 7, recipe.damage))
    for name, seed in (("aged", 8), ("other", 7)):
        other = samples_of([first], SampleMaker(name, seed, recipe.damage))
        assert all((other[key].corrupted != one[key].corrupted).any() for key in one)


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


def test_a_tile_spec_tells_all_that_a_sample_depends_on():
    """A worker gets nothing else: the fields are pinned, new ones need a thought on stability."""
    assert TileSpec._fields == ("photo", "key", "top", "left", "side")


@pytest.mark.parametrize("room", [256_000_000, 1_000_000, 0])
def test_shards_of_a_group_share_decoded_photos_as_far_as_there_is_room(
    home, recipe, monkeypatch, room
):
    from pipeline import synthesis

    specs = plan(home, train_photos(home), cut(), SynthesisSection(
        photos_per_group=16, samples_per_shard=20))  # fmt: skip
    make = SampleMaker("aged", 7, recipe.damage)
    alone = []
    for spec in specs:
        synthesis.forget_photos()
        alone.append(make_shard(spec, make))
    decoded = []

    def load(folder, photo, limit):
        decoded.append(photo.name)
        return load_photo(folder, photo, limit)

    load_photo = synthesis.load_photo
    monkeypatch.setattr(synthesis, "load_photo", load)
    monkeypatch.setattr(synthesis, "KEPT_BYTES", room)
    synthesis.forget_photos()
    assert [make_shard(spec, make) for spec in specs] == alone
    held = sum(pixels.nbytes for pixels in synthesis._kept.values())
    shown = sum(len({tile.photo.name for tile in spec.tiles}) for spec in specs)
    names = set(decoded)
    assert held <= room
    if room == 256_000_000:
        assert len(decoded) == len(names)
    else:
        assert len(decoded) == shown if room == 0 else len(names) < len(decoded) < shown
    synthesis.forget_photos()
    assert not synthesis._kept
