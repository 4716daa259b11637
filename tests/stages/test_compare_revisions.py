"""`patina compare` on what git and dvc hold: read where it is, nothing is checked out."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import run_stage
from tests.pipeline.compared import project_of, restore, write_evaluation

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
      - reports/systems/${item}/subject.json: {cache: false}
"""


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
        fingerprint = json.loads((home / "subject.json").read_text())["test_sha256"]
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
        run_stage(self.folder, "compare", *words)
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
    (("first", "HEAD", "--pair", "one"), 20 / 12),
    (("first:one", "one-shapes"), 20 / 12),
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
    told = run_stage(repository.folder, "compare", "first", "one").stdout
    commit = repository.run("git", "rev-parse", "first").strip()[:9]
    assert f"A: one-shapes at first ({commit})\nB: one-shapes\nB is better by 4." in told
    assert "note:" not in told
    page = (repository.folder / "reports/compare/first-one/index.html").read_text()
    assert page.count('data-name="difference ×4"') == page.count('data-name="damaged"') > 0


@pytest.mark.slow
def test_revisions_are_refused_with_what_to_do(repository: Repository, tmp_path: Path) -> None:
    def refused(*words: str, folder: Path = repository.folder) -> str:
        done = run_stage(folder, "compare", *words, check=False)
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
