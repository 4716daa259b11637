"""The params of the repository, broken in every way: each broken key is told in one line of its
own, with its rule and its value."""

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.complaints import did_you_mean, spell
from pipeline.errors import ParamsError, SectionError
from stages.validity import validate_params
from tests.conftest import ROOT, load_yaml

PARAMS = load_yaml(ROOT / "params.yaml")
STEP, TRAIN = "recipes.shapes.steps.0", "train.aged_unet"
FIT = f"{TRAIN}.phases.fit"
RATES = f"{FIT}.optimizers.restorer.schedule"


def broken(*changes: tuple[str, Any]) -> list[str]:
    """What is complained of when the keys of the params hold other values; ... removes one."""
    params = copy.deepcopy(PARAMS)
    for path, value in changes:
        *way, last = [int(word) if word.isdigit() else word for word in path.split(".")]
        node: Any = params
        for word in way:
            node = node[word]
        if value is ...:
            del node[last]
        else:
            node[last] = value
    return [line for problem in validate_params(ROOT, params) for line in problem.lines]


def test_the_params_of_the_repository_break_no_rule() -> None:
    assert broken() == []


# (key, value, what must be said of it)
RULES: list[tuple[str, Any, str]] = [
    ("index.val_share", 1.0, "must be less than 1, not 1.0"),
    ("index.val_share", -0.1, "must be at least 0, not -0.1"),
    ("index.max_megapixels", 0.0, "must be more than 0, not 0.0"),
    ("index.max_megapixels", "80", "must be a number, not '80'; remove the quotes"),
    ("index.max_megapixels", 1e9, "must be at most 10000, not 1000000000.0"),
    ("textures.num_overlays", 10**8, "must be at most 10000, not 100000000"),
    ("textures.size", 65_536, "must be at most 4096, not 65536"),
    ("synthesis.photos_per_group", 0, "must be at least 1, not 0"),
    ("synthesis.samples_per_shard", 10**9, "must be at most 100000, not 1000000000"),
    ("recipes.shapes.photo_side_range", [2, 3], "must reach the side of the smallest tile, 128 "),
    ("recipes.shapes.photo_side_range", [200, 10**6], ".1 must be at most 16384, not 1000000"),
    ("recipes.shapes.photo_side_range", [200.0, 300], ".0 must be a whole number, not 200.0"),
    ("recipes.shapes.undamaged_share", 1.5, "must be at most 1, not 1.5"),
    ("recipes.shapes.profile", "pgn", "must be one of png, jpeg, story, not 'pgn'; did you mean "),
    ("recipes.shapes.train.side", 10**6, "must be at most 16384, not 1000000"),
    ("recipes.shapes.train.per_photo", 10**7, "must be at most 100000, not 10000000"),
    ("recipes.shapes.sources", "sample", "must be a list, not 'sample'"),
    ("recipes.shapes.steps", {}, "must be a list, not {}"),
    (f"{STEP}.probability", True, "must be a number, not true"),
    (f"{STEP}.on", "output", "must be one of input, both, not 'output'"),
    (f"{STEP}.num_range", [1, 10**9], ".1 must be at most 10000, not 1000000000"),
    (f"{STEP}.num_range", [-1, 2], ".0 must be at least 0, not -1"),
    (f"{STEP}.num_range", [3, 2], "must go from low to high, not [3, 2]"),
    (f"{STEP}.num_range", [True, 2], ".0 must be a whole number, not true"),
    (f"{STEP}.num_range", None, "must be a list, not null"),
    (f"{STEP}.size_range", [0.0, 0.5], ".0 must be more than 0, not 0.0"),
    (f"{STEP}.size_range", [0.5, 901], ".1 must be at most 4, not 901; write a share of the photo"),
    (f"{STEP}.size_range", [0.5], "must be a list of two values, low and high, not [0.5]"),
    (f"{STEP}.opacity_range", [0.5, 2], ".1 must be at most 1, not 2"),
    (f"{STEP}.fills", [], "must hold at least one value, not []"),
    (
        f"{STEP}.fills",
        ["colour"],
        ".0 must be one of color, black, white, noise, not 'colour'; did",
    ),
    (f"{FIT}.steps", "many", "must be a whole number, not 'many'"),
    (f"{FIT}.steps", 10**12, "must be at most 1000000000, not 1000000000000"),
    (f"{TRAIN}.recipe", 7, "must be text, not 7; put it in quotes"),
    (f"{FIT}.optimizers.restorer.lr", 0, "must be more than 0, not 0"),
    (f"{FIT}.optimizers.restorer.clip_norm", 1e9, "must be at most 1e+06, not 1000000000.0"),
    (f"{FIT}.optimizers", [], "must be a map of names, not []"),
    (RATES, "cosine", "must be a map of keys, not 'cosine'"),
    (f"{RATES}.warmup_steps", -1, "must be at least 0, not -1"),
    (f"{RATES}.gamma", 0.5, "must be left out for cosine, not 0.5"),
    (f"{TRAIN}.stream.crop", 10**6, "must be at most 16384, not 1000000"),
    (f"{TRAIN}.stream.batch_size", 10**6, "must be at most 100000, not 1000000"),
    ("systems.dual_decoder.widths", [10**6], ".0 must be at most 8192, not 1000000"),
    ("systems.dual_decoder.num_blocks", 1000, "must be at most 100, not 1000"),
    ("systems.dual_decoder.threshold", 1.0, "must be less than 1, not 1.0"),
    ("systems.aged_unet.bottleneck", [], "must hold at least one value, not []"),
    ("evaluate.aged_unet-aged.baselines", "median", "must be a list, not 'median'"),
    ("seed", -1, "must be a whole number from 0 up, not -1"),
    ("seed", True, "must be a whole number from 0 up, not true"),
    ("sources", ["sample"], "must be a map of names, not ['sample']"),
    ("train.aged_unet", None, "must be a map of keys, not null"),
    ("sources.folder.path", 5, "must be text, not 5"),
    ("synth.shapes.reads", "grain.py", "must be a list of paths, not 'grain.py'"),
]


