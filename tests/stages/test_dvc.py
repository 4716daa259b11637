"""The pipeline under dvc, in a real clone: runs whole, then does nothing, then exactly what a
change asks for."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stages.workspace import dvc_hash
from tests.conftest import ROOT, load_yaml, run_stage, small_params, write_params

pytestmark = pytest.mark.slow
EVERYTHING = {
    "fetch", "index", "textures", "synth@shapes", "synth@aged", "inspect@shapes", "inspect@aged",
    "train@dual_decoder", "train@aged_unet", "evaluate@dual_decoder-shapes",
    "evaluate@aged_unet-aged", "leaderboard",
}  # fmt: skip


class Clone:
    """A git clone of the project with small params, whose pipeline has run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = self.git_at(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((ROOT / name).read_bytes())
                (folder / name).chmod((ROOT / name).stat().st_mode)
        (folder / "dvc.lock").unlink(missing_ok=True)
        write_params(folder, small_params())
        (folder / ".venv").symlink_to(sys.prefix)
        self.git("init", "-q")
        self.commit("small")

    def git(self, *words: str) -> str:
        return self.git_at(self.folder, *words)

    @staticmethod
    def git_at(folder: Path, *words: str) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
        return subprocess.run(
            ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
        ).stdout

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def dvc(self, *words: str) -> str:
        done = subprocess.run(
            [Path(sys.prefix) / "bin/dvc", *words], cwd=self.folder, capture_output=True, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def repro(self) -> set[str]:
        """Run what is stale; the stages that ran."""
        return set(re.findall(r"Running stage '(.+)'", self.dvc("repro")))

    def stale(self) -> set[str]:
        """The stages that dvc would run because of what changed directly."""
        return set(json.loads(self.dvc("status", "--json")))

    def change(self, path: str, value: float) -> None:
        """Set one value in params.yaml, as a user would."""
        params = load_yaml(self.folder / "params.yaml")
        *way, last = path.split(".")
        node = params
        for word in way:
            node = node[word]
        node[last] = value
        with (self.folder / "params.yaml").open("w") as file:
            YAML().dump(params, file)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone that has been reproduced and committed."""
    clone = Clone(tmp_path_factory.mktemp("clone"))
    assert clone.repro() == EVERYTHING
    clone.commit("reproduced")
    return clone


def test_everything_promised_is_there(clone: Clone) -> None:
    board = json.loads((clone.folder / "reports/leaderboard.json").read_text())
    rows = {(row["recipe"], row["system"]) for row in board}
    assert {("shapes", "dual_decoder"), ("shapes", "telea"), ("aged", "aged_unet")} <= rows
    for row in board:
        assert all(row[name]["psnr"] > 0 for name in ("input", "prediction", "composite"))
    for pair in ("dual_decoder-shapes", "aged_unet-aged"):
        found = {path.name for path in (clone.folder / "reports/systems" / pair).iterdir()}
        assert {
            "metrics.json",
            "rows.csv",
            "psnr.png",
            "gain.png",
            "pictures.png",
            "curves.png",
        } <= found
    assert not clone.git("status", "--short"), "a run leaves only what git tracks or ignores"


def test_a_second_repro_does_nothing(clone: Clone) -> None:
    assert "up to date" in clone.dvc("repro")
    assert clone.stale() == set()


def test_the_hashes_that_clear_finished_work_are_those_of_dvc(clone: Clone) -> None:
    lock = load_yaml(clone.folder / "dvc.lock")["stages"]
    for stage in EVERYTHING:
        for row in lock[stage]["outs"]:
            assert dvc_hash(clone.folder / row["path"]) == row["md5"], row["path"]


def test_locks_are_no_data_to_dvc(clone: Clone) -> None:
    (row,) = (
        row
        for row in load_yaml(clone.folder / "dvc.lock")["stages"]["leaderboard"]["deps"]
        if row["path"] == "reports/systems"
    )
    files = [p for p in (clone.folder / "reports/systems").rglob("*") if p.is_file()]
    assert row["nfiles"] == sum(not path.name.endswith(".lock") for path in files)


def test_recorded_work_is_dropped_at_the_next_start_and_other_work_kept(clone: Clone) -> None:
    homes = {name: clone.folder / ".work" / name for name in ("train-aged_unet", "synth-aged")}
    for home in homes.values():
        assert len(list(home.glob("*/published.json"))) == 1
        (home / "0123456789abcdef").mkdir()
    run_stage(clone.folder, "train", "aged_unet")
    run_stage(clone.folder, "synth", "aged")
    for home in homes.values():
        assert (home / "0123456789abcdef").is_dir(), "unfinished work of other params stays"
        (home / "0123456789abcdef").rmdir()
    before = {path for home in homes.values() for path in home.glob("*/state.safetensors")}
    inode = {path.stat().st_ino for path in before}
    run_stage(clone.folder, "train", "aged_unet")
    after = {path.stat().st_ino for path in homes["train-aged_unet"].glob("*/state.safetensors")}
    assert after and not after & inode, "recorded work was dropped, the training ran anew"


def test_one_learning_rate_reruns_one_training_and_what_follows(clone: Clone) -> None:
    clone.change("train.aged_unet.phases.fit.optimizers.restorer.lr", 0.0007)
    assert clone.repro() == {"train@aged_unet", "evaluate@aged_unet-aged", "leaderboard"}
    assert "0.0007" in clone.dvc("params", "diff")
    assert "composite.psnr" in clone.dvc("metrics", "diff")
    page = clone.dvc("plots", "diff", "HEAD", "-o", "plots")
    assert "index.html" in page and (clone.folder / "plots/index.html").is_file()
    clone.git("checkout", "-q", "params.yaml", "dvc.lock", "reports")
    assert (
        clone.repro() == {"train@aged_unet", "evaluate@aged_unet-aged", "leaderboard"}
        or not clone.stale()
    )


EDITS = {
    "pipeline/systems/aged_unet.py": {"train@aged_unet", "evaluate@aged_unet-aged"},
    "pipeline/corruptions/shapes.py": {"synth@shapes", "inspect@shapes"},
    "pipeline/corruptions/grain.py": {"synth@aged", "inspect@aged"},
    "pipeline/inspection/page.py": {"inspect@shapes", "inspect@aged"},
    "pipeline/plots.py": {"evaluate@aged_unet-aged", "evaluate@dual_decoder-shapes"},
    "pipeline/restore.py": set(),
    "pipeline/sources/folder.py": {"fetch", "index", "textures"},
    "README.md": set(),
}


@pytest.mark.parametrize("file", EDITS)
def test_an_edited_file_makes_exactly_its_stages_stale(clone: Clone, file: str) -> None:
    path = clone.folder / file
    before = path.read_bytes()
    try:
        path.write_bytes(before + b"\n# edited\n")
        assert clone.stale() == EDITS[file]
    finally:
        path.write_bytes(before)


PARAMS = {
    "seed": EVERYTHING - {"fetch", "leaderboard", "inspect@shapes", "inspect@aged"},
    "sources.folder.path": {"fetch"},
    "index.val_share": {"index", "synth@shapes", "synth@aged"},
    "textures.size": {"textures"},
    "synthesis.samples_per_shard": {"synth@shapes", "synth@aged"},
    "recipes.aged.photo_side_range": {"synth@aged", "inspect@aged", "train@aged_unet"},
    "systems.dual_decoder.num_blocks": {"train@dual_decoder"},
    "train.aged_unet.steps": {"train@aged_unet"},
    "evaluate.aged_unet-aged.baselines": {"evaluate@aged_unet-aged", "leaderboard"},
}  # fmt: skip
VALUES = {"sources.folder.path": "textures/scans", "recipes.aged.photo_side_range": [300, 400],
          "evaluate.aged_unet-aged.baselines": ["median"]}  # fmt: skip


@pytest.mark.parametrize("param", PARAMS)
def test_a_changed_param_makes_exactly_its_stages_stale(clone: Clone, param: str) -> None:
    before = (clone.folder / "params.yaml").read_bytes()
    try:
        clone.change(param, VALUES.get(param, 77 if param != "index.val_share" else 0.3))
        assert clone.stale() == PARAMS[param]
    finally:
        (clone.folder / "params.yaml").write_bytes(before)


@pytest.mark.parametrize("file", ["pipeline/systems/mine.py", "pipeline/corruptions/mine.py"])
def test_adding_a_system_or_a_family_leaves_the_pipeline_clean(clone: Clone, file: str) -> None:
    path = clone.folder / file
    try:
        path.write_text('"""A new one."""\n')
        assert clone.stale() == set()
    finally:
        path.unlink()


def test_an_experiment_runs_and_shows_beside_the_workspace(clone: Clone) -> None:
    clone.dvc(
        "exp",
        "run",
        "--temp",
        "-n",
        "slower",
        "-S",
        "train.aged_unet.phases.fit.optimizers.restorer.lr=0.0005",
    )
    shown = clone.dvc("exp", "show", "--csv", "--no-pager")
    assert "slower" in shown and "0.0005" in shown


def test_a_photo_in_the_inbox_reaches_the_index_and_nothing_is_trained_again(clone: Clone) -> None:
    from skimage import data, io

    photo = clone.folder / "data/inbox/família/my photo.png"
    photo.parent.mkdir()
    io.imsave(photo, data.chelsea()[:200, :200])
    ran = clone.repro()
    assert {"fetch", "index", "synth@aged"} <= ran and "train@aged_unet" not in ran
    names = [
        p["name"] for p in json.loads((clone.folder / "data/index.json").read_text())["photos"]
    ]
    assert "família/my photo.png" in names
