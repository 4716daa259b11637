"""`patina fetch` as a user meets it: odd names, folders that refuse, downloads, pairs."""

import io
import json
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline.checkpoint import save_weights
from pipeline.files import sha256_bytes
from pipeline.photos import decode
from pipeline.seeds import rng
from pipeline.sources import DOWNLOADS, LISTING, read_listing
from pipeline.systems import make_system
from stages.fetch import Shown
from tests.conftest import Run, load_yaml, read_only, run_stage, tree, write_params
from tests.pipeline.test_sources import NAMES, put
from tests.pipeline.test_sources_pairs import encode, lay_out
from tests.web import Page, serve

pytestmark = pytest.mark.slow


def picture(number: int) -> bytes:
    """A small photo that is like no other."""
    return encode(rng(number, "picture").integers(0, 256, (24, 24, 3), "uint8"))


def change(project: Path, sources: dict) -> None:
    params = load_yaml(project / "params.yaml")
    write_params(project, {**params, "sources": sources})


def index_of(project: Path) -> dict:
    return json.loads((project / "data/index.json").read_text())


def test_40_odd_names_reach_the_index(project: Path, stage: Run) -> None:
    assert len(NAMES) >= 40
    for number, name in enumerate(NAMES):
        put(project / "data/inbox" / name, picture(number))
    os.mkfifo(project / "data/inbox/pipe.png")
    (project / "data/inbox/link.png").symlink_to("/etc/passwd")
    told = stage("fetch").stdout
    assert f"folder: {len(NAMES)} files" in told
    assert "left out pipe.png: a pipe" in told and "left out link.png: a link" in told
    stage("index")
    index = index_of(project)
    assert sum(row["source"] == "folder" for row in index["photos"]) == len(NAMES)
    assert {row["name"]: row["reason"] for row in index["rejected"]} == {
        "pipe.png": "a pipe", "link.png": "a link, not followed"
    }  # fmt: skip
    ids = {row["id"] for row in index["photos"] if row["source"] == "folder"}
    for file in sorted((project / "data/inbox").rglob("*.png")):  # ids come from pixels alone
        if file.is_file() and not file.is_symlink():
            file.rename(file.with_name(f"{sha256_bytes(file.read_bytes())[:8]}.png"))
    stage("fetch")
    stage("index")
    assert {r["id"] for r in index_of(project)["photos"] if r["source"] == "folder"} == ids


def test_40_odd_names_reach_shards_and_come_back_restored(project: Path, stage: Run) -> None:
    inbox, weights = project / "data/inbox", project / "weights.safetensors"
    for number, name in enumerate(NAMES):
        put(inbox / name, picture(number))
    params = load_yaml(project / "params.yaml")
    params["sources"] = {"folder": {"path": "data/inbox", "licence": None}}
    params["recipes"]["shapes"] |= {"sources": ["folder"]}
    params["index"] |= {"val_share": 0.2, "test_share": 0.2}
    write_params(project, params)
    for words in (["fetch"], ["index"], ["synth", "shapes", "--workers", "1"]):
        stage(*words)
    members: set[str] = set()
    for tar in (project / "data/shards/shapes").rglob("*.tar"):
        with tarfile.open(tar) as file:
            members |= set(file.getnames())
    known = {member.split("_")[0] for member in members}
    ids = {row["id"] for row in index_of(project)["photos"]}
    assert len(ids) == len(NAMES) and all(any(one.startswith(key) for key in known) for one in ids)
    assert len(known) == len(NAMES)
    system, block = make_system("aged_unet", params, 7)
    save_weights(weights, "aged_unet", block, system)
    done = stage("restore", inbox, "-o", project / "restored", "--weights", weights)
    assert f"{len(NAMES)} of {len(NAMES)} photos restored" in done.stdout
    restored = {os.fsencode(path.name): path for path in (project / "restored").iterdir()}
    assert set(restored) == {os.fsencode(name) for name in NAMES}
    for path in restored.values():
        assert decode(path.read_bytes(), 1.0).pixels.shape == (24, 24, 3)


