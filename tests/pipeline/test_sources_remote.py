"""Sources from the web: the real code against miniature archives of the same structure."""

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import downloads
from pipeline import files as disk
from pipeline.downloads import Remote
from pipeline.errors import ParamsError, SourceError
from pipeline.files import DiskError, sha256_bytes, sha256_file
from pipeline.indexing import COPY, build_index
from pipeline.sources import (
    DOWNLOADS,
    SOURCES,
    Brought,
    make_source,
    plain_name,
    read_listing,
    scratch,
    write_listing,
)
from pipeline.sources import div2k as div2k_file
from pipeline.sources.art import HANDLE, key_of
from pipeline.splits import IndexSection
from stages.index import find_candidates
from tests.conftest import ROOT, tree
from tests.pipeline.test_sources import photo, put
from tests.web import Page, Web, serve


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    with serve() as running:
        yield running


def quiet(done: int, total: int, name: str = "") -> None:
    assert 0 < done <= total


def zip_of(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as opened:
        for name, data in entries.items():
            opened.writestr(zipfile.ZipInfo(name), data)  # which has no time of its own
    return out.getvalue()


# DIV2K

TRAIN = zip_of({f"DIV2K_train_HR/{n:04d}.png": photo(n % 250) for n in range(1, 41)})
VALID = zip_of({f"DIV2K_valid_HR/{n:04d}.png": photo(n % 250) for n in range(801, 806)})


@pytest.fixture
def small(web: Web, monkeypatch: pytest.MonkeyPatch) -> Web:
    """DIV2K in small at HOME."""
    web.pages |= {"home/DIV2K_train_HR.zip": Page(TRAIN), "home/DIV2K_valid_HR.zip": Page(VALID)}
    monkeypatch.setattr(div2k_file, "HOME", f"{web.url}home/")
    for name, data in (("TRAIN", TRAIN), ("VALID", VALID)):
        known = getattr(div2k_file, name)
        here = known._replace(sha256=sha256_bytes(data), num_bytes=len(data))
        monkeypatch.setattr(div2k_file, name, here)
    return web


def fetch_div2k(root: Path, *mirrors: str) -> Brought:
    return make_source("div2k", {"mirrors": list(mirrors)}).fetch(root, root / "out", quiet)


def test_div2k_is_the_published_one() -> None:
    assert div2k_file.HOME == "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
    assert Remote(
        "DIV2K_train_HR.zip",
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335", 3530603713,
    ) == div2k_file.TRAIN  # fmt: skip
    assert Remote(
        "DIV2K_valid_HR.zip",
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc", 448993893,
    ) == div2k_file.VALID  # fmt: skip


def test_div2k_has_its_official_test_split(small: Web, tmp_path: Path) -> None:
    files, left_out = fetch_div2k(tmp_path)
    splits = {file.name: file.split for file in files}
    assert len(splits) == 45 and left_out == []
    assert {name for name, split in splits.items() if split == "test"} == {
        f"DIV2K_valid_HR/{number:04d}.png" for number in range(801, 806)
    }
    assert all(file.no_test == (file.split is None) for file in files)
    assert all("academic research" in str(file.licence) for file in files)
    for file in files:
        number = int(Path(file.name).stem)
        assert (tmp_path / "out" / file.file).read_bytes() == photo(number % 250)
        assert file.sha256 == sha256_bytes(photo(number % 250))


def test_div2k_asks_for_all_its_room_before_it_asks_for_a_byte(
    small: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = 100_000_000_000  # more than what may come or go on the disk meanwhile
    monkeypatch.setattr(div2k_file, "VALID", div2k_file.VALID._replace(num_bytes=large))
    reserve = shutil.disk_usage(tmp_path).free - 2 * large
    monkeypatch.setattr(disk, "RESERVE", reserve + large // 2)
    with pytest.raises(DiskError, match="has no room"):
        fetch_div2k(tmp_path)
    assert small.asked == []
    part = tmp_path / DOWNLOADS / plain_name("DIV2K_valid_HR", div2k_file.VALID.sha256, ".zip.part")
    put(part, b"").open("r+b").truncate(large)  # of holes; the first archive fits, the pictures not
    monkeypatch.setattr(disk, "RESERVE", reserve + large + large // 2)
    with pytest.raises(DiskError, match="has no room"):
        fetch_div2k(tmp_path)
    assert small.asked == []
    monkeypatch.setattr(disk, "RESERVE", reserve + large // 2)
    small.pages.clear()
    with pytest.raises(SourceError, match="404"):
        fetch_div2k(tmp_path)


def test_div2k_falls_back_on_mirrors(small: Web, tmp_path: Path) -> None:
    del small.pages["home/DIV2K_train_HR.zip"]
    small.pages["far/DIV2K_train_HR.zip"] = Page(TRAIN)
    files, _ = fetch_div2k(tmp_path, f"{small.url}nowhere", f"{small.url}far")
    assert len(files) == 45
    asked = [path for path, _ in small.asked]
    assert asked[:3] == [f"{place}/DIV2K_train_HR.zip" for place in ("home", "nowhere", "far")]


def test_div2k_from_nowhere_is_one_line(small: Web, tmp_path: Path) -> None:
    small.pages.clear()
    with pytest.raises(SourceError, match="no address gives it") as caught:
        fetch_div2k(tmp_path, f"{small.url}far")
    assert "\n" not in str(caught.value) and "home" in str(caught.value)
    assert "far" in str(caught.value)


def test_a_fetch_that_stands_is_not_fetched_again(small: Web, tmp_path: Path) -> None:
    first = fetch_div2k(tmp_path)
    write_listing(tmp_path / "out", "div2k", first.files)
    shutil.rmtree(scratch(tmp_path / "out"))
    small.asked.clear()
    again = fetch_div2k(tmp_path)
    assert sorted(again.files, key=str) == sorted(first.files, key=str)
    assert not scratch(tmp_path / "out").exists()
    (tmp_path / "out" / first.files[3].file).unlink()
    assert sorted(fetch_div2k(tmp_path).files, key=str) == sorted(first.files, key=str)
    assert (tmp_path / "out" / first.files[3].file).is_file()
    assert small.asked == []  # the archives were kept


def test_a_broken_kept_archive_is_fetched_again(small: Web, tmp_path: Path) -> None:
    first = fetch_div2k(tmp_path)
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(scratch(tmp_path / "out"))
    kept = sorted((tmp_path / DOWNLOADS).iterdir())
    assert len(kept) == 2
    kept[0].write_bytes(b"broken")
    assert fetch_div2k(tmp_path) == first


DYING = """
import os, sys
from pathlib import Path
from pipeline import files
from pipeline.sources import div2k, make_source
from tests.pipeline.test_sources_remote import TRAIN, VALID, quiet
div2k.HOME = sys.argv[1]
div2k.TRAIN = div2k.TRAIN._replace(sha256=files.sha256_bytes(TRAIN), num_bytes=len(TRAIN))
div2k.VALID = div2k.VALID._replace(sha256=files.sha256_bytes(VALID), num_bytes=len(VALID))
left = int(sys.argv[3])
def watch(event, arguments):
    global left
    opened = event == "open" and arguments[1] in ("wb", "ab", "xb")
    if opened or event in ("os.rename", "os.mkdir", "os.link"):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
root = Path(sys.argv[2])
sys.addaudithook(watch)
make_source("div2k", {"mirrors": []}).fetch(root, root / "out", quiet)
"""


@pytest.mark.slow
def test_a_fetch_killed_at_any_act_is_finished_by_the_next(small: Web, tmp_path: Path) -> None:
    whole = fetch_div2k(tmp_path / "whole")
    expected = tree(tmp_path / "whole/out")
    for point in (1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 70, 100, 130):
        root = tmp_path / str(point)
        words = [sys.executable, "-c", DYING, f"{small.url}home/", str(root), str(point)]
        assert subprocess.run(words, cwd=ROOT, check=False).returncode in (-9, 0)
        assert fetch_div2k(root) == whole
        assert tree(root / "out").items() >= expected.items()
        assert sha256_file(root / "out" / whole.files[0].file) == whole.files[0].sha256


# url


def fetch_url(root: Path, *files: dict[str, str | None]) -> Brought:
    return make_source("url", {"files": list(files)}).fetch(root, root / "out", quiet)


def entry(url: str, data: bytes, split: str | None = None) -> dict[str, str | None]:
    return {"url": url, "sha256": sha256_bytes(data), "split": split, "licence": "CC0"}


def test_url_brings_pictures_and_archives(web: Web, tmp_path: Path) -> None:
    packed = zip_of({"in/a.png": photo(1), "notes.txt": b"x", "__MACOSX/in/._a.png": b"x"})
    web.pages |= {"set.zip": Page(packed), "größe.jpg": Page(photo(2, ".jpg"))}
    web.pages["gr%C3%B6%C3%9Fe.jpg"] = web.pages["größe.jpg"]
    files, _ = fetch_url(
        tmp_path,
        entry(f"{web.url}set.zip?download=1", packed, "val"),
        entry(f"{web.url}größe.jpg", photo(2, ".jpg")),
    )
    assert [(file.name, file.split, file.licence) for file in files] == [
        ("set.zip/in/a.png", "val", "CC0"), ("größe.jpg", None, "CC0"),
    ]  # fmt: skip
    assert sorted(tree(tmp_path / "out").values()) == sorted((photo(1), photo(2, ".jpg")))


def test_a_picture_in_two_archives_is_two_rows_and_one_photo(web: Web, tmp_path: Path) -> None:
    train = zip_of({"a.png": photo(1), "again/a.png": photo(1), "b.png": photo(2)})
    test = zip_of({"a.png": photo(1)})
    web.pages |= {"train.zip": Page(train), "test.zip": Page(test)}
    urls = [entry(f"{web.url}train.zip", train, "train"), entry(f"{web.url}test.zip", test, "test")]
    brought = fetch_url(tmp_path, *urls)
    assert [(file.name, file.split) for file in brought.files] == [
        ("train.zip/a.png", "train"), ("train.zip/b.png", "train"),
        ("train.zip/again/a.png", "train"), ("test.zip/a.png", "test"),
    ]  # fmt: skip
    out = tmp_path / "out"
    write_listing(out, "url", *brought)
    assert read_listing(out).names() == set(tree(out)) and len(tree(out)) == 5
    section = IndexSection(
        val_share=0.1, test_share=0.1, max_megapixels=80.0, max_rejected_share=0.1
    )
    index = build_index(tmp_path, find_candidates(tmp_path), section, 0, lambda *now: None)
    assert {row["name"]: row["split"] for row in index["photos"]}["test.zip/a.png"] == "test"
    told = [(row["name"], row["reason"]) for row in index["rejected"] if row["kind"] == COPY]
    assert sorted(told) == [
        (f"train.zip/{name}", "the same pixels as test.zip/a.png (url)")
        for name in ("a.png", "again/a.png")
    ]
    assert len(index["photos"]) + len(index["rejected"]) == 4


def test_url_refuses_a_hostile_archive(web: Web, tmp_path: Path) -> None:
    packed = zip_of({"a.png": photo(1), "../../evil.png": photo(2)})
    web.pages["set.zip"] = Page(packed)
    with pytest.raises(SourceError, match="refused whole"):
        fetch_url(tmp_path, entry(f"{web.url}set.zip", packed))
    assert not list(tmp_path.rglob("*.png"))


def test_url_reads_from_other_stores(tmp_path: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/photos/a.png", photo(3))
    files, _ = fetch_url(tmp_path, entry("memory://photos/a.png", photo(3)))
    assert (tmp_path / "out" / files[0].file).read_bytes() == photo(3)


@pytest.mark.parametrize(("change", "said"), [
    ({"sha256": "abc"}, "sources.url.files.0.sha256 must be 64 digits of 0-9 and a-f, not 'abc'"),
    ({"url": "a.zip"}, "must be an address"),
    ({"url": "https://x/y.exe"}, "must end in one of .zip"),
    ({"split": "dev"}, "sources.url.files.0.split must be one of train, val, test, not 'dev'"),
    ({"sha": "1"}, "did you mean 'sha256'"),
])  # fmt: skip
def test_url_params_are_strict(change: dict[str, str], said: str) -> None:
    with pytest.raises(ParamsError) as caught:
        make_source("url", {"files": [entry("https://x/a.zip", b"") | change]})
    assert said in str(caught.value)


# art

ART = {
    "Art/Clear Images/Abstract (1).jpg": photo(1, ".jpg"),
    "Art/Clear Images/Abstract (2).jpg": photo(2, ".jpg"),
    "Art/Clear Images/Portrait (1).jpg": photo(3, ".jpg"),
    "Art/Clear Images/alone.jpg": photo(4, ".jpg"),
    "Art/Distorted Images/Abstract (1)_blurred.jpg": photo(11, ".jpg"),
    "Art/Distorted Images/Abstract (2) noise 0.3.jpg": photo(12, ".jpg"),
    "Art/Distorted Images/Portrait (1).jpg": photo(13, ".jpg"),
    "Art/Distorted Images/Portrait (9)x.jpg": photo(14, ".jpg"),
    "Art/notes.txt": b"x",
}


def fetch_art(root: Path, path: Path | None) -> Brought:
    source = make_source("art", {"path": str(path) if path else None})
    return source.fetch(root, root / "out", quiet)


def check_art(brought: Brought, out: Path) -> None:
    contents = {
        Path(file.name).name: (out / file.corrupted).read_bytes() if file.corrupted else None
        for file in brought.files
    }
    assert contents == {
        "Abstract (1).jpg": photo(11, ".jpg"), "Abstract (2).jpg": photo(12, ".jpg"),
        "Portrait (1).jpg": photo(13, ".jpg"), "alone.jpg": None,
    }  # fmt: skip
    assert [(Path(one.name).name, one.reason) for one in brought.left_out] == [
        ("Portrait (9)x.jpg", "not one clear picture alone has its name")
    ]
    for file in brought.files:
        assert file.mask is None and file.split is None and HANDLE in str(file.licence)
        if file.corrupted:
            assert file.corrupted_sha256 == sha256_file(out / file.corrupted)


@pytest.mark.parametrize("home", ["", "art-images-clear-and-distorted/"])
def test_art_from_a_zip_downloaded_by_hand(tmp_path: Path, home: str) -> None:
    packed = zip_of({home + name: data for name, data in ART.items()})
    put(tmp_path / "archive.zip", packed)
    check_art(fetch_art(tmp_path, tmp_path / "archive.zip"), tmp_path / "out")


def test_art_from_a_folder_which_stays_as_it_is(tmp_path: Path) -> None:
    for name, data in ART.items():
        put(tmp_path / "mine" / name, data).chmod(0o600)
    before = [(path, path.stat()) for path in sorted((tmp_path / "mine").rglob("*.jpg"))]
    check_art(fetch_art(tmp_path, tmp_path / "mine"), tmp_path / "out")
    for path, stat in before:
        now = path.stat()
        assert (now.st_mode, now.st_nlink, now.st_ino) == (stat.st_mode, 1, stat.st_ino)


def test_art_keeps_genres_apart_and_takes_every_twin_that_fits(tmp_path: Path) -> None:
    big = cv2.imencode(".png", np.full((20, 20, 3), 9, np.uint8))[1].tobytes()
    for name, data in {
        "sea/clear/X (1).png": photo(1), "sea/distorted/X (1)a.png": photo(21),
        "hill/clear/X (1).png": photo(2), "hill/distorted/X (1)a.png": big,
        "hill/distorted/X (1)b.png": photo(22), "hill/distorted/X (1)c.png": photo(23),
        "hill/distorted/X (1)d.png": b"broken",
    }.items():  # fmt: skip
        put(tmp_path / "mine" / name, data)
    files, left_out = fetch_art(tmp_path, tmp_path / "mine")
    twins = sorted(
        (file.name, (tmp_path / "out" / str(file.corrupted)).read_bytes()) for file in files
    )
    assert twins == sorted([
        ("sea/clear/X (1).png", photo(21)), ("hill/clear/X (1).png", photo(22)),
        ("hill/clear/X (1).png", photo(23)),
    ])  # fmt: skip
    reasons = {one.name: one.reason for one in left_out}
    assert sorted(reasons) == ["hill/distorted/X (1)a.png", "hill/distorted/X (1)d.png"]
    assert "20x20, but 9x8 is the clean one" in reasons["hill/distorted/X (1)a.png"]
    assert "X (1)d.png" in reasons["hill/distorted/X (1)d.png"]


def test_art_tells_of_all_that_it_does_not_take(tmp_path: Path) -> None:
    for name in ("clear/a.png", "distorted/a.png", "readme/map.png", "loose.png"):
        put(tmp_path / "mine" / name, photo(len(name)))
    put(tmp_path / "mine/__MACOSX/clear/._a.png", b"notes")
    (tmp_path / "mine/clear/b.png").symlink_to("a.png")
    (tmp_path / "mine/more").symlink_to("clear")
    files, left_out = fetch_art(tmp_path, tmp_path / "mine")
    assert [file.name for file in files] == ["clear/a.png"]
    lost, link = "lies in no folder of clear or distorted pictures", "a link, not followed"
    assert {one.name: one.reason for one in left_out} == {
        "readme/map.png": lost, "loose.png": lost, "clear/b.png": link, "more": link
    }  # fmt: skip


def test_keys_of_art() -> None:
    names = ["Abstract (12)", "abstract  (12)_x", "Abstract (12) copy (3)"]
    assert {key_of(name) for name in names} == {"abstract (12)"}
    assert key_of("Plain") == "plain"


def test_art_elsewhere_says_what_to_do(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.zip", put(tmp_path / "a.txt", b"x")):
        with pytest.raises(SourceError, match=r"set sources\.art\.path"):
            fetch_art(tmp_path, path)
    put(tmp_path / "other/a.png", photo(1))
    with pytest.raises(SourceError, match="no folder of clear pictures"):
        fetch_art(tmp_path, tmp_path / "other")


def test_art_without_kagglehub_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)  # as if it were not there
    with pytest.raises(SourceError, match=r"pip install 'patina-restore\[art\]'"):
        fetch_art(tmp_path, None)


def test_art_without_credentials_says_where_they_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("kagglehub")
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_KEY", "KAGGLE_USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="no credentials") as caught:
        fetch_art(tmp_path, None)
    assert "sources.art.path" in str(caught.value) and "\n" not in str(caught.value)


FROM_KAGGLE = """
import sys
from pathlib import Path
from pipeline.sources import make_source
from tests.pipeline.test_sources_remote import check_art, quiet
out = Path(sys.argv[1])
check_art(make_source("art", {"path": None}).fetch(out.parent, out, quiet), out)
"""


class Kaggle(BaseHTTPRequestHandler):
    """As much of Kaggle as its own client asks for a dataset."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data, kind = json.dumps({"currentVersionNumber": 1}).encode(), "application/json"
        if self.path.endswith("DownloadDataset"):
            data, kind = zip_of(ART), "application/zip"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        pass


def test_art_comes_through_the_real_kagglehub(tmp_path: Path) -> None:
    pytest.importorskip("kagglehub")
    try:
        server = ThreadingHTTPServer(("127.0.0.1", 7777), Kaggle)  # where its test mode looks
    except OSError:
        pytest.skip("port 7777 is taken")
    with server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        surroundings = {
            "KAGGLE_API_ENVIRONMENT": "TEST", "KAGGLE_API_TOKEN": "x",
            "KAGGLEHUB_CACHE": str(tmp_path / "cache"), "KAGGLE_CONFIG_DIR": str(tmp_path),
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", FROM_KAGGLE, tmp_path / "out"], cwd=ROOT, check=False,
            env={**os.environ, **surroundings}, capture_output=True,
        )  # fmt: skip
        server.shutdown()
    assert done.returncode == 0, done.stderr[-2000:]
    wanted = {data for name, data in ART.items() if name.endswith(".jpg") and "(9)" not in name}
    assert set(tree(tmp_path / "out").values()) == wanted


# all of them


def test_every_source_is_known_and_imports_little() -> None:
    assert SOURCES.names() == ["art", "div2k", "folder", "pairs", "sample", "url"]
    code = (
        "import sys; from pipeline.sources import make_source;"
        "make_source('art', {'path': None}); make_source('pairs', {'path': 'x'});"
        "sys.exit('kagglehub' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_listing_with_pairs_survives_the_disk(tmp_path: Path) -> None:
    packed = put(tmp_path / "a.zip", zip_of(ART))
    files, left_out = fetch_art(tmp_path, packed)
    write_listing(tmp_path / "out", "art", files, left_out)
    listing = read_listing(tmp_path / "out")
    assert sorted(listing.files, key=str) == sorted(files, key=str)
    assert list(listing.left_out) == left_out
    assert listing.names() == set(tree(tmp_path / "out"))
