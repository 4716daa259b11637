"""`patina compare` as a user meets it: what it prints and leaves behind, what it reads out of git
and dvc, and how it refuses."""

import csv
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run_stage, small_params, tree, write_params
from tests.pipeline.compared import restore, samples, write_evaluation, write_test_shards

FILES = {"comparison.json", "differences.csv", "index.html"}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
SYSTEMS = {"one": 20, "two": 10}  # how much noise they leave
PIPELINE = """
stages:
  evaluate:
    foreach: [one-shapes, two-shapes]
    do:
      cmd: mkdir -p reports/systems/${item} && cp made/${item}/* reports/systems/${item}/
      deps:
      - made/${item}
      outs:
      - reports/systems/${item}/rows.csv
      - reports/systems/${item}/restored.tar
      metrics:
      - reports/systems/${item}/metrics.json: {cache: false}
"""


def project_of(folder: Path, reports: str = "reports/systems") -> Path:
    """A project whose two systems are evaluated on the same shards."""
    params = small_params()
    block = {"kind": "aged_unet", "recipe": "shapes", "baselines": []}
    params["evaluate"] = {f"{name}-shapes": {"system": name, **block} for name in SYSTEMS}
    params["evaluate"]["two-again"] = {"system": "two", **block}
    write_params(folder, params)
    fingerprint = write_test_shards(folder / "data/shards/shapes")
    for name, strength in SYSTEMS.items():
        write_evaluation(folder / reports / f"{name}-shapes", restore(strength), fingerprint)
    return folder


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return project_of(tmp_path)


def compare(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_stage(folder, "compare", *words, check=check)


def refusal(folder: Path, *words: str) -> str:
    """The one line of a refusal that leaves nothing behind."""
    done = compare(folder, *words, check=False)
    assert done.returncode == 1 and not done.stdout, done.stdout
    (line,) = done.stderr.splitlines()
    assert not (folder / "reports/compare").exists()
    return line


# two systems


def test_it_prints_the_answer_first_and_leaves_a_report(made: Path) -> None:
    printed = compare(made, "one", "two-shapes").stdout.splitlines()
    assert printed[:2] == ["A: one-shapes", "B: two-shapes"]
    assert re.fullmatch(
        r"B is better by \d\.\d\d dB, 95 % interval \d\.\d\d–\d\.\d\d "
        r"\(16 samples of 8 photos; 8 undamaged apart\)",
        printed[2],
    )
    heads = [line.split()[0] for line in printed if line]
    assert {"composite", "psnr", "mse", "ssim", "dust", "folds", "undamaged"} <= set(heads)
    folder = made / "reports/compare/one-two-shapes"
    assert printed[-1] == f"{folder}/index.html" and set(tree(folder)) == FILES
    told = json.loads((folder / "comparison.json").read_text())
    assert printed[2].startswith(told["sentence"]) and told["verdict"] == "better"
    rows = list(csv.DictReader(io.StringIO((folder / "differences.csv").read_text())))
    assert len(rows) == len(samples()) and float(rows[0]["difference.psnr"]) > 0


def test_the_same_reports_are_the_same_bytes_wherever_they_are_compared(made: Path) -> None:
    compare(made, "one", "two-shapes")
    where = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "3", "LC_ALL": "C"}
    run_stage(made, "compare", "one", "two-shapes", "--out", made / "elsewhere", **where)
    again, first = tree(made / "elsewhere"), tree(made / "reports/compare/one-two-shapes")
    assert again == first
    assert not [name for name, data in first.items() if str(made).encode() in data]


def test_missing_pictures_are_noted_and_the_rest_is_told(made: Path) -> None:
    (made / "reports/systems/one-shapes/restored.tar").unlink()
    write_test_shards(made / "data/shards/shapes", chosen=samples()[1:])
    printed = compare(made, "one", "two-shapes").stdout
    assert "note: no pictures of A: one has no restored.tar" in printed
    assert "holds other test shards than were measured" in printed and "B is better by" in printed
    page = (made / "reports/compare/one-two-shapes/index.html").read_text()
    assert "one has no restored.tar" in page and 'data-name="B"' in page


@pytest.mark.skipif(BROWSER is None, reason="needs chromium")
def test_a_browser_shows_the_page(made: Path) -> None:
    compare(made, "one", "two-shapes")
    page = made / "reports/compare/one-two-shapes/index.html"
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom",
         f"--user-data-dir={made / 'browser'}", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "B is better by" in done.stdout
    assert done.stdout.count('type="range"') == done.stdout.count('class="viewer"') > 0
    assert "Refused to" not in done.stderr, "the page's own policy lets it work"


# refusals


def test_refusals_are_one_line_with_the_reason(made: Path) -> None:
    assert "use one of two-shapes, two-again" in refusal(made, "one", "two")
    assert "did you mean 'one-shapes'" in refusal(made, "one-shape", "two-shapes")
    assert "two-again: reports/systems/two-again: is no report" in refusal(made, "one", "two-again")
    assert "did you mean 'psnr'" in refusal(made, "one", "two-shapes", "--metric", "psrn")
    assert "both sides have a pair" in refusal(made, "one", "two-shapes", "--pair", "one-shapes")


