"""The commands as a user meets them: what they print, what they draw, and how they refuse."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import ROOT, load_yaml, read_only, run_stage, small_params, tree, write_params

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with everything up to trained and evaluated systems."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, small_params())
    (folder / "data/inbox").mkdir(parents=True)
    commands = [["fetch"], ["index"], ["textures"], ["synth", "shapes"], ["synth", "aged"]]
    commands += [["train", name] for name in ("dual_decoder", "aged_unet")]
    commands += [["evaluate", "dual_decoder"], ["evaluate", "aged_unet-aged"], ["leaderboard"]]
    for words in commands:
        run_stage(folder, *words)
    return folder


def picture(path: Path) -> np.ndarray:
    """A file that must be a picture."""
    decoded = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    assert decoded is not None, path
    return decoded


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real photo on disk."""
    from skimage import data, io

    path = tmp_path_factory.mktemp("photos") / "coffee.jpg"
    io.imsave(path, data.coffee(), quality=92)
    return path


def test_index_of_a_plain_folder_has_photos_and_rejected(built: Path, photo: Path) -> None:
    (photo.parent / "broken.jpg").write_bytes(photo.read_bytes()[:2000])
    run_stage(built, "index", photo.parent, "--out", built / "other.json")
    index = json.loads((built / "other.json").read_text())
    assert [row["name"] for row in index["photos"]] == ["coffee.jpg"]
    assert [row["path"] for row in index["rejected"]] == ["broken.jpg"]
    assert index["rejected"][0]["reason"]


def test_preview_draws_a_sheet_of_a_recipe_and_of_a_family(built: Path, photo: Path) -> None:
    for name in ("aged", "shapes", "grain"):
        out = built / f"{name}.png"
        run_stage(built, "preview", photo, "--recipe", name, "-n", "5", "-o", out, "--side", "100")
        height, width = picture(out).shape[:2]
        assert width == 4 * 150 + 3 * 4 and height == 2 * (100 + 4 + 100) + 4


def test_the_gallery_has_a_row_a_family_that_gets_worse_from_left_to_right(built: Path) -> None:
    from pipeline.corruptions import CORRUPTIONS

    run_stage(built, "preview", "--gallery", "-o", built / "gallery.png")
    whole = picture(built / "gallery.png")[..., :3].astype(np.int16)
    paper = (whole == 255).all(axis=2)
    rows = cells_along(paper.mean(axis=1))
    assert len(rows) == len(CORRUPTIONS.names())
    for name, (top, bottom) in zip(CORRUPTIONS.names(), rows, strict=True):
        columns = cells_along(paper[top:bottom].mean(axis=0))[-5:]
        side = min(bottom - top, *(right - left for left, right in columns))
        assert side > 200 and len(columns) == 5, name
        cells = [whole[top : top + side, left : left + side] for left, _ in columns]
        far = [float(np.abs(cell - cells[0]).mean()) for cell in cells]
        assert far[4] > max(far[1], 0.5), (name, far)


def test_a_gallery_of_one_family_on_ones_own_photo_as_jpeg(built: Path, photo: Path) -> None:
    out = built / "gallery.jpg"
    run_stage(built, "preview", photo, "--gallery", "--recipe", "tears", "-o", out)
    height, width = picture(out).shape[:2]
    assert out.read_bytes()[:2] == b"\xff\xd8" and 4 < width / height < 5


def cells_along(paper: np.ndarray) -> list[tuple[int, int]]:
    """Where runs of 100 px or more begin and end that are not mostly paper."""
    edges = np.flatnonzero(np.diff(np.concatenate(([1], paper > 0.9, [1])).astype(int)))
    runs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(start, end) for start, end in runs if end - start >= 100]


def test_show_lists_keys_tells_a_story_and_draws_it(built: Path) -> None:
    listed = run_stage(built, "show").stdout
    key = re.search(r"[0-9a-f]{64}_\d{4}_\d{2}", listed)
    assert key and re.search(rf"{key[0]}  \w+\.png", listed), "keys stand beside their photos"
    told = run_stage(built, "show", key[0], "--recipe", "aged", "-o", built / "story.png").stdout
    assert re.search(r"\w+.png: grayscale 1.00, grain 0.\d\d, texture \d.\d\d", told)
    first = run_stage(built, "show", key[0], "-o", built / "first.png").stdout
    assert "(aged, train; also in shapes: --recipe chooses)" in first
    story = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert [step["family"] for step in story["steps"]] == ["grayscale", "grain", "texture"]
    assert picture(built / "story.png").shape[:2] == (64, 3 * 64 + 2 * 4)


def test_check_validates_and_estimates(built: Path) -> None:
    told = run_stage(built, "check").stdout
    assert "every section is valid" in told
    for line in ("synth shapes: 48 samples", "train dual_decoder:", "train aged_unet:"):
        assert line in told
    assert re.search(r"parameters, 6 steps, about \d", told)


