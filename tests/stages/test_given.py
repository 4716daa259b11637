"""The recipe `given` packs the damage that photos brought, and draws none."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline.samples import Sample
from pipeline.seeds import rng
from pipeline.shards import read_samples
from tests.conftest import Run, load_yaml, tree, write_params
from tests.pipeline.test_sources import put
from tests.pipeline.test_sources_pairs import encode

pytestmark = pytest.mark.slow

SIDE = 16
RECIPE: dict[str, Any] = {
    "sources": ["pairs"], "photo_side_range": [64, 64], "undamaged_share": 0.0, "profile": "png",
    "train": {"side": SIDE, "per_photo": 3, "variants": 1},
    "val": {"side": SIDE, "per_photo": 2, "variants": 1},
    "test": {"side": SIDE, "per_photo": 2, "variants": 1}, "steps": [],
}  # fmt: skip
Pictures = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # RGB, RGB, 0 and 255


@pytest.fixture
def originals(project: Path) -> dict[str, Pictures]:
    """Pairs on disk, one without a mask, one smaller than a tile; and params that use them."""
    found: dict[str, Pictures] = {}
    names = [*(f"train/{n}" for n in range(4)), *(f"val/{n}" for n in range(4))]
    for number, name in enumerate(names):
        draw = rng(number, "pair")
        height, width = (12, 14) if number == 1 else (40 + number, 50)
        clean = draw.integers(0, 256, (height, width, 3), np.uint8)
        mask = np.where(draw.random((height, width)) < 0.3, 255, 0).astype(np.uint8)
        corrupted = np.where(mask[:, :, None] > 0, np.uint8(7), clean)
        home = project / "data/pairs" / name.split("/")[0]
        put(home / f"clean/{number}.png", encode(clean[:, :, ::-1]))
        put(home / f"corrupted/{number}.png", encode(corrupted[:, :, ::-1]))
        if number != 2:
            put(home / f"mask/{number}.png", encode(mask if number % 2 else mask // 255))
        found[f"{name.split('/')[0]}/clean/{number}.png"] = (
            clean,
            corrupted,
            mask if number != 2 else None,
        )
    change(project)
    return found


def change(project: Path, **changes: Any) -> None:
    params = load_yaml(project / "params.yaml")
    params["sources"] = {
        "folder": {"path": "data/inbox", "licence": None},
        "pairs": {"path": "data/pairs", "licence": None},
    }
    params["recipes"]["given"] = RECIPE | changes
    write_params(project, params)


def window(picture: np.ndarray, told: dict[str, Any]) -> np.ndarray:
    tile = picture[told["top"] : told["top"] + SIDE, told["left"] : told["left"] + SIDE]
    room = [(0, SIDE - tile.shape[0]), (0, SIDE - tile.shape[1]), (0, 0)]
    return np.pad(tile, room[: tile.ndim], mode="symmetric")


def check(sample: Sample, originals: dict[str, Pictures]) -> None:
    told = sample.story["photo"]
    clean, corrupted, mask = originals[told["name"]]
    assert sample.story["given"] is True and sample.story["steps"] == []
    assert sample.story["mask"] == ("missing" if mask is None else "given")
    assert (sample.clean == window(clean, told)).all()
    assert (sample.corrupted == window(corrupted, told)).all()
    assert (sample.mask == (0 if mask is None else window(mask, told))).all()


def test_pairs_go_into_shards_as_they_are(
    project: Path, stage: Run, originals: dict[str, Pictures]
) -> None:
    stage("fetch")
    stage("index")
    stage("synth", "given", "--workers", "1")
    shards = project / "data/shards/given"
    seen = {}
    for split, per_photo in (("train", 3), ("val", 2), ("test", 2)):
        samples = list(read_samples(shards, split))
        for sample in samples:
            check(sample, originals)
        seen[split] = {sample.story["photo"]["name"] for sample in samples}
        assert len(samples) == per_photo * len(seen[split])
    assert {split: len(names) for split, names in seen.items()} == {"train": 4, "val": 2, "test": 2}
    stage("synth", "given", "--workers", "2", "--out", project / "data/again")
    assert tree(project / "data/again") == tree(shards)
    key = next(read_samples(shards, "train")).key
    assert json.loads(_story(stage("show", key).stdout))["given"] is True


def _story(told: str) -> str:
    return told[told.index("{") : told.rindex("}") + 1]


def test_a_changed_file_stops_it(project: Path, stage: Run, originals: dict[str, Pictures]) -> None:
    stage("fetch")
    stage("index")
    row = json.loads((project / "data/index.json").read_text())["photos"][0]
    path = project / "data/raw" / row["corrupted"]
    path.write_bytes(cv2.imencode(".png", np.zeros((40, 50, 3), np.uint8))[1].tobytes())
    failed = stage("synth", "given", "--workers", "1", check=False)
    assert failed.returncode == 1 and "has changed since it was indexed" in failed.stderr


@pytest.mark.parametrize(("changes", "said"), [
    pytest.param({"profile": "story"}, "recipes.given.profile: its damage cannot be drawn again",
                 marks=pytest.mark.long),
    ({"steps": [{"family": "grayscale", "on": "both", "probability": 1.0,
                 "strength_range": [1.0, 1.0]}]}, "recipes.given.steps"),
    ({"sources": ["folder"]}, "no train photos come from the sources folder"),
])  # fmt: skip
def test_what_cannot_be_given_is_one_line(
    project: Path, stage: Run, originals: dict[str, Pictures], changes: dict[str, Any], said: str
) -> None:
    stage("fetch")
    stage("index")
    put(project / "data/inbox/a.png", encode(np.zeros((40, 40, 3), np.uint8)))
    change(project, **changes)
    failed = stage("synth", "given", check=False)
    assert failed.returncode == 1 and said in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_system_trains_on_them(project: Path, stage: Run, originals: dict[str, Pictures]) -> None:
    marks = originals["train/clean/2.png"][0][:, :, 0] // 128 * 255
    put(project / "data/pairs/train/mask/2.png", encode(marks))  # it learns from masks
    for name in ("fetch", "index"):
        stage(name)
    stage("synth", "given", "--workers", "1")
    params = load_yaml(project / "params.yaml")
    params["synth"]["given"] = {"reads": ["pipeline/corruptions/__init__.py"] * 8}
    train = params["train"]["dual_decoder"]
    train["recipe"] = "given"
    flips = [{"name": "horizontal_flip", "p": 0.5, "amount": 0.0}]
    train["stream"] |= {"crop": 16, "augment": flips}
    write_params(project, params)
    failed = stage("train", "dual_decoder", "--device", "cpu", "--workers", "0", check=False)
    assert failed.returncode == 1 and "write mode: stored" in failed.stderr
    train["stream"]["mode"] = "stored"
    write_params(project, params)
    assert "best val/psnr" in stage("train", "dual_decoder", "--device", "cpu").stdout
    from stages.check import validate_params

    params["sources"]["sample"] = {}  # which the other recipes name
    assert validate_params(project, params) == []
