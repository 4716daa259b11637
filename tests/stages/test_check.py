"""`patina check` says what the next command would say, all of it, and no consequence of it."""

import sys
from pathlib import Path
from typing import Any

import pytest
from fsspec.registry import _registry

from pipeline.errors import PipelineError
from pipeline.sources import make_source, read_listing
from stages.validity import validate_params
from tests.conftest import Run, load_yaml, small_params, write_params
from tests.pipeline.test_sources import photo, put
from tests.stages.test_given import RECIPE

pytestmark = pytest.mark.slow

NO_READS = {"reads": ["pipeline/corruptions/__init__.py"] * 8}
ADDRESS = {"url": "", "sha256": "0" * 64, "split": None, "licence": None}


def lines(project: Path, params: dict[str, Any]) -> list[str]:
    """What is wrong with a project of these params."""
    return [line for one in validate_params(project, params) for line in one.lines]


@pytest.fixture
def params(project: Path) -> dict[str, Any]:
    return load_yaml(project / "params.yaml")


def block(name: str, path: str | None) -> dict[str, Any]:
    return {"path": path} if name == "art" else {"path": path, "licence": None}


@pytest.mark.parametrize(("name", "path", "said"), [
    ("folder", "/nonexistent", "source folder: /nonexistent: is no folder"),
    ("pairs", "data/pairs", "data/pairs: is no folder"),
    ("art", "absent.zip", "absent.zip: is no zip and no folder"),
    *((name, path, "holds, is, or lies in data/raw")
      for name in ("folder", "pairs", "art")
      for path in ("data", "data/raw", "data/raw/folder", "../", ".")),
])  # fmt: skip
def test_a_path_that_fetch_refuses_is_refused_by_check(
    project: Path, stage: Run, params: dict[str, Any], name: str, path: str, said: str
) -> None:
    params["sources"][name] = block(name, path)
    write_params(project, params)
    (told,) = lines(project, params)
    assert said in told
    done = stage("fetch", check=False)
    assert done.returncode == 1 and done.stderr == f"error: {told}\n"
    assert not (project / "data/raw").exists()


