"""What an evaluation leaves behind: tables that agree with each other, and the same bytes again."""

import csv
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.images import decode_jpeg
from pipeline.metrics import METRICS
from pipeline.rows import HEADLINE
from pipeline.shards import read_samples
from tests.conftest import load_yaml, run_stage, six_systems, tree, write_params

pytestmark = pytest.mark.slow

PAIRS = {"restorer-everything": "everything", "restorer-clean": "clean", "vae": "distorted"}
FILES = {
    "index.html", "metrics.json", "rows.csv", "means.csv", "breakdown.csv", "families.csv",
    "thresholds.csv", "calibration.csv", "restored.tar", "psnr.png", "gain.png", "pictures.png",
    "curves.png",
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project: a system that finds masks, on damage and on none, and one with stages of
    its own report."""
    folder = tmp_path_factory.mktemp("project")
    params = six_systems()
    pairs = params["evaluate"]
    vae, restorer = pairs["skip_vae-distorted"], pairs["restorer-everything"]
    params["train"]["restorer"]["mix"] = [{"recipe": "everything", "weight": 0.0}] * 2
    clean = {**restorer, "recipe": "clean", "baselines": ["median"]}
    params["evaluate"] = {
        "restorer-everything": {**restorer, "baselines": ["median", "telea"]},
        "restorer-clean": clean,
        "vae": {**vae, "baselines": ["median"]},
    }
    write_params(folder, params)
    (folder / "data/inbox").mkdir(parents=True)
    commands = [["fetch"], ["index"], ["textures"]]
    commands += [["synth", recipe] for recipe in PAIRS.values()]
    commands += [["train", "restorer"], ["train", "skip_vae"]]
    for words in [*commands, *(["evaluate", pair] for pair in PAIRS), ["leaderboard"]]:
        run_stage(folder, *words)
    return folder


def report(built: Path, pair: str) -> Path:
    return built / "reports/systems" / pair


def table(built: Path, pair: str, name: str) -> list[dict[str, str]]:
    text = (report(built, pair) / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def summary(built: Path, pair: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((report(built, pair) / "metrics.json").read_text())
    return read


def numbers(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows if row[name]]


@pytest.mark.parametrize("pair", PAIRS)
def test_every_file_is_there_and_every_sample_has_a_row(built: Path, pair: str) -> None:
    assert {path.name for path in report(built, pair).iterdir()} == FILES
    keys = [sample.key for sample in read_samples(built / "data/shards" / PAIRS[pair], "test")]
    rows = table(built, pair, "rows")
    assert [row["key"] for row in rows] == sorted(keys)
    measured = {name.removeprefix("composite.") for name in rows[0] if "composite." in name}
    assert measured == set(METRICS) - {"lpips"}
    with tarfile.open(report(built, pair) / "restored.tar") as tar:
        names = tar.getnames()
        pictures = [decode_jpeg(tar.extractfile(name).read()) for name in names]
    assert names == [f"{row['key']}.jpg" for row in rows]
    assert {picture.shape[:2] for picture in pictures} == {
        (64, 64) if pair != "vae" else (128, 128)
    }


@pytest.mark.parametrize("pair", PAIRS)
def test_the_tables_agree(built: Path, pair: str) -> None:
    rows, told = table(built, pair, "rows"), summary(built, pair)
    means = {(line["picture"], line["metric"]): line for line in table(built, pair, "means")}
    for name in ("input", "prediction", "composite", "median"):
        for metric in METRICS:
            if metric == "lpips":
                continue
            values = numbers(rows, f"{name}.{metric}")
            line = means[name, metric]
            assert int(line["undefined_count"]) == len(rows) - len(values)
            if values:
                assert float(line["mean"]) == pytest.approx(np.mean(values), abs=1e-5)
        for metric in set(HEADLINE) & set(told[name]):
            if told[name][metric] is not None:
                assert told[name][metric] == float(means[name, metric]["mean"])
    gains = np.subtract(numbers(rows, "composite.psnr"), numbers(rows, "input.psnr"))
    wanted = {"by": "all", "picture": "composite", "metric": "gain"}
    whole = [line for line in table(built, pair, "breakdown") if wanted.items() <= line.items()]
    assert float(whole[0]["mean"]) == pytest.approx(gains.mean(), abs=1e-5)
    assert told["gain"]["mean"] == float(whole[0]["mean"])
    if told["gain"]["low"] is not None:
        assert told["gain"]["low"] <= told["gain"]["mean"] <= told["gain"]["high"]
    text = (report(built, pair) / "metrics.json").read_text()
    assert text == json.dumps(told, sort_keys=True, indent=1) + "\n", "keys are in a stable order"
    assert len(text) < 6000, "metrics.json is small"


def test_masks_are_scored_at_every_threshold(built: Path) -> None:
    rows, told = table(built, "restorer-everything", "rows"), summary(built, "restorer-everything")
    assert told["threshold"] == 0.5
    sweep = table(built, "restorer-everything", "thresholds")
    lines = {float(one["threshold"]): one for one in sweep}
    tp, fp, fn = (sum(numbers(rows, f"mask.{name}")) for name in ("tp", "fp", "fn"))
    expected = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None
    assert told["mask"]["f1"] == pytest.approx(expected, abs=1e-5)
    assert float(lines[0.5]["f1"]) == told["mask"]["f1"]
    best = max(float(one["f1"]) for one in lines.values() if one["f1"])
    assert float(lines[told["mask"]["best_threshold"]]["f1"]) == best
    bins = table(built, "restorer-everything", "calibration")
    assert sum(int(one["num_pixels"]) for one in bins) == len(rows) * 64 * 64
    damaged = sum(float(one["damaged"]) * int(one["num_pixels"]) for one in bins if one["damaged"])
    assert damaged == pytest.approx(tp + fn, rel=1e-3)
    for name in ("thresholds", "calibration"):
        assert table(built, "vae", name) == [], "it finds no masks"


def test_undamaged_photos_of_the_recipe_clean_tell_the_same_as_harm(built: Path) -> None:
    """There the input is its own original, so that the composite's PSNR is the harm done."""
    told = summary(built, "restorer-clean")
    assert told["input"]["psnr"] == 100.0 and "damaged" not in told
    assert told["harm"]["psnr"] == pytest.approx(told["composite"]["psnr"], abs=1e-4)
    rows = table(built, "restorer-clean", "rows")
    assert {row["families"] for row in rows} == {"undamaged"}
    assert numbers(rows, "harm.altered_outside") == numbers(rows, "altered_outside")
    assert 0 <= told["harm"]["identical_count"] <= len(rows)


def test_rows_tell_families_sizes_and_what_the_system_says_of_itself(built: Path) -> None:
    photos = json.loads((built / "data/index.json").read_text())["photos"]
    sizes = {one["id"]: (one["width"], one["height"]) for one in photos}
    rows = table(built, "vae", "rows")
    for row in rows:
        assert sizes[row["key"].split("_")[0]] == (int(row["width"]), int(row["height"]))
        assert set(row["families"].split()) <= {"fading", "blur", "grain", "stains", "undamaged"}
        assert float(row["kl"]) > 0 and row["without_skips.psnr"]
    groups = {line["group"] for line in table(built, "vae", "breakdown") if line["by"] == "family"}
    assert groups == {name for row in rows for name in row["families"].split()}
    told = {line["family"] for line in table(built, "vae", "families")}
    assert told == groups


def test_the_first_page_leads_to_all_others(built: Path) -> None:
    page = (built / "reports/index.html").read_text(encoding="utf-8")
    for pair in PAIRS:
        assert f'href="systems/{pair}/index.html"' in page
    board = json.loads((built / "reports/leaderboard.json").read_text())
    assert {(row["system"], row["recipe"]) for row in board if row["kind"] == "system"} == {
        ("restorer", "everything"), ("restorer", "clean"), ("skip_vae", "distorted"),
    }  # fmt: skip
    assert all({"input", "prediction", "composite"} <= set(row) for row in board)


def test_the_same_bytes_again(built: Path) -> None:
    folder = report(built, "restorer-everything")
    before = tree(folder)
    shutil.rmtree(built / ".work/evaluate-restorer-everything")
    run_stage(built, "evaluate", "restorer-everything")
    after = tree(folder)
    assert [name for name in before if before[name] != after.get(name)] == []


def test_lpips_is_measured_where_its_weights_are_named(built: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(built, project)
    params = load_yaml(project / "params.yaml")
    params["evaluate"]["vae"]["lpips"] = "reference"
    write_params(project, params)
    failed = run_stage(project, "evaluate", "vae", check=False, PATINA_REFERENCE_WEIGHTS="")
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "PATINA_REFERENCE_WEIGHTS" in failed.stderr
    if not os.environ.get("PATINA_REFERENCE_WEIGHTS"):
        pytest.skip("PATINA_REFERENCE_WEIGHTS is not set")
    run_stage(project, "evaluate", "vae")
    rows, told = table(project, "vae", "rows"), summary(project, "vae")
    distances = numbers(rows, "composite.lpips")
    assert len(distances) == len(rows) and all(0 < one < 2 for one in distances)
    good = np.mean([one <= 0.05 for one in distances])
    assert told["composite"]["share_good"] == pytest.approx(good, abs=1e-5)
    assert "LPIPS" in (report(project, "vae") / "index.html").read_text(encoding="utf-8")
