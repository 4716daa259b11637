"""Shards at a URL are those of a folder; the store may stumble, lose or spoil what it holds."""

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
import time

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.executors import run_here
from pipeline.samples import Sample
from pipeline.seeds import rng
from pipeline.shards import read_manifest, read_samples
from pipeline.synthesis import Store, synthesize
from pipeline.tiling import ShardSpec, TileSpec
from pipeline.url_store import StoreError, UrlStore, is_url
from tests.conftest import run_stage, tree, write_params
from tests.pipeline.synthesized import PARAMS, new_photo

NUM_SHARDS = 3


class Stumbling(MemoryFileSystem):
    """Memory that fails as often as `errors` holds something to raise."""

    protocol = "stumbling"
    store: dict = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012
    errors: list = []  # noqa: RUF012

    def pipe_file(self, path, value, **options):
        if self.errors:
            raise self.errors.pop(0)
        super().pipe_file(path, value, **options)


fsspec.register_implementation("stumbling", Stumbling, clobber=True)


@pytest.fixture
def specs(tmp_path):
    """Three shards of two samples."""
    pixels = rng(0, "photo").integers(0, 256, (40, 40, 3), np.uint8)
    photo = new_photo(tmp_path / "raw", pixels)
    return [
        ShardSpec(f"train-{n:05d}.tar", "train", tmp_path / "raw", 1.0,
                  tuple(TileSpec(photo, f"{photo.id}_{n:04d}_{v:02d}", n, v, 16) for v in (0, 1)))
        for n in range(NUM_SHARDS)
    ]  # fmt: skip


@pytest.fixture
def url(tmp_path):
    """A fresh place in memory."""
    MemoryFileSystem.store.clear()
    Stumbling.store.clear()
    Stumbling.errors.clear()
    return "memory://bucket/shards"


def turned(spec, tile):
    """A sample whose damage is upside-down."""
    mask = np.full(tile.shape[:2], 255, np.uint8)
    return Sample(spec.key, tile, tile[::-1].copy(), mask, {"steps": []})


class Counted:
    """`turned`, counting."""

    def __init__(self):
        self.made = []

    def __call__(self, spec, tile):
        self.made.append(spec.key)
        return turned(spec, tile)


def fill(specs, store):
    """Fill a store; the keys that had to be made."""
    make = Counted()
    synthesize("upside", specs, make, store, run_here, lambda done, total: None)
    return make.made


def held(url):
    """Every object below a URL: name → bytes."""
    files, base = fsspec.core.url_to_fs(url)
    return {name.removeprefix(base + "/"): files.cat_file(name) for name in files.find(base)}


def shards_of(objects):
    return {name: data for name, data in objects.items() if not name.startswith("receipts/")}


def store_at(url, maker="code"):
    return UrlStore(url, "png", maker, pause=0.001)


def keys_of(spec):
    return [tile.key for tile in spec.tiles]


# what lies there


@pytest.mark.parametrize("kind", ["memory", "file"])
def test_a_url_holds_what_a_folder_holds(specs, url, tmp_path, kind):
    url = url if kind == "memory" else f"file://{tmp_path}/at/url"
    fill(specs, Store(tmp_path / "folder", "png"))
    fill(specs, store_at(url))
    assert shards_of(held(url)) == tree(tmp_path / "folder")
    assert len(held(url)) == 2 * NUM_SHARDS + 1


def test_what_lies_at_a_url_is_read_once_it_is_copied(specs, tmp_path):
    fill(specs, store_at(f"file://{tmp_path}/out"))
    samples = list(read_samples(tmp_path / "out", "train"))
    assert [one.key for one in samples] == [key for spec in specs for key in keys_of(spec)]


def test_a_slash_at_the_end_changes_nothing(specs, url):
    fill(specs, store_at(url))
    before = held(url)
    assert fill(specs, store_at(url + "/")) == [] and held(url) == before


def test_objects_of_others_stay(specs, url):
    files, base = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{base}/train-00099.tar", b"theirs")
    fill(specs, store_at(url))
    assert files.cat_file(f"{base}/train-00099.tar") == b"theirs"


# resuming


def test_what_is_there_is_not_made_again(specs, url):
    assert len(fill(specs[:2], store_at(url))) == 4
    assert fill(specs, store_at(url)) == keys_of(specs[2])


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("train-00001.tar", None),
        ("train-00001.tar", b"cut"),
        ("train-00001.tar", "same size"),
        ("receipts/train-00001.tar.json", None),
        ("receipts/train-00001.tar.json", b"{"),
        ("receipts/train-00001.tar.json", b"[]"),
        ("receipts/train-00001.tar.json", b"{}"),
        ("receipts/train-00001.tar.json", b'{"fingerprint": 1, "row": {}, "mark": null}'),
        ("receipts/train-00001.tar.json", b"[" * 100_000),
        ("receipts/train-00001.tar.json", b"\xff"),
    ],
)
def test_what_is_lost_or_spoiled_is_made_again(specs, url, name, data):
    fill(specs, store_at(url))
    whole = held(url)
    files, base = fsspec.core.url_to_fs(url)
    if data is None:
        files.rm_file(f"{base}/{name}")
    else:
        files.pipe_file(f"{base}/{name}", bytes(len(whole[name])) if data == "same size" else data)
    assert fill(specs, store_at(url)) == keys_of(specs[1])
    assert held(url) == whole


def test_other_code_or_other_tiles_are_another_shard(specs, url):
    fill(specs, store_at(url))
    assert len(fill(specs, store_at(url, "other code"))) == 2 * NUM_SHARDS
    moved = specs[0].tiles[0]._replace(top=9)
    specs[0] = ShardSpec("train-00000.tar", "train", specs[0].folder, 1.0, (moved,))
    assert fill(specs, store_at(url, "other code")) == [moved.key]


