"""What an evaluation leaves behind: tables that agree with each other, and the same bytes again."""

import csv
import json
import os
import re
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline import shards
from pipeline.answers import harm, restore_sample, undamaged
from pipeline.checkpoint import load_system
from pipeline.fidelity import psnr
from pipeline.images import decode_jpeg
from pipeline.metrics import METRICS
from pipeline.rows import HEADLINE
from pipeline.shards import read_manifest, read_samples
from tests.conftest import load_yaml, run_stage, six_systems, tree, write_params

pytestmark = pytest.mark.slow

PAIRS = {"restorer-everything": "everything", "restorer-clean": "clean", "vae": "distorted"}
FILES = {
    "index.html", "metrics.json", "subject.json", "restored.tar",
    "rows.csv", "means.csv", "breakdown.csv", "families.csv", "thresholds.csv", "calibration.csv",
    "psnr.png", "gain.png", "pictures.png", "curves.png",
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
    everyone, told = table(built, pair, "rows"), summary(built, pair)
    rows = [row for row in everyone if float(row["input.psnr"]) < 100] or everyone
    assert told["num_samples"] == len(everyone)
    assert told["undamaged_count"] == sum(float(row["input.psnr"]) == 100 for row in everyone)
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
        for metric in set(HEADLINE) & set(told.get(name, {})):
            if told[name][metric] is not None:
                assert told[name][metric] == float(means[name, metric]["mean"])
                assert metric not in ("psnr", "ssim", "mse") or (
                    means[name, metric]["undefined_count"] == "0"
                )
    gains = np.subtract(numbers(rows, "composite.psnr"), numbers(rows, "input.psnr"))
    wanted = {"by": "all", "picture": "composite", "metric": "gain"}
    whole = [line for line in table(built, pair, "breakdown") if wanted.items() <= line.items()]
    assert float(whole[0]["mean"]) == pytest.approx(gains.mean(), abs=1e-5)
    assert told["gain"]["mean"] == float(whole[0]["mean"])
    if told["gain"]["low"] is not None:
        assert told["gain"]["low"] <= told["gain"]["mean"] <= told["gain"]["high"]
    text = (report(built, pair) / "metrics.json").read_text()
    assert text == json.dumps(told, sort_keys=True, indent=1) + "\n", "keys are in a stable order"
    assert len(text) < 4000, "metrics.json is small"
    assert all(isinstance(one, int | float | None) for one in leaves(told)), "numbers alone"
    subject = json.loads((report(built, pair) / "subject.json").read_text())
    manifest = read_manifest(built / "data/shards" / PAIRS[pair])
    assert subject["test_sha256"] == shards.fingerprint_of_test(manifest)
    assert subject["shards_sha256"] == manifest.sha256 != subject["test_sha256"]


@pytest.mark.parametrize(
    ("pair", "system"), [("restorer-everything", "restorer"), ("vae", "skip_vae")]
)
def test_the_page_tells_the_params_that_made_the_weights(
    built: Path, pair: str, system: str
) -> None:
    """Those of the training, whatever params.yaml says by now."""
    made_of = json.loads((built / f"models/{system}/training.json").read_text())
    before = (built / "params.yaml").read_bytes()
    params = load_yaml(built / "params.yaml")
    assert made_of[f"train.{system}"] == params["train"][system]
    assert made_of[f"systems.{system}"] == params["systems"][system]
    assert made_of[f"recipes.{PAIRS[pair]}"] == params["recipes"][PAIRS[pair]]
    params["train"][system]["save_every"] = 424242
    try:
        write_params(built, params)
        run_stage(built, "evaluate", pair)
    finally:
        (built / "params.yaml").write_bytes(before)
    page = (report(built, pair) / "index.html").read_text(encoding="utf-8")
    assert "save_every: 2" in page and "424242" not in page


def test_weights_of_another_kind_are_refused(built: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(built, project, ignore=shutil.ignore_patterns(".work"))
    weights = project / "models/restorer/best.safetensors"
    shutil.copyfile(project / "models/skip_vae/best.safetensors", weights)
    before = tree(project / "reports")
    failed = run_stage(project, "evaluate", "restorer-everything", check=False)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "holds a skip_vae, but evaluate.restorer-everything is of kind restorer" in failed.stderr
    assert tree(project / "reports") == before


def test_check_tells_that_the_weights_of_lpips_are_missing(built: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(built, project, ignore=shutil.ignore_patterns(".work", "reports", "models"))
    params = load_yaml(project / "params.yaml")
    params["evaluate"]["vae"]["lpips"] = "reference"
    write_params(project, params)
    failed = run_stage(project, "check", check=False, PATINA_REFERENCE_WEIGHTS="")
    assert failed.returncode == 1 and "PATINA_REFERENCE_WEIGHTS" in failed.stderr


def leaves(data: Any) -> list[Any]:
    if not isinstance(data, dict):
        return [data]
    return [leaf for one in data.values() for leaf in leaves(one)]


def test_rows_pictures_and_conduct_are_of_the_very_answers(built: Path) -> None:
    """Recomputed from the weights and the shards, sample by sample."""
    system = load_system(built / "models/restorer/best.safetensors")[1].eval()
    rows = {row["key"]: row for row in table(built, "restorer-everything", "rows")}
    cpu, altered = torch.device("cpu"), 0
    with tarfile.open(report(built, "restorer-everything") / "restored.tar") as tar:
        for sample in read_samples(built / "data/shards/everything", "test"):
            row, answer = rows[sample.key], restore_sample(system, sample, cpu)
            kept = decode_jpeg(tar.extractfile(f"{sample.key}.jpg").read()).astype(int)
            assert abs(kept - answer.composite).mean() < 6, "JPEG's own loss"
            altered += abs(kept - answer.prediction).mean() > 6
            done = harm(restore_sample(system, undamaged(sample), cpu), system.threshold)
            for name, value in done.items():
                told = row[f"harm.{name}"]
                assert (float(told) if told else None) == pytest.approx(value, abs=1e-5)
            assert float(row["composite.psnr"]) == pytest.approx(
                min(100.0, psnr(answer.composite, sample.clean)), abs=1e-5
            )
    assert altered, "some composites are not the raw prediction"


def test_the_time_of_metrics_is_told_and_never_written(built: Path) -> None:
    shutil.rmtree(built / ".work/evaluate-vae")
    told = run_stage(built, "evaluate", "vae").stdout
    found = re.search(r"restoring took ([\d.]+) s, measuring ([\d.]+) s for 5 pictures", told)
    assert found, told
    listed = told[told.index("all ") :]
    shares = {name.strip(): share for name, share in re.findall(r"([\w, ]+?) (\d+)%", listed)}
    assert "MSE, MAE, PSNR and SSIM" in listed
    assert {"all", "ciede2000", "ms_ssim"} <= {name.strip(", ") for name in shares}
    parts = sum(int(share) for name, share in shares.items() if name != "all")
    assert abs(parts - int(shares["all"])) <= len(shares), "they add up, but for rounding"


def test_masks_are_scored_at_every_threshold(built: Path) -> None:
    rows, told = table(built, "restorer-everything", "rows"), summary(built, "restorer-everything")
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
    assert told["input"]["psnr"] == 100.0 and told["undamaged_count"] == told["num_samples"]
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
    lines = {(line["picture"], line["metric"]): line for line in table(built, "vae", "means")}
    assert float(lines["", "kl"]["mean"]) == pytest.approx(np.mean(numbers(rows, "kl")), abs=1e-5)
    groups = {line["group"] for line in table(built, "vae", "breakdown") if line["by"] == "family"}
    damaged = [row for row in rows if float(row["input.psnr"]) < 100]
    named = {name for row in damaged for name in row["families"].split()}
    assert groups - {"undamaged"} == named
    assert {line["family"] for line in table(built, "vae", "families")} == named


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


def test_shards_without_test_samples_are_refused(built: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(built, project, ignore=shutil.ignore_patterns(".work", "reports"))
    folder = project / "data/shards/distorted"
    manifest = read_manifest(folder)
    kept = [row for row in manifest.shards if row.split != "test"]
    shards.write_manifest(folder, manifest.recipe, manifest.opencv, kept, manifest.profile)
    failed = run_stage(project, "evaluate", "vae", check=False)
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "has no test samples" in failed.stderr and not (project / "reports/systems").exists()