def test_art_without_kaggles_client_says_how_to_install_it(
    project: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as if it were not there
    params["sources"]["art"] = block("art", None)
    (told,) = lines(project, params)
    assert "python -m pip install -c constraints.txt -e '.[art]'" in told


def test_addresses_that_nothing_here_can_open_are_told(
    project: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not there
    for scheme in ("s3", "s3a"):  # what another test of this process may have loaded
        monkeypatch.delitem(_registry, scheme, raising=False)
    urls = ("s3://b/a.zip", "nosuch://b/a.zip", "https://b/a.zip", "S3://b/b.zip", "file:///a.zip")
    params["sources"]["url"] = {"files": [ADDRESS | {"url": url} for url in urls]}
    unknown, missing = lines(project, params)
    assert unknown.startswith("source url: nosuch://: is no kind of address")
    assert missing.startswith("source url: s3://") and "-e '.[s3]'" in missing
    with pytest.raises(PipelineError, match="nosuch"):
        make_source("url", params["sources"]["url"]).fetch(project, project / "out", print)


def test_a_misspelt_source_is_told_once(project: Path, params: dict[str, Any]) -> None:
    params["sources"]["sampel"] = params["sources"].pop("sample")
    (told,) = lines(project, params)
    assert told.startswith("source 'sampel': is not known") and "did you mean 'sample'" in told
    del params["sources"]["sampel"]
    assert any("'sample' is not among sources" in line for line in lines(project, params))


@pytest.fixture
def given(project: Path, params: dict[str, Any]) -> dict[str, Any]:
    """Params with the recipe `given` and a system that trains on it."""
    put(project / "data/pairs/clean/a.png", photo(1))
    params["sources"]["pairs"] = block("pairs", "data/pairs")
    params["recipes"]["given"], params["synth"]["given"] = dict(RECIPE), NO_READS
    params["train"]["dual_decoder"]["recipe"] = "given"
    stream = params["train"]["dual_decoder"]["stream"]
    stream["crop"] = 16
    stream |= {"mode": "stored", "augment": [{"name": "turn", "p": 1.0, "amount": 0.0}]}
    return params


def test_given_that_is_right_is_valid(project: Path, given: dict[str, Any]) -> None:
    assert lines(project, given) == []


@pytest.mark.parametrize("mode", ["fly", "stored"])
def test_all_that_given_shards_forbid_a_training_is_told_at_once(
    project: Path, given: dict[str, Any], mode: str
) -> None:
    given["train"]["dual_decoder"]["stream"] |= {
        "mode": mode,
        "augment": [
            {"name": name, "p": 0.5, "amount": 0.2 * (name != "turn")}
            for name in ("turn", "zoom", "tone")
        ],
    }
    where = "params: train.dual_decoder.stream"
    told = [line.split("; ") for line in lines(project, given)]
    fly = [f"{where}.mode: photos brought the damage of these shards"] if mode == "fly" else []
    assert [what for what, _ in told] == [
        *fly,
        f"{where}.augment.1: zoom: mixes pixels, which stored pairs forbid",
        f"{where}.augment.2: tone: mixes pixels, which stored pairs forbid",
    ]
    assert told[-1][1] == "use horizontal_flip, vertical_flip, turn", "fly is no way out of given"


def test_stored_pairs_of_any_recipe_forbid_mixing(project: Path, params: dict[str, Any]) -> None:
    params["train"]["dual_decoder"]["stream"]["mode"] = "stored"
    told = lines(project, params)
    assert len(told) == 4 and all("or draw damage on the fly" in line for line in told)


@pytest.mark.parametrize("in_synth", [True, False])
def test_given_with_steps_is_told_to_have_none(
    project: Path, given: dict[str, Any], in_synth: bool
) -> None:
    given["recipes"]["given"]["steps"] = given["recipes"]["aged"]["steps"][:1]
    if not in_synth:
        del given["synth"]["given"]
        given["train"]["dual_decoder"]["recipe"] = "shapes"
    (told,) = lines(project, given)
    assert "recipes.given.steps" in told and told.endswith("write steps: []")


def test_given_of_photos_without_damage_says_so(
    project: Path, stage: Run, given: dict[str, Any]
) -> None:
    given["recipes"]["given"]["sources"] = ["folder", "sample"]
    (told,) = lines(project, given)
    assert "folder, sample brings no photos with damage of their own; name a source" in told
    del given["sources"]["pairs"]
    write_params(project, given)
    stage("fetch")
    stage("index")
    failed = stage("synth", "given", check=False)
    assert "10 train photos are clean alone; name a source that does: pairs or art" in failed.stderr


def test_check_of_a_fresh_clone_says_what_to_run_first(
    project: Path, stage: Run, given: dict[str, Any]
) -> None:
    put(project / "data/inbox/a.png", photo(2))
    put(project / "data/inbox/notes.txt", b"mine")
    write_params(project, given)
    told = stage("check").stdout
    first = "there is no index yet: run `patina fetch`, `patina index`; unknown as yet: those of"
    assert f"photos: 15 or so: {first} pairs\n" in told
    assert "shards of them: aged_color, colorless, aged_published, " in told
    del given["sources"]["pairs"], given["recipes"]["given"], given["synth"]["given"]
    given["train"]["dual_decoder"]["recipe"] = "shapes"
    write_params(project, given)
    stage("fetch")
    stage("index")
    assert "photos: 15\n" in stage("check").stdout, "notes.txt does not count"
    put(project / "data/inbox/b.png", photo(3))
    assert "photos: 16 or so: the index is not of the inbox as it is now: run `patina fetch`" in (
        stage("check").stdout
    )


def test_licences_and_files_left_out_reach_the_listing(
    project: Path, stage: Run, params: dict[str, Any]
) -> None:
    for name in ("a.png", "fake.heic", "noext", "Thumbs.db", "sub/desktop.ini", ".hidden/x.txt"):
        put(project / "data/inbox" / name, photo(1))
    (project / "data/inbox/link.txt").symlink_to(project / "params.yaml")
    for place in ("clean", "corrupted"):
        put(project / "data/pairs" / place / "a.png", photo(1))
    params["sources"] |= {
        "folder": {"path": "data/inbox", "licence": "CC0"},
        "pairs": {"path": "data/pairs", "licence": "CC-BY-4.0"},
    }
    write_params(project, params)
    told = stage("fetch").stdout
    assert "left out fake.heic: its suffix is none of a photo's (.jpg, " in told
    mine = read_listing(project / "data/raw/folder")
    assert [one.name for one in mine.left_out] == ["fake.heic", "noext"]
    assert [row.licence for row in mine.files] == ["CC0"]
    assert [row.licence for row in read_listing(project / "data/raw/pairs").files] == ["CC-BY-4.0"]


def test_synth_tells_an_unknown_source_before_it_replaces_anything(
    project: Path, stage: Run
) -> None:
    for name in ("fetch", "index", "textures"):
        stage(name)
    params = small_params()
    params["recipes"]["shapes"]["sources"] = ["sample", "foldr"]
    write_params(project, params)
    done = stage("synth", "shapes", check=False)
    assert done.returncode == 1
    assert "recipes.shapes.sources: 'foldr' is not among sources" in done.stderr
    assert "did you mean 'folder'?" in done.stderr