def test_evaluate_writes_every_samples_pictures(built: Path) -> None:
    folder = built / "looks"
    run_stage(built, "evaluate", "dual_decoder", "--pictures", folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"predicted_images", "reconstructed_images", "binary_masks"}
    found = [sorted(path.name for path in (folder / name).iterdir()) for name in sorted(names)]
    assert found[0] == found[1] == found[2] and len(found[0]) == 6
    mask = picture(next((folder / "binary_masks").iterdir()))
    assert set(np.unique(mask)) <= {0, 255}
    told = run_stage(built, "evaluate", "aged_unet", "--pictures", built / "gray").stdout
    assert "no binary_masks" in told and not (built / "gray/binary_masks").exists()


def test_evaluation_goes_on_where_it_was_cut(built: Path) -> None:
    report = built / "reports/systems/aged_unet-aged"
    before = tree(report)
    work = next((built / ".work/evaluate-aged_unet-aged").iterdir())
    rows = sorted((work / "rows").iterdir())
    rows[0].unlink()
    kept = {path: path.stat().st_ino for path in rows[1:]}
    run_stage(built, "evaluate", "aged_unet")
    assert tree(report) == before
    assert {path: path.stat().st_ino for path in rows[1:]} == kept, "finished photos are kept"


def test_restore_keeps_name_size_and_format(built: Path, photo: Path) -> None:
    out = built / "restored"
    for system in ("aged_unet", "dual_decoder"):
        run_stage(built, "restore", photo, "-o", out / system, "--system", system)
        assert picture(out / system / "coffee.jpg").shape == (400, 600, 3)
    done = run_stage(
        built, "restore", photo, "-o", built / "no", "--max-megapixels", "0.1", check=False
    )
    assert done.returncode == 1 and not (built / "no").exists()
    assert (
        "coffee.jpg: 600x400 is more than 0.1 megapixels (--max-megapixels); raise" in done.stderr
    )


def change(folder: Path, path: str, value: object) -> None:
    params = load_yaml(folder / "params.yaml")
    *way, last = path.split(".")
    node = params
    for word in way:
        node = node[word]
    if value is None:
        del node[last]
    else:
        node[last] = value
    write_params(folder, params)


MIXED = [{"recipe": "aged", "weight": 0.0}, {"recipe": "shapes", "weight": 0.5}]
REFUSED = {
    "fetch": ["sources.folder.path", "nowhere", ["fetch"], "nowhere: is no folder"],
    "source": ["sources.foldr", {}, ["fetch"], "source 'foldr': is not known"],
    "recipe": ["seed", 7, ["synth", "agde"], "is missing; add it, did you mean 'aged'"],
    "step": ["recipes.aged.steps", [{"family": "grian", "on": "input", "probability": 1.0}],
             ["synth", "aged"], "corruption 'grian': is not known"],
    "range": ["textures.num_overlays", 0, ["textures"], "num_overlays must be at least 1"],
    "missing": ["textures.size", None, ["textures"], "textures.size is missing"],
    "system": ["seed", 7, ["train", "dual_decodr"], "train.dual_decodr: is missing"],
    "pair": ["seed", 7, ["evaluate", "nothing"], "evaluate 'nothing': is no pair"],
    "shards": ["seed", 7, ["train", "aged_unet"], "holds no manifest"],
    "weights": ["seed", 7, ["restore", "x.png", "-o", "out"], "is not there; train it"],
    "no system": ["seed", 7, ["restore", "x.png", "-o", "out", "--system", "nope"],
                  "system 'nope'"],
    "no recipe": ["seed", 7, ["preview", "x.png", "--recipe", "agde"], "did you mean 'aged'"],
    "index": ["seed", 7, ["index", "."], "--out FILE"],
    "key": ["seed", 7, ["show", "abc"], "holds no shards"],
    "photo": ["seed", 7, ["preview", "x.png", "--recipe", "aged"], "x.png: No such file"],
    "group": ["synthesis.photos_per_group", 0, ["check"], "photos_per_group must be at least"],
    "seed": ["seed", "x", ["textures"], "seed must be a whole number from 0 up, not 'x'"],
    "no seed": ["seed", None, ["check"], "seed: is missing"],
    "patience": ["train.aged_unet.phases.fit.early_stop.patience", -1, ["check"],
                 "patience must be at least 1"],
    "floor": ["train.aged_unet.phases.fit.optimizers.restorer.schedule.floor", -0.9, ["check"],
              "floor must be at least 0"],
    "width": ["systems.dual_decoder.bottleneck", 0, ["check"], "bottleneck must be at least 2"],
    "metric": ["train.aged_unet.phases.fit.early_stop.metric", "val/psnrr", ["check"],
               "early_stop.metric: 'val/psnrr' is not measured; use one of val/picture, val/loss"],
    "colors": ["train.aged_unet.recipe", "shapes", ["check"],
               "shapes is RGB, the system takes gray"],
    "mixed colors": ["train.aged_unet.mix", MIXED, ["check"],
                     "train.aged_unet.mix.1.recipe: shapes is RGB, the system takes gray"],
    "empty": ["recipes.shapes.sources", ["folder"], ["check"], "no test photos in folder"],
    "step of check": ["recipes.aged.steps", [{"on": "input"}], ["check"], "steps.0.family"],
    "folder": ["recipes.shapes.sources", ["foldr"], ["check"], "sources: 'foldr' is not among"],
    "megapixels": ["index.max_megapixels", "80", ["lift", "x.png", "-o", "y.png"],
                   "index.max_megapixels must be a number more than 0, at most 10000, not '80'"],
    "no sources": ["sources", 5, ["fetch"], "sources must be a map of names, not 5"],
    "no pairs": ["evaluate", [], ["leaderboard"], "evaluate must be a map of names, not []"],
    "empty pair": ["evaluate.aged_unet-aged", 5, ["evaluate", "dual"], "'dual': is no pair"],
    "windows": ["recipes.aged.photo_side_range", [2, 3], ["synth", "aged"],
                "recipes.aged.photo_side_range must reach the side of the smallest tile, 64 px"],
    "check": ["train.aged_unet.phases.fit.optimizers.restorer.lr", "fast", ["check"],
              "train.aged_unet.phases.fit.optimizers.restorer.lr must be a number, not 'fast'"],
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_gets_one_line_and_exit_1(project: Path, case: str) -> None:
    path, value, words, expected = REFUSED[case]
    change(project, path, value)
    done = run_stage(project, *words, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert any(expected in line for line in lines), done.stderr
    assert len(lines) == 1 or words == ["check"], "only check tells more than one problem"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "told"), [("recipe", "shapes", "recipe"), ("mix", MIXED, "mix.1.recipe")]
)
def test_a_system_of_other_pictures_than_its_recipes_is_refused(
    built: Path, key: str, value: object, told: str
) -> None:
    before = (built / "params.yaml").read_bytes()
    try:
        change(built, f"train.aged_unet.{key}", value)
        done = run_stage(built, "train", "aged_unet", check=False)
    finally:
        (built / "params.yaml").write_bytes(before)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"train.aged_unet.{told}: shapes is RGB, the system takes gray" in done.stderr


