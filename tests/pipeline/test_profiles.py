"""What shards may hold beside lossless pairs, samples as plain files, and shards that a new photo
leaves alone."""

import shutil
import tarfile
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from pipeline.augmentation import AugmentStep
from pipeline.config import load_params
from pipeline.corruptions import Recipe
from pipeline.errors import ShardError
from pipeline.images import encode_png
from pipeline.samples import Sample
from pipeline.shards import read_manifest, read_samples, read_shard
from pipeline.stream import Source, Stream, StreamSection
from stages import workspace
from stages.plan import plan
from tests.conftest import ROOT, Params, run_stage, small_params, tree, write_params

pytestmark = pytest.mark.slow

STEPS = (AugmentStep(name="turn", p=1.0, amount=0.0),)


def project(folder: Path, profile: str = "png") -> Path:
    """Photos, overlays and params whose recipes have this profile."""
    params: Params = small_params()
    params["textures"]["num_overlays"] = 6
    for recipe in params["recipes"].values():
        recipe["profile"] = profile
    write_params(folder, params)
    (folder / "data/inbox").mkdir(parents=True, exist_ok=True)
    (folder / "textures/scans").mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The shards of `aged` in each profile, of the same photos."""
    first = project(tmp_path_factory.mktemp("png"))
    for name in ("fetch", "index", "textures"):
        run_stage(first, name)
    folders = {"png": first}
    for profile in ("jpeg", "story"):
        folders[profile] = project(tmp_path_factory.mktemp(profile), profile)
        shutil.copytree(first / "data", folders[profile] / "data", dirs_exist_ok=True)
    for folder in folders.values():
        run_stage(folder, "synth", "aged", "--workers", "1")
    return folders


def read(folder: Path, split: str) -> list[Sample]:
    """All samples of a split."""
    recipe = Recipe.load(load_params(folder / "params.yaml"), "aged", folder / "data/textures")
    return list(read_samples(folder / "data/shards/aged", split, recipe.replay))


def test_stories_are_drawn_again_to_the_very_pixels(made: dict[str, Path]) -> None:
    for stored, redrawn in zip(
        read(made["png"], "train"), read(made["story"], "train"), strict=True
    ):
        assert (redrawn.key, redrawn.story) == (stored.key, stored.story)
        for name in ("clean", "corrupted", "mask"):
            np.testing.assert_array_equal(getattr(redrawn, name), getattr(stored, name))


def test_jpeg_pairs_are_small_and_close_and_their_masks_exact(made: dict[str, Path]) -> None:
    for stored, lossy in zip(read(made["png"], "train"), read(made["jpeg"], "train"), strict=True):
        np.testing.assert_array_equal(lossy.mask, stored.mask)
        assert cv2.PSNR(lossy.clean, stored.clean) > 34
    sizes = {
        profile: sum(row.num_bytes for row in manifest.of_split("train"))
        for profile, folder in made.items()
        if (manifest := read_manifest(folder / "data/shards/aged")).profile == profile
    }
    # Small tiles, each file in whole blocks of 512 bytes: at real sizes the gain is larger.
    assert sizes["jpeg"] < 0.9 * sizes["png"] and sizes["story"] < 0.9 * sizes["png"]


def test_held_out_splits_are_lossless_in_every_profile(made: dict[str, Path]) -> None:
    shards = [tree(folder / "data/shards/aged") for folder in made.values()]
    for name in shards[0]:
        if name.startswith(("val", "test")):
            assert shards[0][name] == shards[1][name] == shards[2][name]


@pytest.mark.parametrize("mode", ["stored", "fly"])
def test_the_stream_of_stories_is_that_of_pairs(made: dict[str, Path], mode: str) -> None:
    batches = []
    for profile in ("png", "story"):
        folder = made[profile]
        params = load_params(folder / "params.yaml")
        recipe = Recipe.load(params, "aged", folder / "data/textures")
        section = StreamSection(
            mode=mode, batch_size=3, crop=48, num_streams=2, cache_gigabytes=0.0, augment=STEPS
        )
        fresh = recipe if profile == "story" else recipe.for_clean_tiles()
        draw = fresh.damage if mode == "fly" else None
        stream = Stream(
            (Source(folder / "data/shards/aged", draw, recipe.replay),), "train", section, 7
        )
        batches.append([next(stream.batches(number)) for number in range(6)])
    for pairs, stories in zip(*batches, strict=True):
        assert pairs.clean.equal(stories.clean)
        assert pairs.corrupted.equal(stories.corrupted) and pairs.mask.equal(stories.mask)


def test_stories_without_their_recipe_are_refused(made: dict[str, Path]) -> None:
    with pytest.raises(ShardError, match="holds a story, no pictures; read it with its recipe"):
        next(read_samples(made["story"] / "data/shards/aged", "train"))


def test_show_draws_a_story(made: dict[str, Path], tmp_path: Path) -> None:
    sample = read(made["story"], "train")[0]
    pictures = []
    for profile in ("png", "story"):
        goal = tmp_path / f"{profile}.png"
        run_stage(made[profile], "show", sample.key, "-o", goal)
        pictures.append(goal.read_bytes())
    assert pictures[0] == pictures[1]


def test_samples_as_files_have_the_pixels_of_the_shards(made: dict[str, Path]) -> None:
    folder = made["png"]
    run_stage(folder, "synth", "aged", "--format", "folders", "--out", folder / "files")
    files = tree(folder / "files")
    for split in ("train", "val", "test"):
        samples = read(folder, split)
        for kind in ("clean", "corrupted", "mask"):
            names = [name for name in files if name.startswith(f"{split}/{kind}/")]
            assert len(names) == len(samples)
        for sample in samples:
            for kind in ("clean", "corrupted", "mask"):
                path = folder / "files" / split / kind / f"{sample.key}.png"
                wanted = getattr(sample, kind)
                np.testing.assert_array_equal(
                    cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED),
                    wanted.squeeze(),
                )
    assert "manifest.json" not in files and "files.json" in files


def test_folders_need_a_folder(made: dict[str, Path]) -> None:
    done = run_stage(made["png"], "synth", "aged", "--format", "folders", check=False)
    assert done.returncode == 1 and "name one: --out DIR" in done.stderr


def test_a_photo_added_redraws_its_own_group_alone(tmp_path: Path) -> None:
    folder = project(tmp_path)
    params = small_params()
    params["recipes"]["aged"]["sources"] = ["sample", "folder"]
    params["synthesis"] = {"photos_per_group": 2, "samples_per_shard": 4}
    write_params(folder, params)
    for name in ("fetch", "index", "textures"):
        run_stage(folder, name)
    run_stage(folder, "synth", "aged", "--workers", "1")
    before = tree(folder / "data/shards/aged")
    files = {path.stat().st_ino for path in (folder / "data/shards/aged").glob("*.tar")}
    photo = data.coffee()[::-1].copy()
    (folder / "data/inbox/new.png").write_bytes(encode_png(photo))
    for name in ("fetch", "index"):
        run_stage(folder, name)
    loaded = Recipe.load(load_params(folder / "params.yaml"), "aged", folder / "data/textures")
    groups = [{tile.photo.path for tile in spec.tiles} for spec in plan(folder, params, loaded)]
    (new,) = {path for group in groups for path in group if "new" in path}
    needed = set().union(*(group for group in groups if new in group))
    others = [path for group in groups for path in group if path not in needed]
    assert len(needed) <= 2 and len(others) > 8
    for path in set(others):  # whoever would draw them again, fails
        (folder / "data/raw" / path).rename(folder / Path(path).name)
    run_stage(folder, "synth", "aged", "--workers", "1")
    for path in set(others):
        (folder / Path(path).name).rename(folder / "data/raw" / path)
    after = tree(folder / "data/shards/aged")
    taken = [name for name, data in after.items() if before.get(name) == data]
    stayed = [(folder / "data/shards/aged" / name).stat().st_ino in files for name in taken]
    assert taken and all(stayed), "shards that nobody draws again are not copied either"
    run_stage(folder, "synth", "aged", "--out", folder / "anew", "--workers", "1")
    assert after == tree(folder / "anew"), "as if nothing had been taken over"
    assert len(set(after.values()) - set(before.values())) < len(after) / 2


def test_shards_taken_over_must_still_be_whole(tmp_path: Path) -> None:
    folder = project(tmp_path)
    for name in ("fetch", "index", "textures"):
        run_stage(folder, name)
    run_stage(folder, "synth", "aged", "--workers", "1")
    expected = tree(folder / "data/shards/aged")
    spoiled = folder / "data/shards/aged/train-00000.tar"
    spoiled.write_bytes(spoiled.read_bytes()[:-1024] + b"x" * 1024)
    for work in folder.glob(".work/synth-aged/*/"):
        shutil.rmtree(work)
    run_stage(folder, "synth", "aged", "--workers", "1")
    assert tree(folder / "data/shards/aged") == expected


def test_an_edited_family_takes_nothing_over(tmp_path: Path, made: dict[str, Path]) -> None:
    folder = shutil.copytree(made["png"], tmp_path / "project")
    code = tmp_path / "code"
    for package in ("pipeline", "stages"):
        shutil.copytree(ROOT / package, code / package)
    run = partial(run_stage, folder, "synth", "aged", "--workers", "1", PYTHONPATH=str(code))
    run()
    before = tree(folder / "data/shards/aged")
    assert before == tree(made["png"] / "data/shards/aged"), "from a copy of the code"
    family = code / "pipeline/corruptions/texture.py"
    edited = family.read_text().replace("VISIBLE = 4", "VISIBLE = 40")
    assert edited != family.read_text()
    family.write_text(edited)
    run()
    after = tree(folder / "data/shards/aged")
    same = {name for name in before if name.endswith(".tar") and after[name] == before[name]}
    assert len(after) == len(before) and not same, "each shard holds overlays"


def test_a_sample_remade_alone_is_that_of_its_split(made: dict[str, Path], tmp_path: Path) -> None:
    folder = made["story"]
    shards = folder / "data/shards/aged"
    for split in ("train", "test"):
        member = read_shard(shards, read_manifest(shards).of_split(split)[0])[0]
        run_stage(folder, "synth", "aged", "--only", member["__key__"], "--out", tmp_path)
        with tarfile.open(tmp_path / f"{member['__key__']}.tar") as tar:
            alone = {one.name.split(".", 1)[1]: tar.extractfile(one).read() for one in tar}
        assert alone == {name: data for name, data in member.items() if name[0] != "_"}


def test_a_record_of_nonsense_is_no_record(tmp_path: Path, made: dict[str, Path]) -> None:
    folder = shutil.copytree(made["png"], tmp_path / "project")
    before = tree(folder / "data/shards/aged")
    shutil.rmtree(folder / ".work")
    run_stage(folder, "synth", "aged", "--workers", "1")
    (record,) = folder.glob(".work/synth-aged/made-*.json")
    for text in ("[]", "{", '{"x": 1}', "[" * 100_000):
        record.write_text(text)
        for work in folder.glob(".work/synth-aged/*/"):
            shutil.rmtree(work)
        run_stage(folder, "synth", "aged", "--workers", "1")
    assert tree(folder / "data/shards/aged") == before


def test_a_folder_of_other_files_is_never_emptied(tmp_path: Path, made: dict[str, Path]) -> None:
    victim = tmp_path / "victim"
    (victim / "sub").mkdir(parents=True)
    (victim / "sub/thesis.txt").write_text("years of work")
    for words in (["--format", "folders"], []):
        done = run_stage(made["png"], "synth", "aged", *words, "--out", victim, check=False)
        assert done.returncode == 1 and "holds other files" in done.stderr
        assert tree(victim) == {"sub/thesis.txt": b"years of work"}


def test_what_another_command_left_is_never_replaced(tmp_path: Path, made: dict[str, Path]) -> None:
    folder, out = made["png"], tmp_path / "out"
    run_stage(folder, "synth", "aged", "--out", out)
    before = tree(out)
    for words, said in (
        (["synth", "shapes", "--out", out], "holds what the recipe aged made"),
        (["synth", "aged", "--format", "folders", "--out", out], "holds other files"),
        (["inspect", "aged", "--out", out], "holds other files"),
    ):
        done = run_stage(folder, *words, check=False)
        assert done.returncode == 1 and said in done.stderr
        assert tree(out) == before
    run_stage(folder, "synth", "aged", "--out", out)
    (out / "notes.txt").write_text("mine")
    done = run_stage(folder, "synth", "aged", "--out", out, check=False)
    assert done.returncode == 1 and "(notes.txt)" in done.stderr
    assert tree(out) == before | {"notes.txt": b"mine"}


def test_another_version_of_a_package_makes_all_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = workspace.fingerprint(["pipeline/png.py"], [])
    assert now == workspace.fingerprint(["pipeline/png.py"], [])
    for package in ("opencv-python-headless", "isal", "numpy"):
        with monkeypatch.context() as changed:
            changed.setattr(
                workspace,
                "version",
                lambda name, package=package: "9.9" if name == package else version(name),
            )
            assert workspace.fingerprint(["pipeline/png.py"], []) != now
