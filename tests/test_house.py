"""The house keeps its walls: who imports whom, what dvc.yaml knows of the code."""

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.closure import direct_imports, import_closure
from stages.recipes import family_files
from tests.conftest import ROOT, load_yaml

# room: (the rooms of pipeline/ that it may import). Those that are OPEN, all may.
WALLS = {
    "errors": "",
    "complaints": "",
    "config": "",
    "seeds": "",
    "files": "",
    "png": "",
    "images": "",
    "photos": "images",
    "photo_encoding": "photos images",
    "reading": "photos files",
    "entries": "",
    "archives": "entries files",
    "transport": "",
    "downloads": "transport files",
    "sources": "downloads archives files images photos reading",
    "splits": "images photos reading",
    "twins": "images",
    "grouping": "images",
    "claims": "grouping images",
    "candidates": "splits twins reading executors images photos files",
    "indexing": "candidates claims splits twins grouping executors images files",
    "corruptions": "images png files",
    "textures": "images",
    "samples": "png images files",
    "addresses": "transport",
    "shards": "samples files addresses",
    "tiling": "splits images files",
    "given": "samples splits tiling reading images photos",
    "cards": "shards splits files",
    "executors": "",
    "ray_executor": "executors files",
    "url_store": "synthesis samples shards tiling files",
    "synthesis": "samples shards splits images files tiling executors",
    "folders": "synthesis tiling samples shards png files",
    "inspection": "corruptions samples shards images files pages themes",
    "pages": "images themes",
    "augmentation": "",
    "stream": "samples shards augmentation files addresses",
    "losses": "",
    "fidelity": "",
    "metrics": "fidelity images losses",
    "systems": "losses fidelity",
    "schedules": "muon",
    "muon": "",
    "validation": "systems stream samples fidelity images",
    "checkpoint": "systems files",
    "precision": "",
    "run_state": "checkpoint precision",
    "ranks": "",
    "runs": "systems stream samples checkpoint schedules precision validation ranks",
    "guards": "",
    "averages": "",
    "turns": "systems stream schedules precision run_state runs guards averages",
    "trainer": "systems stream samples checkpoint schedules precision run_state runs validation "
    "guards averages turns",
    "training": "run_state runs trainer",
    "rows": "fidelity metrics",
    "statistics": "",
    "breakdown": "rows statistics",
    "answers": "systems samples validation fidelity images",
    "evaluation": "systems samples shards metrics fidelity validation answers rows images files",
    "showcase": "answers samples validation rows images themes",
    "themes": "",
    "report": "rows breakdown statistics metrics images pages plots themes",
    "plots": "rows images themes",
    "revisions": "",
    "comparison": "breakdown statistics rows images pages metrics",
    "mining": "answers corruptions fidelity images rows samples shards statistics systems themes "
    "validation",
    "results": "comparison report rows statistics metrics",
    "literature": "corruptions fidelity images photos reading restore splits systems twins",
    "restore": "systems images photos",
}
OPEN = {"errors", "complaints", "config", "seeds"}


def room_of(file: str) -> str:
    """``pipeline/systems/blocks.py`` → ``systems``."""
    return Path(file).parts[1].removesuffix(".py")


def pipeline_files() -> list[str]:
    """Every module of the library but the package's own doc."""
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "pipeline").rglob("*.py")]
    return sorted(set(files) - {"pipeline/__init__.py"})


@pytest.mark.parametrize("file", pipeline_files())
def test_rooms_import_only_what_they_may(file: str) -> None:
    room = room_of(file)
    allowed = {room, *OPEN, *WALLS[room].split()}
    imported = direct_imports(ROOT, file)
    assert not [path for path in imported if path.startswith("stages/")]
    strangers = {room_of(path) for path in imported if path != "pipeline/__init__.py"} - allowed
    assert not strangers, f"{file} must not import {strangers}"


