"""`patina results` as a user meets it, and what a training leaves of its cost."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.files import sha256_file
from tests.conftest import load_yaml, run_stage, small_params, write_params
from tests.pipeline.compared import project_of
from tests.stages.test_train import prepare, run_until

NAMES = ("cpu_seconds", "wall_seconds")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Two evaluations that can be compared; a third pair was never evaluated."""
    folder = project_of(tmp_path)
    params = load_yaml(folder / "params.yaml")
    for block in params["evaluate"].values():
        block["lpips"] = None
    params["evaluate"]["two-shapes"]["kind"] = "restorer"
    write_params(folder, params)
    return folder


def results(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return run_stage(folder, "results", *words, check=check, PATINA_PHOTOS="")


def refusal(folder: Path, *words: str) -> str:
    """The one line of a refusal that leaves nothing behind."""
    done = results(folder, *words, check=False)
    assert done.returncode == 1 and not done.stdout, done.stdout
    assert not (folder / "reports/results.md").exists()
    (line,) = done.stderr.splitlines()
    return line


def test_it_gathers_what_there_is_and_names_what_is_not(made: Path) -> None:
    printed = results(made, "--out", str(made / "docs/results.md")).stdout.splitlines()
    assert printed[0] == "2 pairs; 0 of 0 aims reached; restorer wins 1 of 1 comparisons"
    assert printed[1].startswith("without a report: two-again")
    text = (made / "reports/results.md").read_text()
    assert text == (made / "docs/results.md").read_text()
    assert "| shapes | `two` : `one` |" in text and "left out: `two-again`" in text
    told = json.loads((made / "reports/results.json").read_text())
    assert [one["pair"] for one in told["pairs"]] == ["one-shapes", "two-shapes"]
    assert told["missing"] == ["two-again"] and told["pairs"][0]["training"] is None
    compared = run_stage(made, "compare", "one-shapes", "two-shapes").stdout
    assert f"{told['duels'][0]['difference'][0]:.2f} dB" in compared


def test_a_cost_belongs_to_the_weights_that_were_measured(made: Path) -> None:
    subject = made / "reports/systems/one-shapes/subject.json"
    told = json.loads(subject.read_text()) | {"weights_sha256": "ab"}
    subject.write_text(json.dumps(told))
    costs = made / ".work/costs/train-one.json"
    costs.parent.mkdir(parents=True)
    cost = {"cpu_seconds": 120, "wall_seconds": 60, "processor": "A CPU", "threads": 2}
    for weights, shown in (("ab", "2.0"), ("cd", "–")):
        costs.write_text(json.dumps({weights: cost}))
        results(made)
        text = (made / "reports/results.md").read_text()
        assert f"| `one` | aged_unet | – | – | {shown} |" in text
    costs.write_text("{torn")
    results(made)
    assert (made / "reports/results.md").read_text() == text


def test_refusals_are_one_line_that_tells_what_to_run(tmp_path: Path) -> None:
    write_params(tmp_path, small_params())
    assert "holds no report; run `./run demo` or `dvc repro`" in refusal(tmp_path)
    assert "preset 'reslts': is not known" in refusal(tmp_path, "--preset", "reslts")
    assert "name one with --preset" in refusal(tmp_path, "--photos", ".")


@pytest.mark.long
def test_a_preset_is_run_before_but_never_over_edits(made: Path) -> None:
    params = load_yaml(made / "params.yaml")
    write_params(made, params | {"evaluate": small_params()["evaluate"]})
    (made / "data/inbox").mkdir(parents=True)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", "-C", str(made)]
    for words in (["init", "-q"], ["add", "params.yaml"], ["commit", "-q", "-m", "small"]):
        subprocess.run([*git, *words], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], cwd=made, check=True)
    report = "reports/systems/dual_decoder-shapes"
    make = f"mkdir -p {report} && cp reports/systems/one-shapes/* {report}/"
    (made / "dvc.yaml").write_text(f"stages:\n  all:\n    cmd: {make}\n    deps: [params.yaml]\n")
    edited = (made / "params.yaml").read_text()
    (made / "params.yaml").write_text(edited + "# mine\n")
    assert "has changes that git does not hold" in refusal(made, "--preset", "all")
    assert (made / "params.yaml").read_text() == edited + "# mine\n"
    (made / "params.yaml").write_text(edited)
    for _ in range(2):  # the second time the preset's own edits are no reason to stop
        printed = results(made, "--preset", "all").stdout
        assert (
            "1 pairs" in printed
            and "| `dual_decoder-shapes` |" in (made / "reports/results.md").read_text()
        )


@pytest.mark.long
def test_a_training_s_cost_adds_up_over_kills_and_is_kept(tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    assert run_until(folder, "dual_decoder", 1) == -signal.SIGKILL
    (note,) = folder.glob(".work/train-dual_decoder/*/cost.json")
    killed = json.loads(note.read_text())
    assert not killed["finished"] and min(killed[name] for name in NAMES) > 0
    run_stage(folder, "train", "dual_decoder")
    path = folder / ".work/costs/train-dual_decoder.json"
    kept = path.read_bytes()
    weights = sha256_file(folder / "models/dual_decoder/best.safetensors")
    cost = json.loads(kept)[weights]
    assert all(cost[name] > killed[name] for name in NAMES)
    assert cost["threads"] == 1 and cost["processes"] == 1 and cost["processor"]
    assert not [one for one in (folder / "models").rglob("*") if "cost" in one.name]
    run_stage(folder, "train", "dual_decoder")
    assert path.read_bytes() == kept, "what was finished costs no more"
    run_stage(folder, "evaluate", "dual_decoder-shapes")
    assert json.loads((folder / ".work/costs/evaluate-dual_decoder-shapes.json").read_text())[
        weights
    ]
    results(folder)
    (told,) = json.loads((folder / "reports/results.json").read_text())["pairs"]
    assert told["training"] == cost and told["num_steps"] == 16 and told["num_parameters"] > 1000
