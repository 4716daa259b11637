"""Shards under dvc: pushed and pulled whole, and nothing pushed but what a change rewrote."""

import importlib.util
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.files import sha256_bytes
from pipeline.seeds import rng
from pipeline.shards import MANIFEST, read_manifest, read_shard
from pipeline.splits import pixel_id
from stages.workspace import dvc_hash
from tests.conftest import load_yaml, tree, write_params
from tests.stages.test_dvc import Clone

pytestmark = pytest.mark.slow
RECIPES = ("shapes", "aged")
OUTS = [f"data/shards/{name}" for name in RECIPES]
STAGES = [f"synth@{name}" for name in RECIPES]
S3 = ("dvc_s3", "moto", "flask")


class Versioned(Clone):
    """A clone whose shards are made, committed and pushed to a folder."""

    def __init__(self, folder: Path, remote: Path) -> None:
        super().__init__(folder)
        self.remote = remote
        params = load_yaml(folder / "params.yaml")
        params["synthesis"] = {"photos_per_group": 3, "samples_per_shard": 16}
        for name in RECIPES:
            params["recipes"][name]["sources"] = ["sample", "folder"]
        write_params(folder, params)
        self.dvc("remote", "add", "-d", "near", str(remote))
        self.make()

    def make(self) -> set[str]:
        """Make what is stale, commit, push; the names of the objects that this pushed."""
        before = self.stored()
        self.dvc("repro", *STAGES)
        self.commit("made")
        self.dvc("push", *OUTS)
        return self.stored() - before

    def stored(self) -> set[str]:
        """The remote's objects: the hashes of what was pushed."""
        found = (path for path in self.remote.rglob("*") if path.is_file())
        return {path.parent.name + path.name for path in found}

    def shards(self) -> dict[str, bytes]:
        """Every file of the shard sets, but for the locks beside them."""
        found = tree(self.folder / "data/shards")
        return {name: data for name, data in found.items() if "/" in name}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Versioned:
    return Versioned(tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("remote"))


def fresh_clone(made: Versioned, folder: Path) -> Versioned:
    """What a colleague gets."""
    made.git("clone", "-q", str(made.folder), str(folder))
    clone = Versioned.__new__(Versioned)
    clone.folder = folder
    return clone


def check_whole(made: Versioned, clone: Versioned) -> None:
    """Every byte is there, and the manifests vouch for them."""
    assert clone.shards() == made.shards()
    for name in RECIPES:
        folder = clone.folder / "data/shards" / name
        rows = read_manifest(folder).shards
        assert rows and all(len(read_shard(folder, row)) == row.num_samples for row in rows)


def test_a_folder_gives_back_what_was_pushed(made: Versioned, tmp_path: Path) -> None:
    clone = fresh_clone(made, tmp_path / "fresh")
    assert not (clone.folder / "data/shards").exists()
    clone.dvc("pull", *OUTS)
    check_whole(made, clone)


@pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in S3), reason="needs dvc-s3 and moto's server"
)
def test_s3_gives_back_what_was_pushed(
    made: Versioned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "x")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        clone = fresh_clone(made, tmp_path / "fresh")
        for project in (made, clone):
            (project.folder / ".dvc/config.local").write_text(
                f"['remote \"far\"']\n    url = s3://shards/patina\n"
                f"    endpointurl = http://{host}:{port}\n"
            )
        make_bucket(f"http://{host}:{port}")
        made.dvc("push", "-r", "far", *OUTS)
        clone.dvc("pull", "-r", "far", *OUTS)
        check_whole(made, clone)
    finally:
        server.stop()


def make_bucket(endpoint: str) -> None:
    import boto3

    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="shards")


def test_a_changed_recipe_rewrites_and_pushes_its_own_shards_alone(made: Versioned) -> None:
    before = made.shards()
    made.change("recipes.aged.undamaged_share", 0.5)
    pushed = made.make()
    after = made.shards()
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed and all(name.startswith("aged/") for name in changed)
    assert "aged/train-00000.tar" in changed
    assert pushed == objects(made, changed, {"aged"})


def test_a_photo_added_rewrites_and_pushes_the_shards_that_hold_it(made: Versioned) -> None:
    before = made.shards()
    # It joins a group with room: a full one would be halved, and both halves drawn again.
    pixels = rng(3, "photo").integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(made.folder / "data/inbox/new.png")
    pushed = made.make()
    after = made.shards()
    known = {sha256_bytes(data) for data in before.values()}
    changed = {name for name in after if sha256_bytes(after[name]) not in known}
    tars = {name for name in after if name.endswith(".tar")}
    holding = {name for name in tars if pixel_id(pixels) in held(after[name])}
    assert {name.split("/")[0] for name in holding} == set(RECIPES)
    assert changed & tars == holding and len(holding) < len(tars) / 2
    assert {name.split("/")[1] for name in changed - holding} == {
        MANIFEST,
        "README.md",
        "croissant.json",
    }
    assert pushed == objects(made, changed, set(RECIPES))


def held(data: bytes) -> set[str]:
    """The photos in a shard."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {name.split("_")[0] for name in tar.getnames()}


def objects(made: Versioned, files: set[str], recipes: set[str]) -> set[str]:
    """The names that dvc gives the content of files, and the lists of whole folders."""
    home = made.folder / "data/shards"
    return {dvc_hash(home / name) for name in files} | {dvc_hash(home / name) for name in recipes}
