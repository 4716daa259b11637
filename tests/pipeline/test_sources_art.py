"""Paintings from Kaggle: the real code against miniature archives of the same structure."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.files import sha256_file
from pipeline.sources import Brought, make_source, read_listing, write_listing
from pipeline.sources.art import HANDLE, key_of
from tests.conftest import ROOT, tree
from tests.pipeline.test_sources import photo, put
from tests.pipeline.test_sources_remote import quiet, zip_of

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
    with pytest.raises(SourceError, match=r"pip install .*\[art\]'"):
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
from tests.pipeline.test_sources_art import check_art, quiet
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


def test_a_listing_with_pairs_survives_the_disk(tmp_path: Path) -> None:
    packed = put(tmp_path / "a.zip", zip_of(ART))
    files, left_out = fetch_art(tmp_path, packed)
    write_listing(tmp_path / "out", "art", files, left_out)
    listing = read_listing(tmp_path / "out")
    assert sorted(listing.files, key=str) == sorted(files, key=str)
    assert list(listing.left_out) == left_out
    assert listing.names() == set(tree(tmp_path / "out"))
