"""`patina benchmark` as a user meets it: real folders, real weights, refusals in a line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

from pipeline.checkpoint import save_weights
from pipeline.images import encode_png, resize
from pipeline.literature.measuring import Bench, measure_input
from pipeline.literature.protocol import Noise
from pipeline.systems import make_system
from stages.figures import Shown, tell_run
from stages.subjects import see_all
from tests.conftest import ROOT, run_stage, small_params, tree, write_params

SET12 = {"DnCNN": 30.44, "FFDNet": 30.43, "DRUNet": 30.94, "SCUNet": 31.09}  # at σ 25


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two systems, untrained but saved as if, and a folder of two photos."""
    folder = tmp_path_factory.mktemp("project")
    params = small_params()
    write_params(folder, params)
    for name in ("aged_unet", "dual_decoder"):
        system, block = make_system(name, params, 7)
        save_weights(folder / "models" / name / "best.safetensors", name, block, system)
    (folder / "clean/more").mkdir(parents=True)
    for name, pixels in (("a.png", data.astronaut()), ("more/b.png", data.coffee())):
        (folder / "clean" / name).write_bytes(encode_png(resize(pixels, 80, 100)))
    (folder / "clean/readme.txt").write_text("about these")
    return folder


def lines(text: str) -> dict[str, list[str]]:
    """The table: method → its cells."""
    rows = [line.rsplit(maxsplit=2) for line in text.splitlines() if line.startswith("  ")]
    return {name.strip(): cells for name, *cells in rows}


def test_the_whole_protocol_is_told_stored_and_drawn(home: Path) -> None:
    words = ("clean", "--noise", "25", "--noise", "50", "--noise", "25", "--out", "figures.json")
    done = run_stage(home, "benchmark", *words, "--system", "aged_unet", "--pictures", "sheets")
    assert "σ 25 on the 0–255 scale, seed 7" in done.stdout
    assert "neither clipped nor rounded before it goes in" in done.stdout
    assert "2 pictures: a set of your own" in done.stdout
    assert "published" not in done.stdout
    stored = json.loads((home / "figures.json").read_text())
    assert [run["noise"] for run in stored["runs"]] == [25, 50]
    assert stored["runs"][0]["statement"] in done.stdout
    run = stored["runs"][0]
    assert set(run["methods"]) == {"input", "nlm_oracle", "aged_unet"}
    assert run["methods"]["input"]["psnr"] == pytest.approx(20.17, abs=0.2)
    assert run["methods"]["nlm_oracle"]["psnr"] > 25
    assert [one["name"] for one in run["pictures"]] == ["a.png", "more/b.png"]
    assert stored["system"]["name"] == "aged_unet"
    names = [f"noise-{sigma}/{name}" for sigma in (25, 50) for name in ("a.png", "more/b.png")]
    assert sorted(tree(home / "sheets")) == names
    assert Image.open(home / "sheets/noise-25/a.png").size == (4 * 100 + 3 * 4, 80)
    once = (home / "figures.json").read_bytes()
    run_stage(home, "benchmark", *words, "--weights", "models/aged_unet/best.safetensors")
    assert (home / "figures.json").read_bytes() == once


def test_a_recipe_damages_whole_pictures_and_masks_are_scored(home: Path) -> None:
    words = ("clean", "--recipe", "shapes", "--system", "dual_decoder", "--out", "shapes.json")
    done = run_stage(home, "benchmark", *words)
    assert "damage of the recipe shapes" in done.stdout
    assert "damage that dual_decoder found" in done.stdout
    run = json.loads((home / "shapes.json").read_text())["runs"][0]
    assert set(run["methods"]["dual_decoder"]["mask"]) >= {"f1", "precision", "recall", "iou"}
    assert run["methods"]["input"]["psnr"] < 40
    assert run["published"] == {}


def test_a_recipe_that_leaves_pictures_as_they_are_says_so(home: Path) -> None:
    done = run_stage(home, "benchmark", "clean", "--recipe", "clean")
    assert "2 of 2 pictures were left undamaged" in done.stdout
    assert lines(done.stdout)["input"] == ["100.00", "1.0000"]
    assert "non-local means, best for this set (h 0: best is to do nothing)" in lines(done.stdout)


def test_classical_methods_stand_alone_without_a_system(home: Path) -> None:
    done = run_stage(home, "benchmark", "clean", "--gray", "--seed", "3", "--clip", "--quantize")
    assert done.stdout.strip().startswith("Gray")
    assert "seed 3 and the picture's name, clipped and rounded before" in done.stdout
    assert len(lines(done.stdout)) == 3  # with the head


