"""Sources from the web: the real code against miniature archives of the same structure."""

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

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


# all of them


def test_every_source_is_known_and_imports_little() -> None:
    assert SOURCES.names() == ["art", "div2k", "folder", "pairs", "sample", "url"]
    code = (
        "import sys; from pipeline.sources import make_source;"
        "make_source('art', {'path': None}); make_source('pairs', {'path': 'x', 'licence': None});"
        "sys.exit('kagglehub' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