@pytest.mark.parametrize(("key", "value", "said"), RULES)
def test_a_broken_rule_is_one_line_of_key_rule_and_value(key: str, value: Any, said: str) -> None:
    (line,) = broken((key, value))
    assert line.startswith(f"params: {key}{'' if said.startswith('.') else ' '}{said}"), line
    assert "\n" not in line and line.count("; ") == 1 and "Input" not in line


NAMES: list[tuple[str, Any, str]] = [
    (f"{STEP}.opacty_range", [0.1, 1.0], "is an unknown key; did you mean 'opacity_range'?"),
    ("recipes.shapes.zzz", 1, "is an unknown key; remove it"),
    (f"{RATES}.gama", 1.0, "is an unknown key; did you mean 'gamma'?"),
    ("index.val_share", ..., "is missing; add it"),
    (f"{STEP}.fills", ..., "is missing; add it"),
    ("recepies", {}, "is an unknown section; did you mean 'recipes'?"),
    ("zzz", {}, "is an unknown section; remove it"),
]


@pytest.mark.parametrize(("key", "value", "said"), NAMES)
def test_an_unknown_or_missing_key_is_one_line(key: str, value: Any, said: str) -> None:
    assert broken((key, value)) == [f"params: {key} {said}"]


def test_unknown_families_systems_and_sources_are_told_by_their_place() -> None:
    (line,) = broken((f"{STEP}.family", "shaeps"))
    assert line.startswith(f"params: {STEP}.family: corruption 'shaeps': is not known; use one of")
    assert line.endswith("did you mean 'shapes'?")
    (line,) = broken(("sources.foldr", {}))
    assert line.startswith("source 'foldr': is not known; use one of art, div2k, folder")
    assert line.endswith("did you mean 'folder'?")
    assert any(
        "system 'gray_unet': is not known" in one for one in broken(("systems.gray_unet", {}))
    )


def test_a_renamed_key_is_told_once_as_what_it_seems_to_be() -> None:
    step = PARAMS["recipes"]["shapes"]["steps"][0]
    lines = broken((f"{STEP}.fill", step["fills"]), (f"{STEP}.fills", ...))
    assert lines == [f"params: {STEP}.fill is an unknown key; did you mean 'fills'?"]


def test_several_broken_keys_are_a_line_each() -> None:
    lines = broken((f"{STEP}.fills", ["colour", "blak"]), (f"{FIT}.steps", 0), ("index.zz", 1))
    assert [line.split()[1] for line in lines] == [
        "index.zz", f"{STEP}.fills.0", f"{STEP}.fills.1", f"{FIT}.steps"
    ]  # fmt: skip


def test_shares_that_leave_nothing_to_train_on_are_told_at_their_key() -> None:
    (line,) = broken(("index.val_share", 0.5), ("index.test_share", 0.5))
    assert line.startswith("params: index.test_share must leave, with val_share, something for")


def test_complaints_cross_process_borders_whole() -> None:
    error = SectionError("params", [("a must be b, not c", "mend it"), ("d is missing", "add it")])
    again = copy.deepcopy(error)  # rebuilds it as a process that gets it does
    assert isinstance(again, ParamsError) and again.lines == error.lines
    assert again.lines == ["params: a must be b, not c; mend it", "params: d is missing; add it"]
    assert (
        str(again) == " | ".join(again.lines) and again.what == "a must be b, not c | d is missing"
    )


def test_values_are_spelled_as_in_yaml_and_cut() -> None:
    assert spell({"a": [None, True, False, 1.5, "x"]}) == "{a: [null, true, false, 1.5, 'x']}"
    assert spell("é" * 100) == "'" + "é" * 56 + "..."
    assert did_you_mean("grian", ["grain", "blur"]) == ", did you mean 'grain'?"
    assert did_you_mean("zzzz", ["grain"]) == ""


def test_the_command_prints_a_line_a_complaint(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    text = text.replace("max_megapixels: 80.0", "max_megapixels: 0\n  zzz: 1")
    (project / "params.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "stages.check"], cwd=project, capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: params: index.max_megapixels must be more than 0, not 0; mend params.yaml "
        "(`patina check` looks again)",
        "error: params: index.zzz is an unknown key; remove it",
    ]
