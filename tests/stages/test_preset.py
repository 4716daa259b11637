"""`patina preset`: what it changes in params.yaml, what it leaves, and what it refuses."""

import re
import subprocess
from pathlib import Path

import pytest

from stages.preset import preset_names
from stages.validity import validate_params
from tests.conftest import ROOT, load_yaml, run_stage, write_params
from tests.pipeline.test_sources import photo, put

pytestmark = pytest.mark.slow

SIX = ["aged_unet", "defect_unet", "dual_decoder", "restorer", "skip_vae", "three_stage"]
OUTSIDE, WEIGHTS = "PATINA_PHOTOS", "PATINA_REFERENCE_WEIGHTS"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's own params, and no photos from outside."""
    for name in (OUTSIDE, WEIGHTS):
        monkeypatch.delenv(name, raising=False)
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "data/inbox").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for part in ("train/open", "art"):
        put(tmp_path / "photos" / part / "a.png", photo(1))
    return tmp_path


def preset(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run_stage(project, "preset", *words, check=False)


def params(project: Path) -> dict:
    return load_yaml(project / "params.yaml")


def comments(text: str) -> list[str]:
    return re.findall(r"#.*", text)


def test_the_presets_are_those_that_the_docs_name() -> None:
    assert preset_names() == ["all", "art", "div2k", "published", "results"]
    docs = (ROOT / "docs/systems.md").read_text(encoding="utf-8")
    assert all(f"patina preset {name} " in docs for name in preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_activates_all_six_and_is_valid(project: Path, name: str) -> None:
    before = (project / "params.yaml").read_text(encoding="utf-8")
    done = preset(project, name, "--photos", str(project / "photos"))
    assert done.returncode == 0, done.stderr
    assert all(system in done.stdout for system in SIX)
    made = params(project)
    kinds = {key: block["kind"] for key, block in made["train"].items()}
    assert sorted(set(kinds.values())) == SIX and set(SIX) <= set(kinds)
    assert set(made["systems"]) == set(kinds)
    assert {block["system"] for block in made["evaluate"].values()} == set(kinds)
    assert all(kinds[block["system"]] == block["kind"] for block in made["evaluate"].values())
    measured = {block["recipe"] for block in made["evaluate"].values()}
    mixed = {one["recipe"] for block in made["train"].values() for one in block["mix"]}
    assert measured | mixed == set(made["synth"])
    assert validate_params(project, made) == []
    text = (project / "params.yaml").read_text(encoding="utf-8")
    assert "&" not in text, "no aliases"
    missing = set(comments(before)) - set(comments(text))
    assert not missing
    unchanged = [one for one in made if one not in ("sources", "recipes", "synth", "systems",
                                                    "train", "evaluate")]  # fmt: skip
    assert {one: made[one] for one in unchanged} == {
        one: load_yaml(ROOT / "params.yaml")[one] for one in unchanged
    }


def test_all_adds_to_the_repositorys_params_and_takes_nothing_away(project: Path) -> None:
    before = (project / "params.yaml").read_text(encoding="utf-8").splitlines()
    assert preset(project, "all").returncode == 0
    after = iter((project / "params.yaml").read_text(encoding="utf-8").splitlines())
    assert all(line in after for line in before), "every line is still there, in its order"


@pytest.mark.long
def test_what_a_preset_makes_does_not_depend_on_the_one_before(project: Path) -> None:
    photos = ["--photos", str(project / "photos")]
    made = {}
    for word in ("published", "all", "div2k", "published", "art", "all"):
        assert preset(project, word, *photos).returncode == 0
        found = params(project)
        del found["sources"]  # one that was added stays
        found["recipes"] = {recipe: found["recipes"][recipe] for recipe in found["synth"]}
        assert made.setdefault(word, found) == found


def test_photos_from_outside_are_those_that_the_preset_is_for(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OUTSIDE, str(project / "photos"))
    for name, part in (("all", "train/open"), ("art", "art")):
        assert preset(project, name).returncode == 0
        assert params(project)["sources"]["folder"]["path"] == str(project / "photos" / part)
        assert params(project)["recipes"]["distorted"]["sources"] == ["folder"]


def test_weights_of_lpips_are_those_at_hand(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for folder in ("", "somewhere"):
        monkeypatch.setenv(WEIGHTS, folder)
        done = preset(project, "results", "--photos", str(project / "photos"))
        assert done.returncode == (1 if folder else 0)  # there are none in that folder
        found[folder] = (params(project)["evaluate"]["dual_decoder-shapes"]["lpips"], done.stderr)
    assert found[""][0] == found["somewhere"][0] == "official"
    assert "somewhere/alexnet_lpips_fp16.safetensors: cannot be read" in found["somewhere"][1]


def test_sizes_are_as_published(project: Path) -> None:
    from pipeline.systems import count_parameters, make_system

    assert preset(project, "published").returncode == 0
    made = params(project)
    sizes = {name: count_parameters(make_system(name, made, 7)[0]) for name in SIX}
    assert sizes["dual_decoder"] == 19_192_068
    assert sizes["skip_vae"] == 18_371_523
    assert sizes["aged_unet"] == 924_369
    assert sizes["restorer"] <= 7_500_000
    assert made["train"]["aged_unet"]["recipe"] == "aged_published"
    assert not any(made["systems"]["defect_unet"]["skips"])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["publishd"], "preset 'publishd': is not known; use one of all, art, div2k, published"),
        (["all", "--photos", "nowhere"], "--photos nowhere: is no folder"),
        (["all", "--photos", "empty"], "--photos empty: holds no photos"),
    ],
)
def test_what_cannot_be_is_one_line_and_changes_nothing(
    project: Path, words: list[str], says: str
) -> None:
    before = (project / "params.yaml").read_bytes()
    done = preset(project, *words)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert says in done.stderr
    assert (project / "params.yaml").read_bytes() == before


def test_params_that_would_not_be_valid_are_not_written(project: Path) -> None:
    broken = params(project)
    broken["textures"]["size"] = -1
    write_params(project, broken)
    before = (project / "params.yaml").read_bytes()
    done = preset(project, "all")
    assert done.returncode == 1 and "textures.size" in done.stderr
    assert (project / "params.yaml").read_bytes() == before
