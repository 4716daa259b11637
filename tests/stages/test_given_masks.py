"""A mask that nobody brought is missing everywhere, and nowhere an empty one."""

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from pipeline import png
from pipeline.cards import README
from pipeline.seeds import rng
from pipeline.shards import SPLITS, read_manifest, read_samples
from tests.conftest import Run, load_yaml, tree, write_params
from tests.pipeline.test_sources import put
from tests.pipeline.test_sources_pairs import encode
from tests.stages.test_given import change

pytestmark = pytest.mark.slow

SIDE = 40
EVERY = tuple(f"{'train' if number < 4 else 'val'}/{number}" for number in range(8))
WITH_MASK = ("train/0", "train/3", "val/6")


def bring(project: Path, with_mask: tuple[str, ...]) -> None:
    """Eight pairs on disk, some with a mask, and params that use them."""
    for number in range(8):
        draw, split = rng(number, "pair"), "train" if number < 4 else "val"
        clean = draw.integers(60, 200, (SIDE, SIDE, 3), np.uint8)
        mask = np.where(draw.random((SIDE, SIDE)) < 0.3, 255, 0).astype(np.uint8)
        corrupted = np.where(mask[:, :, None] > 0, np.uint8(7), clean)
        home = project / "data/pairs" / split
        put(home / f"clean/{number}.png", encode(clean))
        put(home / f"corrupted/{number}.png", encode(corrupted))
        if f"{split}/{number}" in with_mask:
            put(home / f"mask/{number}.png", encode(mask))
    tiles = {"side": 24, "per_photo": 2, "variants": 1}
    change(project, **dict.fromkeys(SPLITS, tiles))


def pack(stage: Run, *words: str | Path) -> None:
    for name in ("fetch", "index"):
        stage(name)
    stage("synth", "given", "--workers", "1", *words)


def missing(project: Path) -> dict[str, int]:
    """Split → samples without a mask, by the index: two tiles a photo."""
    photos = json.loads((project / "data/index.json").read_text())["photos"]
    return {
        split: 2 * sum(one["split"] == split and one["mask"] is None for one in photos)
        for split in SPLITS
    }


def untaught(project: Path) -> set[str]:
    """Keys of all samples without a mask."""
    folder = project / "data/shards/given"
    return {one.key for split in SPLITS for one in read_samples(folder, split) if one.mask_missing}


@pytest.fixture
def packed(project: Path, stage: Run) -> Path:
    bring(project, WITH_MASK)
    pack(stage)
    return project


def test_a_missing_mask_is_no_file(packed: Path, stage: Run) -> None:
    shards, gone = packed / "data/shards/given", untaught(packed)
    assert len(gone) == sum(missing(packed).values()) == 10
    held = set()
    for row in read_manifest(shards).shards:
        with tarfile.open(shards / row.name) as tar:
            held |= {name.split(".")[0] for name in tar.getnames() if name.endswith(".mask.png")}
    assert len(held) == 6 and not held & gone
    stage("synth", "given", "--workers", "1", "--format", "folders", "--out", packed / "plain")
    files = [Path(name) for name in tree(packed / "plain")]
    assert {one.stem for one in files if one.parent.name == "mask"} == held
    assert {one.stem for one in files if one.parent.name == "corrupted"} == held | gone


def test_show_says_that_it_is_missing(packed: Path, stage: Run) -> None:
    for sample in read_samples(packed / "data/shards/given", "test"):
        told = stage("show", sample.key, "-o", packed / "sheet.png").stdout
        assert "no damage" not in told and ": given; " in told
        assert ("mask missing: what is damaged is not known" in told) == sample.mask_missing
        assert ("of the pixels damaged" in told) != sample.mask_missing
        mask = png.decode((packed / "sheet.png").read_bytes())[:, -24:]
        assert (mask == 128).all() == sample.mask_missing


def test_inspect_counts_it_apart(packed: Path, stage: Run) -> None:
    done = stage("inspect", "given")
    assert "16 samples, 10 of them without a mask" in done.stdout
    assert "UserWarning" not in done.stderr
    folder = packed / "reports/data/given"
    numbers, page = (
        json.loads((folder / "data.json").read_text()),
        (folder / "index.html").read_text(),
    )
    for split, count in missing(packed).items():
        told = numbers["splits"][split]
        assert told.get("mask_missing", 0) == count and told["undamaged"] == told["empty"] == 0
        assert told["severity"] == {} and (told["covered"] == {}) == (count == told["samples"])
        if told["covered"]:
            assert told["covered"]["low"] > 0.1
    for line in csv.DictReader((folder / "histograms.csv").read_text().splitlines()):
        if float(line["bin"]) < 0.1:
            assert {line[f"covered_{split}"] for split in SPLITS} == {"0"}
    assert "empty by design" not in page and "undamaged; " not in page
    assert "given; mask missing" in page and "mask 0.0%" not in page