@pytest.mark.parametrize("room", ["corruptions", "textures", "sources", "splits", "synthesis"])
def test_damage_is_made_without_torch(room: str) -> None:
    code = (
        f"import sys, pipeline.{room}; from pipeline.corruptions import CORRUPTIONS;"
        "CORRUPTIONS.names(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def imported_names(path: Path) -> set[str]:
    """Every module and name that a file imports, at any depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def called_names(path: Path) -> set[str]:
    """Every dotted name that a file calls."""
    calls = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Call)]
    return {ast.unparse(call.func) for call in calls}


SOURCES = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_unsafe_is_called(path: Path) -> None:
    assert not imported_names(path) & {"pickle", "yaml", "random", "shelve", "marshal"}
    banned = {"eval", "exec", "os.system", "torch.load", "cv2.imread", "cv2.imwrite", "os.rename"}
    if path.name == "perceptual.py":  # the wheel's weights are a pickle; their hash is known
        banned.remove("torch.load")
    assert not called_names(path) & banned
    if path.name != "seeds.py":
        assert not re.search(r"\bnp\.random\.(?!Generator\b)\w", path.read_text("utf-8"))


def test_one_home_for_albumentations() -> None:
    users = [
        path.name
        for path in SOURCES
        if any(name.split(".")[0] == "albumentations" for name in imported_names(path))
    ]
    assert users == ["augmentation.py"]


def test_files_open_with_a_sentence() -> None:
    for path in SOURCES:
        doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert doc and doc.split("\n\n")[0].rstrip().endswith((".", "?")), path


def test_public_functions_are_documented_and_typed() -> None:
    for path in SOURCES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{path.name}: {node.name} says nothing"
                assert node.returns is not None, f"{path.name}: {node.name} has no return type"


# dvc.yaml against the code

DVC = load_yaml(ROOT / "dvc.yaml")["stages"]
SOURCES_HOME = ROOT / "pipeline/sources"
PARAMS = load_yaml(ROOT / "params.yaml")


# Shared layers and losses: every system may use them, so every training depends on them.
def layers() -> set[str]:
    """What several systems are built from: deps of every training, since a `foreach` has one list
    of deps for all its items."""
    from pipeline.systems import SYSTEMS

    own = {f"pipeline/systems/{name}.py" for name in (*SYSTEMS.names(), "baselines")}
    rooms = [*ROOT.glob("pipeline/systems/*.py"), *ROOT.glob("pipeline/losses/*.py")]
    return {path.relative_to(ROOT).as_posix() for path in rooms} - own


def stage_instances() -> list[tuple[str, str, dict]]:
    """(stage, item, its deps with places filled in) for each stage that dvc would run."""
    found = []
    for name, body in DVC.items():
        if "foreach" not in body:
            found.append((name, "", body))
            continue
        items = PARAMS[body["foreach"].strip("${}")]
        for key, item in items.items():
            found.append(
                (name, key, {"deps": [fill(dep, key, item) for dep in body["do"]["deps"]]})
            )
    return found


def fill(text: str, key: str, item: dict) -> str:
    """DVC's ``${key}``, ``${item.x}`` and ``${item.x[0]}``."""
    text = text.replace("${key}", key)
    text = re.sub(r"\$\{item\.(\w+)\[(\d+)\]\}", lambda m: item[m[1]][int(m[2])], text)
    text = re.sub(r"\$\{item\.(\w+)\[(\d+)\]\.(\w+)\}", lambda m: item[m[1]][int(m[2])][m[3]], text)
    return re.sub(r"\$\{item\.(\w+)\}", lambda m: item[m[1]], text)


def named_code(stage: str, key: str) -> list[str]:
    """The files that a stage loads by a name in params; of sources, all that params may name."""
    if stage == "fetch":
        return sorted(path.relative_to(ROOT).as_posix() for path in SOURCES_HOME.glob("*.py"))
    if stage in ("synth", "inspect"):
        from pipeline.corruptions import Recipe

        return family_files(Recipe.load(PARAMS, key, None))
    if stage in ("train", "evaluate"):
        return [f"pipeline/systems/{PARAMS[stage][key]['kind']}.py"]
    return []


@pytest.mark.parametrize(("stage", "key", "body"), stage_instances(), ids=lambda v: str(v)[:30])
def test_dvc_deps_are_the_import_closure(stage: str, key: str, body: dict) -> None:
    code = {dep for dep in body["deps"] if dep.endswith(".py")}
    closure = set(import_closure(ROOT, f"stages/{stage}.py", *named_code(stage, key)))
    if stage in ("train", "evaluate"):
        closure |= layers()
    assert sorted(code) == sorted(closure)


def test_dvc_synth_has_a_place_for_every_read() -> None:
    for stage in ("synth", "inspect"):
        places = [dep for dep in DVC[stage]["do"]["deps"] if "reads" in dep]
        for key, item in PARAMS["synth"].items():
            assert len(item["reads"]) == len(places), f"synth.{key}.reads: {len(places)} places"


def test_params_of_the_repository_are_valid() -> None:
    from pipeline.config import load_params
    from stages.validity import validate_params

    assert validate_params(ROOT, load_params(ROOT / "params.yaml")) == []


# the commands

COMMANDS = ["fetch", "index", "textures", "synth", "train", "evaluate", "leaderboard", "restore",
"preview", "show", "check", "inspect", "lift", "preset", "compare", "results", "benchmark",
"mine"]  # fmt: skip


def test_help_lists_every_command_and_is_quick() -> None:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "stages", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    seconds = time.perf_counter() - start
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert seconds < 3.0  # ten times its figure; benchmarks measure it


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    from typer.testing import CliRunner

    from stages.__main__ import app

    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0 and "Usage" in done.stdout


def test_no_words_of_elsewhere() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    banned = re.compile(r"/(?:work|farm)/|pypi\.org|files\.pythonhosted")
    for name in listed:
        path = ROOT / name
        if path.suffix in (".py", ".md", ".yaml", ".toml", ".txt", "") and path.is_file():
            assert not banned.search(path.read_text(encoding="utf-8", errors="ignore")), name