def test_a_download_goes_on_and_nothing_is_fetched_twice(project: Path, stage: Run) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for number in range(3):
            out.writestr(zipfile.ZipInfo(f"set/{number}.png"), picture(number))
    data = packed.getvalue()
    with serve() as web:
        web.pages["set.zip"] = Page(data, statuses=[404])
        row = {
            "url": f"{web.url}set.zip",
            "sha256": sha256_bytes(data),
            "split": "val",
            "licence": None,
        }
        change(
            project,
            {
                "sample": {},
                "folder": {"path": "data/inbox", "licence": None},
                "url": {"files": [row]},
            },
        )
        failed = stage("fetch", check=False)
        assert failed.returncode == 1 and failed.stderr.count("error:") == 1
        assert "404" in failed.stderr and "Traceback" not in failed.stderr
        assert not (project / "data/raw/url").exists()
        web.pages["set.zip"].cuts = [1000]
        done = stage("fetch")
        assert "url: 3 files" in done.stdout
        assert re.search(r"fetch url: \d+/1 MB of set\.zip, [\d.]+ MB/s", done.stderr)
        assert [wanted for _, wanted in web.asked] == [None, None, "bytes=1000-"]
        listing = read_listing(project / "data/raw/url")
        assert [file.split for file in listing.files] == ["val"] * 3
        assert set(tree(project / "data/raw/url")) == listing.names()
        assert [path.suffix for path in (project / DOWNLOADS).iterdir()] == [".zip"]
        assert not list((project / ".work").rglob(".url-unpacked"))
        before = tree(project / "data/raw")
        put(project / "data/inbox/new.png", picture(9))
        change(
            project, {"folder": {"path": "data/inbox", "licence": None}, "url": {"files": [row]}}
        )
        stage("fetch")
        assert len(web.asked) == 3  # the archive was kept, though params changed
    kept = {name: data for name, data in before.items() if name.startswith("url/")}
    assert tree(project / "data/raw").items() >= kept.items()
    assert not (project / "data/raw/sample").exists()


def test_pairs_reach_the_index(project: Path, stage: Run) -> None:
    for split, start in (("train", 0), ("val", 10)):
        lay_out(project / "data/pairs" / split, start, ("a", "b", "c"))
    (project / "data/pairs/train/mask/a.png").unlink()
    for number, file in enumerate(sorted((project / "data/pairs").rglob("clean/*.png"))):
        small = rng(number, "small").integers(0, 256, (8, 9, 3), "uint8")
        file.write_bytes(encode(small))
    change(
        project,
        {
            "folder": {"path": "data/inbox", "licence": None},
            "pairs": {"path": "data/pairs", "licence": None},
        },
    )
    assert "pairs: 6 files" in stage("fetch").stdout
    stage("index")
    rows = {row["name"]: row for row in index_of(project)["photos"]}
    assert len(rows) == 6
    assert rows["train/clean/a.png"]["mask"] is None
    for name, row in rows.items():
        for key in ("path", "corrupted", *(["mask"] if row["mask"] else [])):
            assert (project / "data/raw" / row[key]).is_file(), (name, key)
    put(project / "data/pairs/train/clean/odd.png", picture(1))
    failed = stage("fetch", check=False)
    assert failed.returncode == 1 and "train/clean/odd: has no file in corrupted/" in failed.stderr


def test_every_twin_of_a_clear_picture_reaches_the_index(project: Path, stage: Run) -> None:
    for number in (1, 2):
        put(project / f"art/clear/X ({number}).png", picture(number))
        for kind in "ab":
            twin = picture(10 * number + ord(kind))
            put(project / f"art/distorted/X ({number}){kind}.png", twin)
    change(project, {"folder": {"path": "data/inbox", "licence": None}, "art": {"path": "art"}})
    assert "art: 4 files" in stage("fetch").stdout
    stage("index")
    index = index_of(project)
    assert len(index["photos"]) == 4 and index["rejected"] == []
    for path in {row["path"] for row in index["photos"]}:
        rows = [row for row in index["photos"] if row["path"] == path]
        assert len({row["corrupted_sha256"] for row in rows}) == 2
        assert len({(row["group"], row["split"]) for row in rows}) == 1


@pytest.mark.parametrize("closed", ["data/raw", "data/raw/folder", ".work", "data"])
def test_a_folder_that_cannot_be_written_is_told_before_any_work(
    project: Path, stage: Run, closed: str
) -> None:
    for name in (".work", "data/raw/folder"):
        (project / name).mkdir(parents=True)
    with serve() as web:
        row = {"url": f"{web.url}a.png", "sha256": "0" * 64, "split": None, "licence": None}
        change(
            project, {"url": {"files": [row]}, "folder": {"path": "data/inbox", "licence": None}}
        )
        with read_only(project / closed):
            done = stage("fetch", check=False)
        assert done.returncode == 1, done.stdout + done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
        assert closed in done.stderr and "Read-only file system" in done.stderr
        assert web.asked == []
    assert not (project / "data/raw/folder" / LISTING).exists()


