"""`patina compare` as a user meets it: what it prints and leaves behind, and how it refuses."""

import csv
import io
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.browser import browse
from tests.conftest import run_stage, tree
from tests.pipeline.compared import project_of, samples, write_test_shards

FILES = {"comparison.json", "differences.csv", "index.html"}


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


def test_a_browser_shows_the_page(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    compare(made, "one", "two-shapes")
    with browse(tmp_path_factory.mktemp("browser")) as tab:
        tab.open(made / "reports/compare/one-two-shapes/index.html")
        assert "B is better by" in tab.ask("document.body.innerText")
        sliders, viewers = (
            tab.ask(f"document.querySelectorAll('{one}').length")
            for one in ("input[type=range]", ".viewer")
        )
        assert sliders == viewers > 0
        assert not tab.complaints, "the page's own policy lets it work"


def test_each_question_has_a_folder_of_its_own(made: Path) -> None:
    compare(made, "one", "two-shapes")
    first = tree(made / "reports/compare")
    compare(made, "one", "two-shapes", "--metric", "ssim")
    compare(made, "one", "two-shapes", "--metric", "mse", "--picture", "prediction")
    names = {one.name for one in (made / "reports/compare").iterdir()}
    plain = "one-two-shapes"
    assert names == {plain, f"{plain}-ssim", f"{plain}-mse-prediction"}
    assert first.items() <= tree(made / "reports/compare").items()


# refusals


def test_refusals_are_one_line_with_the_reason(made: Path) -> None:
    assert "use one of two-shapes, two-again" in refusal(made, "one", "two")
    assert "did you mean 'one-shapes'" in refusal(made, "one-shape", "two-shapes")
    assert "two-again: reports/systems/two-again: is no report" in refusal(made, "one", "two-again")
    assert "did you mean 'psnr'" in refusal(made, "one", "two-shapes", "--metric", "psrn")
    assert "'': is no pair, system or revision" in refusal(made, "", "one")
    assert "'HEAD:': is no pair" in refusal(made, "HEAD:", "one")
    assert "--pair '': is no name" in refusal(made, "one", "HEAD", "--pair", "")
    assert "both sides have a pair" in refusal(made, "one", "two-shapes", "--pair", "one-shapes")


def test_a_report_of_an_older_version_is_told_and_not_offered(made: Path) -> None:
    old = made / "reports/systems/two-again"
    old.mkdir()
    (old / "metrics.json").write_text("{}")
    line = refusal(made, "one", "two-again")
    assert "two-again: was evaluated by an older version, which left no subject.json; run" in line
    assert line.endswith("or name another pair: one-shapes, two-shapes")


def test_other_test_shards_are_refused(made: Path) -> None:
    other = made / "reports/systems/two-shapes"
    subject = json.loads((other / "subject.json").read_text())
    (other / "subject.json").write_text(json.dumps(subject | {"test_sha256": "f" * 64}))
    assert "one and two-shapes: were measured on other test shards: " in refusal(
        made, "one", "two-shapes"
    )
    (other / "subject.json").write_text(json.dumps({"recipe": "shapes"}))
    assert "tells no fingerprint" in refusal(made, "one", "two-shapes")
