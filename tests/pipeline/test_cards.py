"""Cards tell what the shards hold, and hubs' and Croissant's own readers take them."""

import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from pipeline.cards import CROISSANT, README, Card, origins_of
from pipeline.cards.readme import hub_licence, size_category
from pipeline.files import sha256_bytes
from pipeline.shards import MANIFEST, SPLITS, ShardManifest, ShardRow, read_manifest
from pipeline.splits import Photo
from stages.card import CODE
from stages.workspace import fingerprint
from tests.conftest import load_yaml, run_stage, small_params, tree, write_params

RECIPES = {"defects": "png", "aged": "jpeg", "distorted": "story"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with shards of every profile."""
    home = tmp_path_factory.mktemp("project")
    params = small_params()
    for name, profile in RECIPES.items():
        params["recipes"][name]["profile"] = profile
    write_params(home, params)
    (home / "data/inbox").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["textures"], *(["synth", name] for name in RECIPES)):
        run_stage(home, *words)
    return home


@pytest.fixture(params=RECIPES)
def shards(home: Path, request: pytest.FixtureRequest) -> Path:
    return home / "data/shards" / request.param


def members(shards: Path, split: str) -> dict[str, dict[str, bytes]]:
    """Every sample of a split as it lies in the tars: key → end of the name → bytes."""
    found: dict[str, dict[str, bytes]] = {}
    for row in read_manifest(shards).of_split(split):
        with tarfile.open(shards / row.name) as tar:
            for member in tar:
                key, end = member.name.split(".", 1)
                found.setdefault(key, {})[end] = tar.extractfile(member).read()
    return found


def test_front_matter_tells_each_file_and_every_column(shards: Path) -> None:
    text = (shards / README).read_text("utf-8")
    front = YAML(typ="safe").load(text.split("---\n")[1])
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"]
    columns = {one["config_name"]: one["features"] for one in front["dataset_info"]}
    seen = []
    for config in front["configs"]:
        told = {one["name"] for one in columns[config["config_name"]]} - {"__key__", "__url__"}
        for files in config["data_files"]:
            seen.append(files["split"])
            tars = {path.name for path in shards.glob(files["path"])}
            assert tars == {row.name for row in read_manifest(shards).of_split(files["split"])}
            for sample in members(shards, files["split"]).values():
                assert set(sample) == told
    assert seen == list(SPLITS)


def test_text_counts_what_the_manifest_counts(shards: Path) -> None:
    text = (shards / README).read_text("utf-8")
    manifest = read_manifest(shards)
    for split in SPLITS:
        held = manifest.of_split(split)
        line = next(line for line in text.splitlines() if line.startswith(f"| {split} | "))
        cells = [cell.strip() for cell in line.split("|")[2:5]]
        size = sum(row.num_bytes for row in held) / 1e6
        assert cells == [str(manifest.num_samples(split)), str(len(held)), f"{size:.2f}"]
    assert "`astronaut.png`" in text and "public domain, CC0 or CC BY" in text
    kinds = {end for split in SPLITS for one in members(shards, split).values() for end in one}
    assert kinds == {line.split("`")[1][6:] for line in text.splitlines() if "| `<key>." in line}


def test_text_holds_the_recipe_whole(home: Path, shards: Path) -> None:
    text = (shards / README).read_text("utf-8")
    told = YAML(typ="safe").load(text.split("```yaml\n")[1].split("```")[0])
    params = load_yaml(home / "params.yaml")
    assert told["recipes"] == {shards.name: params["recipes"][shards.name]}
    assert told["seed"] == params["seed"] and told["synthesis"] == params["synthesis"]
    assert ("textures" in told) == (shards.name == "aged")


def test_croissant_tells_every_tar(shards: Path) -> None:
    data = json.loads((shards / CROISSANT).read_text("utf-8"))
    tars = {one["@id"]: one for one in data["distribution"] if one["@type"] == "cr:FileObject"}
    rows = read_manifest(shards).shards
    assert list(tars) == [row.name for row in rows]
    for row in rows:
        assert tars[row.name]["sha256"] == row.sha256
        assert tars[row.name]["contentSize"] == f"{row.num_bytes} B"


LOAD = """
import hashlib, io, json, sys, mlcroissant
data = mlcroissant.Dataset(sys.argv[1])
found = {}
for one in data.metadata.record_sets:
    rows = found[one.id] = []
    for record in data.records(one.id):
        row = {}
        for name, value in record.items():
            if hasattr(value, "tobytes"):
                value = hashlib.sha256(value.convert("RGB").tobytes()).hexdigest()
            row[name.split("/")[1]] = value.decode() if isinstance(value, bytes) else value
        rows.append(row)
json.dump({"found": found, "errors": list(data.metadata.ctx.issues.errors)}, sys.stdout)
"""


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("mlcroissant"), reason="needs mlcroissant")
def test_mlcroissant_validates_and_loads_every_record(shards: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, shards / CROISSANT], capture_output=True, text=True,
        env={**os.environ, "CROISSANT_CACHE": str(tmp_path)}, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["errors"] == []
    manifest = read_manifest(shards)
    splits = {row["split"]: row["num_samples"] for row in told["found"].pop("splits")}
    assert splits == {split: manifest.num_samples(split) for split in SPLITS}
    loaded = {}
    for name, rows in told["found"].items():
        split, kind = name.split("_")
        for row in rows:
            loaded[split, row["key"], kind] = row.get("image") or json.loads(row["text"])
    expected = {}
    for split in SPLITS:
        for key, sample in members(shards, split).items():
            for end, data in sample.items():
                kind = "story" if end == "json" else end.split(".")[0]
                expected[split, key, kind] = json.loads(data) if end == "json" else seen(data)
    assert loaded == expected


def seen(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as picture:
        return hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()


def test_cards_are_the_same_from_anywhere(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data/inbox").mkdir(parents=True)
    shutil.copy(home / "params.yaml", tmp_path)
    for words in (["fetch"], ["index"], ["textures"], ["synth", "aged", "--workers", "2"]):
        run_stage(tmp_path, *words)
    assert tree(tmp_path / "data/shards/aged") == tree(home / "data/shards/aged")


def test_another_licence_is_another_card_and_no_other_shard(home: Path, tmp_path: Path) -> None:
    project = shutil.copytree(home, tmp_path / "project")
    run_stage(project, "synth", "aged")
    index = project / "data/index.json"
    index.write_text(index.read_text("utf-8").replace('"licence": "see', '"licence": "CC0'))
    shutil.rmtree(project / "data/raw")  # whoever draws misses the photos
    run_stage(project, "synth", "aged")
    before, after = (tree(one / "data/shards/aged") for one in (home, project))
    assert {name for name in after if before.get(name) != after[name]} == {README, CROISSANT}
    assert b"CC0 data/README.txt" in after[README]


def test_card_code_draws_no_shard() -> None:
    base = ["stages/recipes.py", "pipeline/given.py", "pipeline/shards.py"]
    card = [*base, "stages/card.py"]
    assert fingerprint(card, [], without=CODE) == fingerprint(base, [], without=CODE)
    assert fingerprint(card, []) != fingerprint(base, [])


def test_shards_at_a_url_have_their_card(home: Path, tmp_path: Path) -> None:
    run_stage(home, "synth", "defects", "--workers", "1", "--out", f"file://{tmp_path}/at")
    there, here = tree(tmp_path / "at"), tree(home / "data/shards/defects")
    assert {name: data for name, data in there.items() if "receipts/" not in name} == here


def photo(number: int, **changes: object) -> Photo:
    row = {
        "id": sha256_bytes(bytes([number])), "source": "folder", "name": f"{number}.png",
        "path": f"folder/{number}.png", "sha256": "", "width": 8, "height": 8, "gray": False,
        "group": str(number), "split": "train",
    }  # fmt: skip
    return Photo.model_validate(row | changes)


def card_of(photos: list[Photo]) -> tuple[str, dict]:
    params = {"seed": 1, "index": {"val_share": 0.1, "test_share": 0.2}, "synthesis": {},
              "recipes": {"shapes": small_params()["recipes"]["shapes"]}}  # fmt: skip
    row = ShardRow(name="train-00000.tar", split="train", num_samples=1200, num_bytes=1,
                   sha256="0", content_sha256="0")  # fmt: skip
    files = Card("shapes", params, "f", {}, origins_of(photos)).files([row])
    text = files[README].decode()
    return text, YAML(typ="safe").load(text.split("---\n")[1])


@pytest.mark.parametrize(
    ("licences", "told"),
    [(["CC BY 4.0"] * 2, "cc-by-4.0"), (["CC0", "cc0-1.0"], "cc0-1.0"), ([None] * 2, "unknown"),
     (["MIT", None], "other"), (["ask me"] * 2, "other")],
)  # fmt: skip
def test_hubs_are_told_a_licence_they_know(licences: list[str | None], told: str) -> None:
    text, front = card_of([photo(n, licence=one) for n, one in enumerate(licences)])
    assert front["license"] == told and ("license_name" in front) == (told == "other")
    for one in licences:
        assert f" | {one or 'unknown'} |" in text


def test_splits_are_told_as_they_were_made() -> None:
    own = [photo(n, official=True, split="test") for n in range(2)]
    assert "The others" not in card_of(own)[0]
    text, front = card_of([*own, photo(5)])
    assert "2 of 3 photos" in text and "(0.1 val, 0.2 test, the rest train)" in text
    assert "| `folder` | 1 | 0 | 2 | unknown |" in text
    assert front["size_categories"] == ["1K<n<10K"]


def test_names_of_files_break_nothing() -> None:
    text, _ = card_of([photo(1, name="a`|\n# no\n```", licence="x|\n\n# no"), photo(2)])
    assert "\n# no" not in text and text.count("```") == card_of([photo(2)])[0].count("```")


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"),
     (10**9, "1B<n<10B"), (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")],
)  # fmt: skip
def test_sizes_in_the_words_of_hubs(number: int, told: str) -> None:
    assert size_category(number) == told


def test_licences_in_the_words_of_hubs() -> None:
    assert [hub_licence(text) for text in ("CC0", "cc by-sa 4.0", "MIT")] == [
        "cc0-1.0",
        "cc-by-sa-4.0",
        "mit",
    ]


def test_a_manifest_stands_beside_every_card(shards: Path) -> None:
    names = set(tree(shards))
    manifest: ShardManifest = read_manifest(shards)
    assert names == {README, CROISSANT, MANIFEST, *(row.name for row in manifest.shards)}