def test_check_names_every_problem_at_once(project: Path) -> None:
    change(project, "train.aged_unet.phases.fit.steps", "many")
    change(project, "recipes.aged.sources", ["smaple"])
    change(project, "synth.aged.reads", ["pipeline/corruptions/grain.py"] * 8)
    done = run_stage(project, "check", check=False)
    told = done.stdout + done.stderr
    assert done.returncode == 1
    for expected in (
        "train.aged_unet.phases.fit.steps must be a whole number",
        "'smaple' is not among sources",
        "write [pipeline/corruptions/grain.py",
    ):
        assert expected in told


def test_check_survives_sections_of_another_shape(project: Path) -> None:
    change(project, "sources", ["sample"])
    done = run_stage(project, "check", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "sources must be a map of names, not ['sample']" in done.stderr


def test_the_run_script_finds_stages_from_anywhere(tmp_path: Path) -> None:
    done = subprocess.run(
        [ROOT / "run", "stage", "fetch", "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Usage" in done.stdout
    done = subprocess.run([ROOT / "run", "nonsense"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "./run demo" in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error(built: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m stages.show --recipe shapes | head -n 1"],
        cwd=built, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.stdout.startswith("shapes, train") and not done.stderr


def test_rejected_files_are_told_by_the_users_own_names(project: Path) -> None:
    (project / "data/inbox/Ünser Foto.jpg").write_bytes(b"no photo")
    run_stage(project, "fetch")
    told = run_stage(project, "index").stdout
    assert "rejected Ünser Foto.jpg: " in told


def test_the_version_is_told() -> None:
    patina = Path(sys.prefix) / "bin/patina"
    done = subprocess.run([patina, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"patina \d+\.\d+\.\d+\n", done.stdout)


def test_the_installed_command_is_the_same_program() -> None:
    patina = Path(sys.prefix) / "bin/patina"
    done = subprocess.run([patina, "--help"], capture_output=True, text=True, check=True)
    assert "learns to undo it" in done.stdout


@pytest.mark.parametrize("words", [
    ["fetch"], ["index"], ["textures"], ["synth", "shapes"], ["inspect", "shapes"],
    ["train", "dual_decoder"], ["evaluate", "dual_decoder"], ["leaderboard"],
], ids=" ".join)  # fmt: skip
def test_a_project_that_cannot_be_written_is_told_before_any_work(
    words: list[str], built: Path
) -> None:
    before = tree(built)
    with read_only(built):
        done = run_stage(built, *words, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "Read-only file system" in done.stderr and done.stdout == ""
    assert tree(built) == before
