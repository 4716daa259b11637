"""`patina results`: what every evaluated pair reached, beside what was to be reached, and what its
training cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import PARAMS, command, make_app, project_root, read_params, say
from stages.costs import cost_of
from stages.preset import OUTSIDE, make_active

if TYPE_CHECKING:
    from pipeline.evaluation import EvaluateSection
    from pipeline.results import Pair

REPORTS, CALLED = "reports/systems", "reports/results"


@command
def results(
    out: Annotated[Path | None, typer.Option(help="Where to put the Markdown as well.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="Make this preset active and run all that it asks for before."),
    ] = None,
    photos: Annotated[
        Path | None,
        typer.Option(envvar=OUTSIDE, help="Photos for the preset, in place of its own."),
    ] = None,
) -> None:
    """Gather all reports and costs into reports/results.md and .json."""
    from pipeline.config import read_seed, section
    from pipeline.errors import ParamsError
    from pipeline.evaluation import EvaluateSection
    from pipeline.files import write_json, write_text
    from pipeline.results import build
    from pipeline.results.text import to_markdown

    root = project_root()
    if preset is not None:
        _run_preset(root, preset, photos)
    elif photos is not None and os.environ.get(OUTSIDE) != str(photos):
        raise ParamsError("--photos", "are for a preset", "name one with --preset")
    params = read_params(root)
    names = list(params["evaluate"])
    there = [name for name in names if (root / REPORTS / name / "rows.csv").is_file()]
    if not there:
        raise ParamsError(root / REPORTS, "holds no report", "run `./run demo` or `dvc repro`")
    pairs = []
    for name in there:
        block = section(params, f"evaluate.{name}", EvaluateSection)
        pairs.append(_read(root, params, name, block))
    found = build(pairs, read_seed(params))
    missing = [name for name in names if name not in there]
    text = to_markdown(found, missing)
    write_json(root / f"{CALLED}.json", found | {"missing": missing})
    for path in [root / f"{CALLED}.md", *([out] if out else [])]:
        write_text(path, text)
    _tell(found, missing)
    say(str(out or root / f"{CALLED}.md"))


def _read(root: Path, params: dict[str, Any], name: str, block: EvaluateSection) -> Pair:
    """A pair's report, and what there is to know of its making."""
    from pipeline.checkpoint import MADE_OF
    from pipeline.comparison.sides import read_side
    from pipeline.files import sha256_file
    from pipeline.results import Pair
    from pipeline.runs import BEST

    side = read_side(name, name, None, lambda path: (root / path).read_bytes(), f"{REPORTS}/{name}")
    weights, sha256 = root / "models" / block.system / BEST, side.subject.get("weights_sha256")
    measured = weights.is_file() and sha256_file(weights) == sha256  # or others lie there now
    made_of = _load(weights.with_name(MADE_OF)) if measured else {}
    history = _load(root / "reports/training" / block.system / "history.json") if measured else []
    own = made_of.get(f"systems.{block.system}", params["systems"].get(block.system, {}))
    return Pair(
        side,
        block.system,
        block.kind,
        own,
        _count_parameters(weights) if measured else None,
        history[-1]["step"] if history else None,
        cost_of(root, f"train-{block.system}", str(sha256)),
        cost_of(root, f"evaluate-{name}", str(sha256)),
    )


def _count_parameters(weights: Path) -> int:
    """Of what restores: critics teach alone."""
    from pipeline.checkpoint import load_system
    from pipeline.systems import count_parameters

    _, system = load_system(weights)
    groups = [system.groups(phase) for phase in system.phases]
    critics = {id(one): one for group in groups for name, one in group.items() if name == "critic"}
    return count_parameters(system) - sum(map(count_parameters, critics.values()))


def _load(path: Path) -> Any:
    """JSON that a training leaves beside its weights; of weights from elsewhere, nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _run_preset(root: Path, preset: str, photos: Path | None) -> None:
    """Activate it, unless it is, and let dvc make all that is out of date; each as a user would."""
    from pipeline.errors import ParamsError

    _, text = make_active(root, preset, photos)
    steps = [["dvc", "repro"]]
    if text != (root / PARAMS).read_text(encoding="utf-8"):
        if _is_edited(root):
            what = "has changes that git does not hold, and the preset would write over them"
            raise ParamsError(root / PARAMS, what, "commit or undo them, or leave --preset out")
        own = ["--photos", str(photos)] if photos else []
        steps.insert(0, ["stages", "preset", preset, *own])
    for words in steps:
        done = subprocess.run([sys.executable, "-m", *words], cwd=root, check=False)
        if done.returncode:
            raise typer.Exit(done.returncode)


def _is_edited(root: Path) -> bool:
    """Does params.yaml differ from what git holds? A folder without git holds nothing to lose."""
    try:
        told = subprocess.run(
            ["git", "status", "--porcelain", "--", PARAMS],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return False
    return bool(told.stdout.strip())


def _tell(found: dict[str, Any], missing: list[str]) -> None:
    """How many aims were reached, in a line, and what is not there."""
    asked = [one for one in found["aims"] if one["reached"] is not None]
    won = [one for one in found["duels"] if one["verdict"] == "better"]
    reached = sum(one["reached"] for one in asked)
    say(
        f"{len(found['pairs'])} pairs; {reached} of {len(asked)} aims reached; "
        f"restorer wins {len(won)} of {len(found['duels'])} comparisons"
    )
    if missing:
        say(f"without a report: {', '.join(missing)} (`patina evaluate PAIR`)")


app = make_app(results, "results")
if __name__ == "__main__":
    app()