def test_ctrl_c_says_that_nothing_is_kept(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.benchmark", "clean", "--noise", "25"], cwd=home,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=120)[1]
    assert first.startswith("read: ") and process.returncode == 130
    assert told.splitlines()[-1] == "stopped; the next run starts anew"


def test_a_system_s_own_photos_are_warned_of(home: Path) -> None:
    run_stage(home, "index", "clean", "--out", home / "data/index.json")
    index = json.loads((home / "data/index.json").read_text())
    for row in index["photos"]:
        row["split"] = "train" if row["name"] == "a.png" else "test"
    (home / "data/index.json").write_text(json.dumps(index))
    (home / "data/raw").symlink_to(home / "clean")
    done = run_stage(home, "benchmark", "clean", "--system", "aged_unet", "--out", "own.json")
    assert "warning: 1 of 2 pictures were there to train on (a.png)" in done.stdout
    assert json.loads((home / "own.json").read_text())["trained_on"] == ["a.png"]


def test_a_whole_set_has_the_published_figures_beside(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = see_all(photos / "benchmarks/Set12_gray", 80)
    for clip in (False, True):
        protocol = Noise(25, 7, False, clip=clip)
        untouched = measure_input(Bench(seen, protocol, 80), lambda done, total: None)
        told = tell_run(Shown(seen, protocol, {"input": untouched}))
        printed = capsys.readouterr().out
        assert "12 pictures: Set12, known by its pixels" in printed
        psnr = float(lines(printed)["input"][0])
        assert psnr > 20.17 if clip else psnr == 20.17, "clipping alone removes some noise"
        assert read_published(printed) == told["published"] == ({} if clip else SET12)
    assert "published figures are of noise that is neither clipped nor rounded" in printed


def read_published(text: str) -> dict[str, float]:
    rows = [line.split(", published") for line in text.splitlines() if ", published " in line]
    return {name.strip(): float(psnr) for name, psnr in rows}


@pytest.mark.long
def test_set12_from_end_to_end(home: Path, photos: Path) -> None:
    done = run_stage(home, "benchmark", photos / "benchmarks/Set12_gray", "--system", "aged_unet")
    table = lines(done.stdout)
    assert table["input"][0] == "20.17" and read_published(done.stdout) == SET12
    nlm = next(cells for name, cells in table.items() if name.startswith("non-local means"))
    assert 28.0 < float(nlm[0]) < 29.97  # BM3D's


def test_a_part_of_a_set_has_no_published_figures(home: Path, photos: Path, tmp_path: Path) -> None:
    folder = photos / "benchmarks/Set12_gray"
    (tmp_path / "01.png").write_bytes((folder / "01.png").read_bytes())
    done = run_stage(home, "benchmark", tmp_path)
    assert "1 of Set12's 12 pictures are among these 1" in done.stdout
    assert "published" not in done.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "nowhere: does not exist; name a folder of clean pictures"),
        (["params.yaml"], "params.yaml: is no folder"),
        (["empty"], "empty: holds no pictures"),
        (["clean", "--noise", "-1"], "--noise -1: is no σ above 0"),
        (["clean", "--noise", "nan"], "--noise nan: is no σ above 0"),
        (["clean", "--noise", "25", "--recipe", "shapes"], "--recipe: cannot go with --noise"),
        (["clean", "--recipe", "shapes", "--clip"], "--recipe: is always clipped"),
        (["clean", "--recipe", "shaps"], "did you mean 'shapes'?"),
        (["clean", "--system", "aged_unit"], "did you mean 'aged_unet'?"),
        (["clean", "--weights", "none.safetensors"], "none.safetensors: No such file"),
        (["clean", "--system", "aged_unet", "--color"], "aged_unet takes gray pictures"),
        (["clean", "--system", "aged_unet", "--device", "tpu"], "--device tpu: is not known"),
        (["clean", "--gray", "--color"], "--gray: cannot go with --color; choose one"),
        (["clean", "--out", "/proc/figures.json"], "/proc: cannot be written"),
        (["clean", "--pictures", "/proc/sheets"], "/proc/sheets: cannot be written"),
        (
            ["clean", "--system", "aged_unet", "--weights", "models/dual_decoder/best.safetensors"],
            "holds dual_decoder, but aged_unet is of the kind aged_unet; name other weights",
        ),
        (["clean", "--out", "figures.txt"], "--out figures.txt: is no JSON file"),
        (["clean", "--pictures", "clean/sheets"], "would make the sheets pictures of the set"),
        (["clean", "--pictures", "models"], "--pictures models: is not empty"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(home: Path, words: list[str], told: str) -> None:
    (home / "empty").mkdir(exist_ok=True)
    before = tree(home)
    done = run_stage(home, "benchmark", *words, check=False)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert "Traceback" not in done.stderr
    assert tree(home) == before


def test_every_unreadable_picture_is_named_and_the_run_refused(home: Path, tmp_path: Path) -> None:
    whole = (home / "clean/a.png").read_bytes()
    for name, content in (("a.png", whole), ("b.png", whole[:999]), ("c.png", b"")):
        (tmp_path / name).write_bytes(content)
    done = run_stage(home, "benchmark", tmp_path, check=False)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert all(any(name in line for line in errors) for name in ("b.png", "c.png"))
    assert "PSNR" not in done.stdout
