"""`patina mine` as a user meets it: on a system that really fails at one of two damages, what it
prints, leaves behind and puts into params.yaml, and how it refuses."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.corruptions import Recipe
from stages.recipes import reads_of
from stages.validity import validate_params
from tests.conftest import load_yaml, run_stage, small_params, tree, write_params

pytestmark = pytest.mark.slow

FILES = {"mining.json", "ranking.csv", "samples.csv", "ranking.png", "patch.yaml"}
STEPS = [
    {"family": "grayscale", "on": "both", "probability": 1.0, "strength_range": [1.0, 1.0]},
    {"family": "shapes", "on": "input", "probability": 1.0, "num_range": [3, 6],
     "size_range": [0.05, 0.3], "covered_range": [0.01, 0.35], "opacity_range": [1.0, 1.0],
     "fills": ["black"]},
    {"family": "grain", "on": "input", "probability": 0.5, "kinds": ["gaussian"],
     "sigma_range": [1.0, 4.0], "size_range": [0.002, 0.008], "gray_probability": 1.0},
]  # fmt: skip


def params_of_one() -> dict[str, Any]:
    """Small params of one system, on black holes and a little grain."""
    params = small_params()
    for section in ("synth", "train", "evaluate"):
        kept = {name: one for name, one in params[section].items() if name.startswith("aged")}
        params[section] = kept
    recipe, block = params["recipes"]["aged"], params["train"]["aged_unet"]
    recipe |= {"steps": STEPS, "photo_side_range": [64, 128]}
    recipe["train"]["per_photo"] = 24
    block |= {"validate_every": 50, "save_every": 50}
    block["phases"]["fit"]["steps"] = 100
    block["stream"]["batch_size"] = 4
    params["synth"]["aged"]["reads"] = reads_of(Recipe.load(params, "aged", None), 8)
    return params


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose system has learned for some seconds."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, params_of_one())
    (folder / "data/inbox").mkdir(parents=True)
    (folder / "textures/scans").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["synth", "aged"], ["train", "aged_unet"]):
        run_stage(folder, *words)
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "project"))


def mine(folder: Path, *words: str) -> str:
    return run_stage(folder, "mine", *words, OMP_NUM_THREADS="1").stdout


def refusal(folder: Path, *words: str) -> str:
    """The one line of a refusal that leaves nothing behind."""
    done = run_stage(folder, "mine", *words, check=False)
    assert done.returncode == 1 and not done.stdout, done.stdout
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ") and done.stderr.count("error: ") == 1
    assert not (folder / "reports/mining").exists()
    return line


def test_it_finds_what_the_system_fails_at(project: Path) -> None:
    printed = mine(project, "aged_unet-aged", "--split", "train")
    first = printed.splitlines()[0]
    assert first.startswith("Of the error that aged_unet leaves on aged (train), ")
    assert first.endswith(" goes with shapes (above its mildest) (240 samples of 10 photos)")
    folder = project / "reports/mining/aged_unet-train"
    assert set(tree(folder)) == FILES
    told = json.loads((folder / "mining.json").read_text())
    assert told["sentence"] == first and told["trusted"]
    families = {one["family"]: one for one in told["families"]}
    assert list(families) == ["shapes", "grain"]
    assert families["shapes"]["clear"] and not families["grain"]["clear"]
    assert families["shapes"]["slope_db"]["low"] > 0 and families["shapes"]["always"]
    assert families["grain"]["cost_db"]["low"] < 0.5
    rows = list(csv.DictReader(io.StringIO((folder / "samples.csv").read_text())))
    assert len(rows) == told["num_samples"] and {row["severity.grain"] == "" for row in rows} == {
        True,
        False,
    }
    ranked = list(csv.DictReader(io.StringIO((folder / "ranking.csv").read_text())))
    assert ranked[0]["name"] == "shapes" and float(ranked[0]["share.low"]) > 0
    assert Image.open(folder / "ranking.png").width > 800
    where = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "3", "OMP_NUM_THREADS": "1"}
    run_stage(project, "mine", "aged_unet", "--split", "train", "--out", "elsewhere", **where)
    assert tree(project / "elsewhere") == tree(folder)
    assert not [name for name, data in tree(folder).items() if str(project).encode() in data]


def test_the_patch_is_put_in_and_nothing_that_is_measured_on_changes(project: Path) -> None:
    before = load_yaml(project / "params.yaml")
    printed = mine(project, "aged_unet", "--split", "train", "--weight", "3", "--apply")
    assert "aged_unet learns from aged_mined beside its own recipe" in printed
    after = load_yaml(project / "params.yaml")
    patch = load_yaml(project / "reports/mining/aged_unet-train/patch.yaml")
    assert after["recipes"].pop("aged_mined") == patch["recipes"]["aged_mined"]
    mined = patch["recipes"]["aged_mined"]
    old = before["recipes"]["aged"]["steps"]
    assert mined["steps"][::2] == old[::2]
    (key,) = (key for key, value in old[1].items() if mined["steps"][1][key] != value)
    (low, high), now = old[1][key], mined["steps"][1][key]
    assert key.endswith("_range") and low < now[0] < now[1] == high  # without its mild quarter
    assert after["synth"].pop("aged_mined")["reads"] == before["synth"]["aged"]["reads"]
    mix = after["train"]["aged_unet"].pop("mix")
    assert mix[0] == {"recipe": "aged_mined", "weight": 3.0}
    assert mix[1] == before["train"]["aged_unet"].pop("mix")[1]
    assert after == before
    assert validate_params(project, load_yaml(project / "params.yaml")) == []
    mine(project, "aged_unet", "--split", "train", "--apply")  # again: in the same place
    again = load_yaml(project / "params.yaml")["train"]["aged_unet"]["mix"]
    assert again[0] == {"recipe": "aged_mined", "weight": 1.0} and again[1] == mix[1]
    run_stage(project, "synth", "aged_mined")
    assert "aged_unet: best" in run_stage(project, "train", "aged_unet").stdout


def test_places_that_are_taken_are_told_and_params_stay(project: Path) -> None:
    params = load_yaml(project / "params.yaml")
    params["train"]["aged_unet"]["mix"] = [{"recipe": "aged", "weight": 1.0}] * 2
    write_params(project, params)
    before = (project / "params.yaml").read_bytes()
    done = run_stage(project, "mine", "aged_unet", "--split", "train", "--apply", check=False)
    assert done.returncode == 1
    assert "train.aged_unet.mix: has no place for aged_mined" in done.stderr
    assert (project / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(("words", "said"), [
    (["aged_unt"], "is no training or pair of params.yaml; use one of aged_unet"),
    (["aged_unet", "--split", "test"], "would be touched"),
    (["aged_unet", "--split", "all"], "is no split to mine; use val or train"),
    (["aged_unet", "--recipe", "shapes"], "shapes"),
    (["aged_unet", "--weight", "0"], "--weight 0: is not between"),
    (["aged_unet"], " damaged samples; 20 is the least"),
])  # fmt: skip
def test_what_cannot_be_mined_is_told_in_a_line(trained: Path, words: list[str], said: str) -> None:
    assert said in refusal(trained, *words)


def test_missing_weights_and_shards_are_told(project: Path) -> None:
    shutil.rmtree(project / "data/shards/aged")
    assert "data/shards/aged: holds no manifest" in refusal(project, "aged_unet")
    shutil.rmtree(project / "models")
    assert "best.safetensors: No such file" in refusal(project, "aged_unet")


@pytest.mark.long
def test_an_earlier_patch_goes_when_there_is_nothing_to_suggest(project: Path) -> None:
    params = load_yaml(project / "params.yaml")
    recipe = params["recipes"]["aged"]
    recipe["steps"] = [{**step, "probability": 1.0} for step in recipe["steps"]]
    recipe["steps"] = [recipe["steps"][0], recipe["steps"][2] | {"sigma_range": [3.0, 3.0]}]
    params["synth"]["aged"]["reads"] = reads_of(Recipe.load(params, "aged", None), 8)
    write_params(project, params)
    run_stage(project, "synth", "aged")
    folder = project / "reports/mining/aged_unet-train"
    folder.mkdir(parents=True)
    (folder / "patch.yaml").write_text("recipes: {}\n")
    printed = mine(project, "aged_unet", "--split", "train", "--apply")
    assert "no re-weighting is suggested" in printed
    assert set(tree(folder)) == FILES - {"patch.yaml"}
    assert "aged_mined" not in load_yaml(project / "params.yaml")["recipes"]
