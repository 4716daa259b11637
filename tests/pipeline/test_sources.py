"""Sources bring photos under safe names, list what they brought, and never leave their tree."""

import os
import socket
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import photos
from pipeline.errors import ParamsError, PipelineError, SourceError
from pipeline.files import sha256_file
from pipeline.sources import (
    LISTING,
    SOURCES,
    ListedFile,
    make_source,
    plain_name,
    read_listing,
    write_listing,
)
from pipeline.sources.folder import strays, walk
from tests.conftest import ROOT, tree


def photo(number: int, suffix: str = ".png") -> bytes:
    picture = np.full((8, 9, 3), number, np.uint8)
    return cv2.imencode(suffix, picture)[1].tobytes()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def fetch(inbox: Path, folder: Path) -> list[ListedFile]:
    return (
        make_source("folder", {"path": str(inbox), "licence": None})
        .fetch(Path("/"), folder, quiet)
        .files
    )


def identities(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file is which: inode and time of change."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[ListedFile]]:
    folder = tmp_path_factory.mktemp("sample")
    files = make_source("sample", {}).fetch(folder, folder, quiet).files
    write_listing(folder, "sample", files)
    return folder, files


def test_the_sample_has_an_official_split_with_three_test_photos(
    sample: tuple[Path, list[ListedFile]],
) -> None:
    by_split = {
        split: [file.name for file in sample[1] if file.split == split]
        for split in ("train", "val", "test")
    }
    assert sum(map(len, by_split.values())) == len(sample[1])
    assert len(by_split["test"]) >= 3 and by_split["val"]
    assert len(by_split["train"]) > len(by_split["test"])


def test_the_sample_shows_no_scene_twice(sample: tuple[Path, list[ListedFile]]) -> None:
    names = [file.name for file in sample[1]]
    assert "motorcycle_right.png" not in names and "motorcycle_disp.npz" not in names
    assert len({file.sha256 for file in sample[1]}) == len(set(names)) == len(names)


def test_every_photo_of_the_sample_decodes(sample: tuple[Path, list[ListedFile]]) -> None:
    for file in sample[1]:
        picture = photos.decode((sample[0] / file.file).read_bytes(), 80)
        assert min(picture.pixels.shape[:2]) >= 256, file.name
        assert file.licence


def test_the_listing_tells_the_truth(sample: tuple[Path, list[ListedFile]]) -> None:
    folder, files = sample
    listing = read_listing(folder)
    assert {file.file for file in listing.files} == {file.file for file in files}
    assert {path.name for path in folder.iterdir()} == {*(file.file for file in files), LISTING}
    for file in listing.files:
        path = folder / file.file
        assert (path.stat().st_size, sha256_file(path)) == (file.num_bytes, file.sha256)


def test_fetching_the_sample_again_mends_it_and_touches_nothing_else(
    sample: tuple[Path, list[ListedFile]],
) -> None:
    folder, files = sample
    before = identities(folder)
    (folder / "astronaut.png").write_bytes(b"broken")
    assert make_source("sample", {}).fetch(folder, folder, quiet).files == files
    after = identities(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"astronaut.png"}
    assert sha256_file(folder / "astronaut.png") in {file.sha256 for file in files}


def test_a_nested_tree_is_copied_under_plain_names(inbox: Path, tmp_path: Path) -> None:
    put(inbox / "a.JPG", photo(1, ".jpg"))
    put(inbox / "deep/er/b.png", photo(2))
    put(inbox / "deep/b.png", photo(3))
    put(inbox / "deep/notes.txt", b"hello")
    put(inbox / "README", b"hello")
    files = fetch(inbox, tmp_path / "out")
    assert sorted(file.name for file in files) == ["a.JPG", "deep/b.png", "deep/er/b.png"]
    assert set(tree(tmp_path / "out")) == {file.file for file in files}
    for file in files:
        assert (tmp_path / "out" / file.file).read_bytes() == (inbox / file.name).read_bytes()
        assert file.split is None and file.group is None
        assert file.file.endswith((f"{file.sha256[:32]}.png", f"{file.sha256[:32]}.jpg"))


def test_links_and_loops_are_not_followed(inbox: Path, tmp_path: Path) -> None:
    secret = put(tmp_path / "outside/secret.png", photo(9))
    put(inbox / "mine.png", photo(1))
    (inbox / "link.png").symlink_to(secret)
    (inbox / "outside").symlink_to(secret.parent)
    (inbox / "loop").symlink_to(inbox)
    (inbox / "self.png").symlink_to("self.png")
    (inbox / "dangling.png").symlink_to("nowhere.png")
    files, left_out = make_source("folder", {"path": str(inbox), "licence": None}).fetch(
        tmp_path, tmp_path / "out", quiet
    )
    assert [file.name for file in files] == ["mine.png"]
    assert {one.name: one.reason for one in left_out} == dict.fromkeys(
        ("link.png", "outside", "loop", "self.png", "dangling.png"), "a link, not followed"
    )
    assert secret.read_bytes() not in tree(tmp_path / "out").values()


def test_pipes_and_folders_named_like_photos_are_no_photos(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inbox)
    os.mkfifo(inbox / "pipe.png")
    put(inbox / "folder.png/inside.png", photo(2))
    (inbox / "empty.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")  # from inside: a socket's path must be short
    files, left_out = make_source("folder", {"path": str(inbox), "licence": None}).fetch(
        tmp_path, tmp_path / "out", quiet
    )
    assert [file.name for file in files] == ["folder.png/inside.png"]
    assert {one.name: one.reason for one in left_out} == {
        "pipe.png": "a pipe", "folder.png": "a folder", "empty.jpg": "a folder",
        "socket.jpg": "a socket",
    }  # fmt: skip


NAMES = [
    "größe.png", "写真.png", "👵🏽.png", "صورة.png", "a b.png", "a\nb.png", "a\tb.png", "-rf.png",
    "--help.png", "$(touch x).png", "a'b\"c.png", "a;b.png", "*.png", "?.png", "a\\b.png",
    "..png.png", "...png", " .png", "%2e%2e.png", "con.png", "nul.png", "A.png",
    "x" * 251 + ".png", "é" * 125 + ".png",
    unicodedata.normalize("NFC", "Ä.png"), unicodedata.normalize("NFD", "Ä.png"),
    "CASE.png", "case.png", "\u202egnp.png", "\udce9\udcff.png", "0.png",
    "#.png", "~.png", ".a.png", "%s.png", "${HOME}.png", "a,b.png", "\u0301.png", "a\rb.png",
    "\x1b[31m.png", "ﬁ.png", "\u200b.png", "a.png.png", "<a>&amp;.png", "|x.png",
]  # fmt: skip


def test_any_name_is_fetched_under_a_safe_one(inbox: Path, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        put(inbox / name, photo(number))
    assert len(list(inbox.iterdir())) == len(NAMES)
    files = fetch(inbox, tmp_path / "out")
    write_listing(tmp_path / "out", "folder", files)
    assert len({file.file for file in files}) == len(files) == len(NAMES)
    for file in files:
        assert file.file.isascii() and len(file.file) < 80 and not file.file.startswith(("-", "."))
        assert not set(file.file) & set("/\\ \n\t'\"$*?;:")
    contents = {photo(number) for number in range(len(NAMES))}
    assert {data for name, data in tree(tmp_path / "out").items() if name != LISTING} == contents
    listing = read_listing(tmp_path / "out")
    assert {"größe.png", "写真.png", "a\nb.png", "\\xe9\\xff.png"} <= {
        f.name for f in listing.files
    }


def test_the_same_content_twice_under_one_stem_is_one_file(inbox: Path, tmp_path: Path) -> None:
    put(inbox / "a/x.png", photo(1))
    put(inbox / "b/x.png", photo(1))
    put(inbox / "b/y.png", photo(1))
    files = fetch(inbox, tmp_path / "out")
    assert [file.name for file in files] == ["a/x.png", "b/y.png"]
    assert len(tree(tmp_path / "out")) == 2
    assert len({file.sha256 for file in files}) == 1


def test_files_already_there_are_not_copied_again(inbox: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in range(4):
        put(inbox / f"{number}.png", photo(number))
    first = fetch(inbox, out)
    before = identities(out)
    broken = sorted(before)[1]
    (out / broken).write_bytes(b"half")
    (out / sorted(before)[2]).unlink()
    put(inbox / "new.png", photo(77))
    assert len(fetch(inbox, out)) == len(first) + 1
    after = identities(out)
    kept = {name for name in before if after.get(name) == before[name]}
    assert kept == set(before) - set(sorted(before)[1:3])
    assert set(tree(out).values()) == {photo(number) for number in (0, 1, 2, 3, 77)}


def test_the_order_is_the_same_whatever_the_disk_says(inbox: Path) -> None:
    for name in ("b/z.png", "a.png", "b/a.png", "B.png", "ä.png"):
        put(inbox / name, photo(1))
    found = [path.relative_to(inbox).as_posix() for path in walk(inbox)]
    assert found == ["B.png", "a.png", "ä.png", "b/a.png", "b/z.png"]


def test_an_empty_tree_is_an_empty_source(inbox: Path, tmp_path: Path) -> None:
    assert fetch(inbox, tmp_path / "out") == []
    write_listing(tmp_path / "out", "folder", [])
    assert read_listing(tmp_path / "out").files == ()


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_tree_that_is_none_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SourceError, match="is no folder") as caught:
        make_source("folder", {"path": name, "licence": None}).fetch(
            tmp_path, tmp_path / "out", quiet
        )
    assert str(tmp_path / name) in str(caught.value)


UNREADABLE = """
import os, sys
from pathlib import Path
from pipeline.errors import PipelineError
from pipeline.sources import make_source
source = make_source("folder", {"path": sys.argv[1], "licence": None})
os.setuid(65534)
try:
    files, left_out = source.fetch(Path("/"), Path(sys.argv[2]), lambda done, total: None)
    print(*(file.name for file in files), *(f"{o.name}: {o.reason}" for o in left_out), sep="\\n")
except PipelineError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become someone who may not read")
def test_a_photo_that_may_not_be_read_is_one_line_that_names_it() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        _fetch_unreadable(Path(folder))


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become someone who may not read")
def test_folders_that_may_not_be_read_are_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("a.png", "closed/b.png", "z/closed/c.png"):
            put(base / "inbox" / name, photo(1))
        for name in ("closed", "z/closed"):
            (base / "inbox" / name).chmod(0o000)
        done = _fetch_as_nobody(base)
        reason = "a folder that cannot be read: Permission denied"
        assert done.stdout.splitlines() == [
            "a.png", *(f"{name}: {reason}" for name in ("closed", "z/closed"))
        ]  # fmt: skip
        (base / "inbox").chmod(0o000)
        done = _fetch_as_nobody(base)
        assert done.returncode == 3 and "inbox: Permission denied" in done.stdout


def test_what_goes_away_while_one_looks_is_told(inbox: Path) -> None:
    (inbox / "0.png").symlink_to("nowhere")
    for name in ("1.png", "2.png", "3.png"):
        put(inbox / name, photo(1))
    (inbox / "4").mkdir()
    looking, told = walk(inbox), strays(inbox)
    assert next(looking).name == "1.png" and next(told).name == "0.png"
    (inbox / "2.png").unlink()
    (inbox / "4").rmdir()
    assert [path.name for path in looking] == ["3.png"]
    gone = "No such file or directory"
    assert [(one.name, one.reason) for one in told] == [
        ("2.png", gone), ("4", f"a folder that cannot be read: {gone}")
    ]  # fmt: skip


def _fetch_as_nobody(base: Path) -> subprocess.CompletedProcess[str]:
    base.chmod(0o755)
    (base / "out").mkdir(exist_ok=True)
    (base / "out").chmod(0o777)
    return subprocess.run(
        [sys.executable, "-c", UNREADABLE, base / "inbox", base / "out"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


def _fetch_unreadable(base: Path) -> None:
    put(base / "inbox/a.png", photo(1)).chmod(0o000)
    done = _fetch_as_nobody(base)
    assert done.returncode == 3, done.stderr
    assert done.stdout.count("\n") == 1 and "a.png" in done.stdout
    assert list((base / "out").iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"source": "x"}', '{"source": 1, "files": []}'])
def test_a_listing_that_is_none_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / LISTING).write_text(text)
    with pytest.raises(PipelineError) as caught:
        read_listing(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_never_fetched_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="run `patina fetch`"):
        read_listing(tmp_path)


def test_listings_are_sorted_whatever_came_first(tmp_path: Path) -> None:
    rows = [
        ListedFile(
            name=name, file=name, num_bytes=1, sha256="0", split=None, group=None, licence=None
        )
        for name in ("b", "a", "c")
    ]
    write_listing(tmp_path / "1", "x", rows)
    write_listing(tmp_path / "2", "x", rows[::-1])
    assert tree(tmp_path / "1") == tree(tmp_path / "2")
    assert [file.file for file in read_listing(tmp_path / "1").files] == ["a", "b", "c"]


def test_sources_are_made_by_name_with_strict_params() -> None:
    assert {"sample", "folder"} <= set(SOURCES)
    assert type(make_source("sample", None)) is SOURCES["sample"]
    with pytest.raises(ParamsError, match=r"sources\.folder\.path is missing"):
        make_source("folder", {})
    with pytest.raises(ParamsError, match=r"sources\.folder\.path must be text, not 3"):
        make_source("folder", {"path": 3})
    with pytest.raises(ParamsError, match="did you mean 'folder'"):
        make_source("foldr", {"path": "x"})


def test_a_plain_name_holds_readable_letters_and_the_hash() -> None:
    digest = "0123456789abcdef" * 4
    names = {"größe": "groe", "été 1912!": "ete-1912", "写真": "photo", "": "photo", "--": "photo"}
    for name, stem in names.items():
        assert plain_name(name, digest, ".png") == f"{stem}-{digest[:32]}.png"
    assert plain_name("x" * 300, digest, ".png") == f"{'x' * 40}-{digest[:32]}.png"