def test_the_card_counts_them(packed: Path) -> None:
    text = (packed / "data/shards/given" / README).read_text("utf-8")
    for split, count in missing(packed).items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {split} | "))
        assert line.endswith(f"| {count} |")
    assert "10 of them without a mask" in text and "with masks" not in text
    assert "leaves it black" not in text and "no file where the mask is missing" in text
    assert "in fetch index;" in text and "textures" not in text.split("Make it again")[1]


def test_without_any_mask_the_card_promises_none(project: Path, stage: Run) -> None:
    bring(project, ())
    pack(stage)
    text = (project / "data/shards/given" / README).read_text("utf-8")
    assert "), without masks, to learn" in text and "mask.png" not in text
    front = YAML(typ="safe").load(text.split("---\n")[1])
    assert front["task_categories"] == ["image-to-image"]
    assert "mask.png" not in (project / "data/shards/given/croissant.json").read_text()


def train_on_given(project: Path) -> None:
    params: dict[str, Any] = load_yaml(project / "params.yaml")
    train = params["train"]["dual_decoder"]
    train["recipe"] = "given"
    train["stream"] |= {"mode": "stored", "crop": 16, "augment": []}
    pair = {
        "system": "dual_decoder",
        "kind": "dual_decoder",
        "recipe": "given",
        "baselines": ["telea", "median"],
        "lpips": None,
    }
    params["evaluate"] = {"it": pair}
    write_params(project, params)


def test_what_learns_from_masks_refuses_to_train_without_them(packed: Path, stage: Run) -> None:
    train_on_given(packed)
    failed = stage("train", "dual_decoder", "--device", "cpu", check=False)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    used = sum(missing(packed)[split] for split in ("train", "val"))
    assert "train.dual_decoder.recipe: given" in failed.stderr
    assert f"{used} of 12 samples lack a mask" in failed.stderr
    assert not (packed / "models").exists()


@pytest.fixture
def taught(project: Path, stage: Run) -> Path:
    """A system trained while all pairs had their masks."""
    bring(project, EVERY)
    pack(stage)
    train_on_given(project)
    stage("train", "dual_decoder", "--device", "cpu", "--workers", "0")
    return project


def board_lines(project: Path) -> dict[str, list[str]]:
    """The cells of the leaderboard's rows, by name."""
    text = (project / "reports/leaderboard.md").read_text("utf-8")
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return {name.strip(" *"): [cell.strip() for cell in cells] for name, *cells in lines}


def test_no_score_counts_it_as_empty(taught: Path, stage: Run) -> None:
    for with_mask, lacking in ((WITH_MASK, 2), ((), 4)):
        for path in (taught / "data/pairs").glob("*/mask/*.png"):
            if f"{path.parts[-3]}/{path.stem}" not in with_mask:
                path.unlink()
        pack(stage)
        assert missing(taught)["test"] == lacking
        done = stage("evaluate", "it", "--device", "cpu")
        assert f"{lacking} of 4 samples have no mask" in done.stdout
        assert "Warning" not in done.stderr and ("mask F1" in done.stdout) == (lacking < 4)
        check_rows(taught, lacking)
        assert "telea" in stage("leaderboard").stdout
        cells = board_lines(taught)
        own, telea = cells["dual_decoder"], next(c for n, c in cells.items() if "telea" in n)
        assert telea[:4] == ["–"] * 4 and "–" not in own[:4]
        assert {cell == "–" for cell in (own[4], own[6], own[7], telea[4])} == {lacking == 4}


def check_rows(project: Path, lacking: int) -> None:
    """Null where a sample has no mask, and there alone; the means say over how many they are."""
    folder, gone = project / "reports/systems/it", untaught(project)
    for row in csv.DictReader((folder / "rows.csv").read_text().splitlines()):
        masked = ["covered", "composite.psnr_masked", "mask.tp", "mask.fn", "telea.psnr"]
        assert {bool(row[name]) for name in masked} == {row["key"] not in gone}
        assert row["composite.psnr"] and row["median.psnr"]
    told = json.loads((folder / "metrics.json").read_text())
    assert told["mask_missing_count"] == lacking and told["mask"]["empty_count"] == 0
    means = list(csv.DictReader((folder / "means.csv").read_text().splitlines()))
    line = next(x for x in means if (x["picture"], x["metric"]) == ("input", "psnr_masked"))
    assert int(line["undefined_count"]) == lacking
    assert (told["covered"] is None) == (lacking == 4)