def test_other_test_shards_are_refused(made: Path) -> None:
    other = made / "reports/systems/two-shapes"
    metrics = json.loads((other / "metrics.json").read_text())
    (other / "metrics.json").write_text(json.dumps(metrics | {"test_sha256": "f" * 64}))
    assert "one and two-shapes: were measured on other test shards: " in refusal(
        made, "one", "two-shapes"
    )
    (other / "metrics.json").write_text(json.dumps({"recipe": "shapes"}))
    assert "tells no fingerprint" in refusal(made, "one", "two-shapes")


# revisions and experiments


class Repository:
    """A project under git and dvc: the tag `first`, where `one` leaves noise of 20; the commit on
    top of it, where it leaves 12; and the experiment `quiet`, where it leaves 5."""

    def __init__(self, folder: Path) -> None:
        self.folder = project_of(folder, "made")
        (folder / "dvc.yaml").write_text(PIPELINE)
        (folder / ".gitignore").write_text("/data/\n/reports/compare/\n")
        self.run("git", "init", "-q")
        self.dvc("init", "-q")
        self.make("first")
        self.run("git", "tag", "first")
        self.evaluate(12)
        self.make("second")
        self.evaluate(5)
        self.dvc("repro", "-q")
        self.dvc("exp", "save", "-q", "-n", "quiet")
        self.run("git", "checkout", "-q", ".")
        self.dvc("checkout", "-q")

    def evaluate(self, strength: float) -> None:
        home = self.folder / "made/one-shapes"
        fingerprint = json.loads((home / "metrics.json").read_text())["test_sha256"]
        write_evaluation(home, restore(strength), fingerprint)

    def make(self, message: str) -> None:
        self.dvc("repro", "-q")
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "-m", message)

    def dvc(self, *words: str) -> str:
        return self.run(str(Path(sys.prefix) / "bin/dvc"), *words)

    def run(self, *words: str) -> str:
        who = {"GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.com",
               "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.com"}  # fmt: skip
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, text=True, timeout=300,
            env={**os.environ, "DVC_NO_ANALYTICS": "1", **who},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def gain(self, *words: str) -> float:
        """What `compare` finds, in dB; nothing else may change."""
        before = self.run("git", "status", "--short") + self.run("git", "rev-parse", "HEAD")
        shutil.rmtree(self.folder / "reports/compare", ignore_errors=True)
        compare(self.folder, *words)
        after = self.run("git", "status", "--short") + self.run("git", "rev-parse", "HEAD")
        assert after == before, "nothing is checked out"
        (found,) = self.folder.glob("reports/compare/*/comparison.json")
        return json.loads(found.read_text())["metrics"]["psnr"]["difference"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return Repository(tmp_path_factory.mktemp("repository"))


@pytest.mark.slow
@pytest.mark.parametrize(("words", "ratio"), [
    (("first", "HEAD", "--pair", "one-shapes"), 20 / 12),
    (("first:one-shapes", "HEAD:one-shapes"), 20 / 12),
    (("HEAD~1:one-shapes", "quiet:one-shapes"), 20 / 5),
    (("quiet", "first", "--pair", "one-shapes"), 5 / 20),
    (("first:one-shapes", "HEAD:two-shapes"), 20 / 10),
    (("first", "one-shapes"), 20 / 12),
])  # fmt: skip
def test_revisions_and_experiments_are_read_where_they_are(
    repository: Repository, words: tuple[str, ...], ratio: float
) -> None:
    assert repository.gain(*words) == pytest.approx(20 * math.log10(ratio), abs=0.6)


@pytest.mark.slow
def test_a_revision_is_told_by_its_commit_and_its_pictures_are_found(
    repository: Repository,
) -> None:
    told = compare(repository.folder, "first", "one").stdout
    commit = repository.run("git", "rev-parse", "first").strip()[:9]
    assert f"A: one-shapes at first ({commit})\nB: one-shapes\nB is better by 4." in told
    assert "note:" not in told
    page = (repository.folder / "reports/compare/first-one/index.html").read_text()
    assert page.count('data-name="difference ×4"') == page.count('data-name="damaged"') > 0


@pytest.mark.slow
def test_revisions_are_refused_with_what_to_do(repository: Repository, tmp_path: Path) -> None:
    def refused(*words: str, folder: Path = repository.folder) -> str:
        done = compare(folder, *words, check=False)
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr

    assert "have 2 pairs in common; name one with --pair: one-shapes, two" in refused(
        "first", "HEAD"
    )
    assert "is no pair of params.yaml and no revision (unknown Git revision" in refused(
        "one", "frist"
    )
    assert "unknown Git revision 'frist'" in refused("frist:one-shapes", "one")
    assert "reports/systems/three: is no report; evaluate it, or name another pair: one-shapes" in (
        refused("first:three", "one")
    )
    clone = tmp_path / "clone"
    repository.run("git", "clone", "-q", str(repository.folder), str(clone))
    told = refused("first:one-shapes", "HEAD:one-shapes", folder=clone)
    assert "rows.csv at first: is not in DVC's cache; run `dvc fetch" in told