def test_a_receipt_of_another_shard_counts_for_nothing(specs, url):
    fill(specs, store_at(url))
    files, base = fsspec.core.url_to_fs(url)
    files.cp_file(f"{base}/receipts/train-00000.tar.json", f"{base}/receipts/train-00001.tar.json")
    assert fill(specs, store_at(url)) == keys_of(specs[1])


def test_a_manifest_stands_only_while_all_of_it_is_true(specs, url, tmp_path):
    fill(specs, store_at(url))
    store_at(url).begin()
    assert "manifest.json" not in held(url)
    store_at(url).begin()  # nothing there to take away
    fill(specs, store_at(url))
    assert json.loads(held(url)["manifest.json"])["recipe"] == "upside"


# a store that stumbles


def test_passing_failures_are_tried_again(specs):
    Stumbling.errors[:] = [OSError("slow down"), TimeoutError(), RuntimeError("broken pipe")]
    url = "stumbling://bucket/x"
    assert len(fill(specs, store_at(url))) == 2 * NUM_SHARDS
    assert not Stumbling.errors and len(held(url)) == 2 * NUM_SHARDS + 1


def test_lasting_failures_are_one_line(specs):
    Stumbling.errors[:] = [OSError("slow\ndown")] * 99
    with pytest.raises(StoreError) as caught:
        fill(specs, store_at("stumbling://user:secret@bucket/y"))
    assert len(Stumbling.errors) == 99 - UrlStore("", "png", "").num_tries
    told = str(caught.value)
    assert told.startswith("stumbling://bucket/y/train-00000.tar: OSError: slow\\ndown; mend that")
    assert "secret" not in told and "\n" not in told


@pytest.mark.parametrize("error", [PermissionError("forbidden"), FileNotFoundError("no bucket")])
def test_a_refusal_is_told_at_once(specs, error):
    Stumbling.errors[:] = [error, AssertionError]
    with pytest.raises(StoreError, match=f"{type(error).__name__}: {error}"):
        fill(specs, store_at("stumbling://bucket/z"))
    assert Stumbling.errors == [AssertionError]


@pytest.mark.parametrize(
    ("url", "told"),
    [("nosuch://bucket/x", "Protocol not known"), ("http://127.0.0.1:9/x", "NotImplementedError")],
)
def test_a_url_that_nobody_can_write_is_told_before_any_work(url, told):
    with pytest.raises(StoreError, match=told) as caught:
        store_at(url).begin()
    assert caught.value.next_step == "name a URL that can be written"


def test_urls_and_paths_are_told_apart():
    assert all(
        map(is_url, ["s3://b/x", "S3://b", "file:///x", "simplecache::s3://b/x", "memory://"])
    )
    assert not any(map(is_url, ["shards", "/data/shards", "C:\\shards", "./a:b/c", "a b://x", ""]))


# a real server that speaks S3, and the real command


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A project with photos."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, PARAMS)
    (folder / "data/inbox").mkdir(parents=True)
    for name in ("fetch", "index"):
        run_stage(folder, name)
    run_stage(folder, "synth", "shapes", "--out", folder / "local", "--workers", "1")
    shutil.rmtree(folder / ".work")
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(port):
    """A server of S3's protocol, once it listens."""
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return server
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module")
def s3():
    """Environment of a client, and the client's view of a fresh bucket."""
    for name in ("s3fs", "moto", "flask"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    port = free_port()
    server = serve(port)
    address = f"http://127.0.0.1:{port}"
    client = fsspec.filesystem("s3", key="k", secret="s", client_kwargs={"endpoint_url": address})
    client.mkdir("bucket")
    secrets = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    yield {**secrets, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": address}, client
    server.kill()
    server.wait()


def objects(client, prefix):
    client.invalidate_cache()
    return {name.removeprefix(prefix + "/"): client.cat_file(name) for name in client.find(prefix)}


@pytest.mark.slow
def test_synth_into_s3_gives_the_bytes_of_a_folder_and_resumes(home, s3):
    environment, client = s3
    words = ["shapes", "--out", "s3://bucket/deep/prefix", "--workers", "2"]
    run_stage(home, "synth", *words, **environment)
    first = objects(client, "bucket/deep/prefix")
    assert shards_of(first) == tree(home / "local")
    assert not list((home / ".work").glob("*"))
    changed = client.info("bucket/deep/prefix/train-00000.tar")["LastModified"]
    client.rm_file("bucket/deep/prefix/train-00001.tar")
    client.pipe_file("bucket/deep/prefix/train-00002.tar", first["train-00002.tar"][::-1])
    time.sleep(1.1)  # S3 tells whole seconds
    done = run_stage(home, "synth", *words, **environment)
    assert objects(client, "bucket/deep/prefix") == first
    client.invalidate_cache()
    assert client.info("bucket/deep/prefix/train-00000.tar")["LastModified"] == changed
    total = sum(row.num_samples for row in read_manifest(home / "local").shards)
    assert done.stderr.splitlines()[0] == f"synth shapes: {total - 4}/{total}"


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_line(home, s3):
    done = run_stage(home, "synth", "shapes", "--out", "s3://nobody/x", check=False, **s3[0])
    told = [line for line in done.stderr.splitlines() if not line.startswith("synth shapes: ")]
    assert done.returncode == 1 and len(told) == 1
    assert told[0].startswith("error: s3://nobody/x/") and "bucket does not exist" in told[0]


@pytest.mark.parametrize("words", [["--only", "x"], ["--format", "folders"]])
def test_what_a_url_cannot_hold_is_one_line(home, words):
    done = run_stage(home, "synth", "shapes", "--out", "memory://x", *words, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "error: --out memory://x: takes whole shards alone; name a folder instead"