def test_what_a_fetch_leaves_does_not_depend_on_what_was_there(project: Path) -> None:
    put(project / "data/inbox/a.png", picture(1))
    run_stage(project, "fetch")
    before = tree(project / "data/raw")
    put(project / "data/raw/folder/stale.png", b"x")
    put(project / "data/raw/gone/listing.json", b"{}")
    run_stage(project, "fetch")
    assert tree(project / "data/raw") == before


def test_a_fetch_elsewhere_removes_only_what_a_fetch_brought(project: Path, stage: Run) -> None:
    put(project / "data/inbox/a.png", picture(1))
    out = project / "mine/photos"
    stage("fetch", "--out", out)
    assert len(read_listing(out / "folder").files) == 1
    for name in ("album/b.png", "work/metrics.json", "work/deep/b.png", "notes.txt"):
        put(out / name, b"mine")
    before = tree(out)
    put(out / "gone" / LISTING, b"{}")
    stage("fetch", "--out", out)
    assert tree(out) == before
    shutil.rmtree(out)
    put(out / "sample/astronaut.png", b"mine")
    put(out / "other" / LISTING, b"{}")
    done = stage("fetch", "--out", out, check=False)
    assert done.returncode == 1 and "sample: holds other files" in done.stderr
    assert (out / "sample/astronaut.png").read_bytes() == b"mine"
    put(project / "album/data.json", b"mine")
    done = stage("fetch", "--out", project / "album", check=False)
    assert done.returncode == 1 and "holds other files" in done.stderr


@pytest.mark.parametrize("out", [
    "data", "data/shards", "data/inbox", "data/inbox/new", "data/raw/sample", "models", "reports/x",
    ".", "..", "photos", "photos/new", "data/raw/../pairs",
])  # fmt: skip
def test_a_fetch_into_ones_own_files_is_refused(project: Path, stage: Run, out: str) -> None:
    for name in ("data/inbox/a.png", "data/shards/x/a.tar", "photos/a.png", "models/x/a.bin"):
        put(project / name, picture(1))
    change(project, {"sample": {}, "folder": {"path": "photos", "licence": None}})
    before = tree(project)
    done = stage("fetch", "--out", out, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1, done.stderr
    assert tree(project) == before


def test_a_source_inside_the_fetched_photos_is_refused(project: Path, stage: Run) -> None:
    put(project / "data/raw/folder/a.png", picture(1))
    for path in ("data/raw/folder", "data/raw", "data", "."):
        change(project, {"folder": {"path": path, "licence": None}})
        done = stage("fetch", check=False)
        assert done.returncode == 1 and "the files of sources.folder" in done.stderr, path
    change(project, {"folder": {"path": "data/inbox", "licence": None}})
    shutil.rmtree(project / "data/raw/folder")
    put(project / "data/inbox/a.png", picture(1))
    (project / "data/raw/folder").symlink_to(project / "data/inbox")
    assert "the files of sources.folder" in stage("fetch", check=False).stderr
    assert (project / "data/inbox/a.png").read_bytes() == picture(1)


def test_linked_folders_of_photos_are_unlinked_and_left_alone(project: Path, stage: Run) -> None:
    put(project / "data/inbox/a.png", picture(1))
    stage("fetch")
    before = tree(project / "data/raw")
    put(project / "far" / LISTING, b"{}")
    put(project / "far/b.png", b"mine")
    (project / "data/raw/old").symlink_to(project / "far")
    stage("fetch")
    assert not (project / "data/raw/old").is_symlink() and tree(project / "data/raw") == before
    assert len(tree(project / "far")) == 2


def test_rates_and_remaining_time_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple] = []
    clock = iter((10.0, 12.0, 14.0, 20.0))
    monkeypatch.setattr("stages.fetch.time.monotonic", lambda: next(clock))
    progress = Shown(lambda *words: shown.append(words))
    for megabytes in (50, 70, 90):
        progress(megabytes * 10**6, 100 * 10**6, "a.zip")
    progress(10**6, 3 * 10**6, "b.zip")
    progress(3, 4)
    assert shown == [
        (50, 100, "MB of a.zip, 0.0 MB/s"),
        (70, 100, "MB of a.zip, 10.0 MB/s, 3 s left"),
        (90, 100, "MB of a.zip, 10.0 MB/s, 1 s left"),
        (1, 3, "MB of b.zip, 0.0 MB/s"),
        (3, 4),
    ]
