"""Archives are unpacked whole or refused whole; nothing of them ever lies outside the target."""

import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import archives, entries, files
from pipeline.archives import is_archive, unpack
from pipeline.entries import ArchiveError
from pipeline.errors import PipelineError
from pipeline.files import DiskError
from pipeline.seeds import rng
from tests.conftest import tree

Entries = dict[str, bytes]
GOOD: Entries = {"a.png": b"one", "deep/er/b.png": b"two" * 1000, "größe 写真.jpg": b""}


def zipped(path: Path, entries: Entries, **changes: int) -> Path:
    """A zip of raw names; `changes` are attributes of every entry."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in entries.items():
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            for key, value in changes.items():
                setattr(info, key, value)
            out.writestr(info, data)
    return path


def tarred(path: Path, entries: Entries, mode: str = "w", **changes: object) -> Path:
    """A tar of raw names; `changes` are attributes of every entry."""
    with tarfile.open(path, mode) as out:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in changes.items():
                setattr(info, key, value)
            out.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with a bystander; all that is outside of ``room/target`` must stay as it is."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room/bystander").write_bytes(b"mine")
    (tmp_path / "archives").mkdir()
    return tmp_path / "room"


def refuse(archive: Path, room: Path, *said: str) -> None:
    before = outside(room)
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, room / "target")
    line = str(caught.value)
    assert "\n" not in line and str(archive) in line
    assert all(word in line for word in said), line
    assert tree(room) == {"bystander": b"mine"} and names(room) == ["bystander"]
    assert outside(room) == before


def names(room: Path) -> list[str]:
    return sorted(path.name for path in room.iterdir())


def outside(room: Path) -> set[str]:
    return {str(path) for path in room.parent.rglob("*")}


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz", "a.tar.bz2", "a.tar.xz"])
def test_a_good_archive_comes_out_whole(room: Path, name: str) -> None:
    assert is_archive(name) and is_archive(name.upper()) and not is_archive("a.png")
    path = room.parent / "archives" / name
    if name.endswith("zip"):
        zipped(path, GOOD)
    else:
        kinds = {"gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}
        entries = {f"./{name}": data for name, data in GOOD.items()}
        tarred(path, entries, kinds.get(name.split(".")[-1], "w"))
    unpack(path, room / "target")
    assert tree(room / "target") == GOOD
    assert names(room) == ["bystander", "target"]


def test_folders_of_an_archive_are_fine(room: Path) -> None:
    packed = room.parent / "archives/a.tar"
    source = room.parent / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/a.png").write_bytes(b"one")
    with tarfile.open(packed, "w") as out:
        out.add(source, arcname=".")
    unpack(packed, room / "target")
    assert tree(room / "target") == {"sub/a.png": b"one"}


def bomb_zip(path: Path) -> Path:
    return zipped(path, {"a.png": bytes(200_000_000)})


def lying_zip(path: Path) -> Path:
    """A zip that states a tenth of what an entry holds."""
    zipped(path, {"a.png": b"x" * 1000})
    data = path.read_bytes().replace(struct.pack("<I", 1000), struct.pack("<I", 100))
    path.write_bytes(data)
    return path


def two_headed_zip(path: Path) -> Path:
    """The directory says a.png, the member itself ../../b.png."""
    zipped(path, {"aaaaaaaaaa.png": b"x"})
    data = path.read_bytes()
    path.write_bytes(data.replace(b"aaaaaaaaaa.png", b"../../bbbb.png", 1))
    return path


def overlapping_zip(path: Path) -> Path:
    """Two entries of the directory that share one member's bytes."""
    zipped(path, {"a.png": b"x" * 1000, "b.png": b"x" * 1000})
    with zipfile.ZipFile(path) as opened:
        first, _ = opened.infolist()
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 42 : at + 46] = struct.pack("<I", first.header_offset)
    path.write_bytes(bytes(data))
    return path


def header_bomb_tar(path: Path) -> Path:
    """A tiny compressed tar whose extended header is to be 300 MB long."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 300_000_000
    with tarfile.open(path, "w:gz") as out:
        out.fileobj.write(header.tobuf(tarfile.USTAR_FORMAT) + bytes(300_000_000))
    return path


def many_headers_tar(path: Path) -> Path:
    """Files without content, whose long names are 10 MB each; behind NUL they are short."""
    with tarfile.open(path, "w:gz", compresslevel=1) as out:
        for number in range(14):
            header = tarfile.TarInfo("././@LongLink")
            header.type, header.size = tarfile.GNUTYPE_LONGNAME, 10 << 20
            name = f"{number}.png".encode().ljust(header.size, b"\0")
            out.fileobj.write(header.tobuf(tarfile.GNU_FORMAT) + name)
            out.fileobj.write(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
    return path


def sparse_tar(path: Path) -> Path:
    """A tar of one sparse file that is to be a terabyte."""
    info = tarfile.TarInfo("a.png")
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0",
               "GNU.sparse.name": "a.png", "GNU.sparse.realsize": "1000000000000"}  # fmt: skip
    info.pax_headers = headers
    info.size = 512
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as out:
        out.addfile(info, io.BytesIO(b"1\n999999999488\n512\n".ljust(512, b"\0")))
    return path


def linked_tar(path: Path) -> Path:
    """A link to a folder outside, then a file through it."""
    with tarfile.open(path, "w") as out:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, "../.."
        out.addfile(link)
        out.addfile(tarfile.TarInfo("way/evil.png"))
    return path


LINK = stat.S_IFLNK << 16
SPELLINGS = [unicodedata.normalize(form, "ä.png") for form in ("NFC", "NFD")]
EVIL: dict[str, tuple[Callable[[Path], Path], str]] = {
    "up.zip": (lambda p: zipped(p, {"a.png": b"", "x/../../evil.png": b"x"}), "leads out"),
    "up.tar": (lambda p: tarred(p, {"a.png": b"", "../evil.png": b"x"}), "leads out"),
    "absolute.zip": (lambda p: zipped(p, {"/tmp/evil.png": b"x"}), "absolute"),
    "absolute.tar": (lambda p: tarred(p, {f"{p.parent}/evil.png": b"x"}), "absolute"),
    "drive.zip": (lambda p: zipped(p, {"C:/evil.png": b"x"}), "absolute"),
    "backslash.zip": (lambda p: zipped(p, {"..\\evil.png": b"x"}), "backslash"),
    "nul.zip": (lambda p: zipped(p, {"a.png\0.txt": b"x"}), "control character"),
    "newline.tar": (lambda p: tarred(p, {"a\nb.png": b"x"}), "control character"),
    "link.zip": (lambda p: zipped(p, {"a.png": b"/etc/passwd"}, external_attr=LINK), "a link"),
    "link.tar": (linked_tar, "a link"),
    "hard-link.tar": (
        lambda p: tarred(p, {"a.png": b""}, type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        "a link",
    ),
    "device.tar": (lambda p: tarred(p, {"a.png": b""}, type=tarfile.CHRTYPE), "device"),
    "pipe.tar.gz": (lambda p: tarred(p, {"a.png": b""}, "w:gz", type=tarfile.FIFOTYPE), "device"),
    "twice.zip": (lambda p: zipped(p, {"a.png": b"1", "./a.png": b"2"}), "twice"),
    "case.zip": (lambda p: zipped(p, {"d/a.png": b"1", "D/A.PNG": b"2"}), "case"),
    "accents.tar": (lambda p: tarred(p, dict.fromkeys(SPELLINGS, b"")), "case"),
    "file-and-folder.tar": (lambda p: tarred(p, {"a": b"1", "A/b.png": b"2"}), "case"),
    "folder-and-file.zip": (lambda p: zipped(p, {"a/b.png": b"1", "a": b"2"}), "case"),
    "deep.zip": (lambda p: zipped(p, {"d/" * 20 + "a.png": b"x"}), "too deep"),
    "long.zip": (lambda p: zipped(p, {"ä" * 130 + ".png": b"x"}), "too long"),
    "encrypted.zip": (
        lambda p: flip_encrypted(zipped(p, {"a.png": b"x"})), "is encrypted: refused whole"
    ),
    "bomb.zip": (bomb_zip, "times its size"),
    "bomb.tar.xz": (lambda p: tarred(p, {"a.png": bytes(200_000_000)}, "w:xz"), "times its size"),
    "header-bomb.tar.gz": (header_bomb_tar, "absurd"),
    "many-headers.tar.gz": (many_headers_tar, "times its size"),
    "sparse.tar": (sparse_tar, "a link or a device"),
    "two-headed.zip": (two_headed_zip, "no whole archive"),
    "overlapping.zip": (overlapping_zip, "no whole archive"),
}  # fmt: skip


def flip_encrypted(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("name", EVIL)
def test_an_evil_archive_is_refused_before_a_byte_is_written(
    room: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, said = EVIL[name]
    archive = make(room.parent / "archives" / name)
    monkeypatch.setattr(archives, "_extract", lambda *words: pytest.fail("it was let through"))
    refuse(archive, room, said)


def test_what_only_shows_while_unpacking_leaves_nothing(room: Path) -> None:
    refuse(lying_zip(room.parent / "archives/lying.zip"), room, "no whole archive")
    path = zipped(room.parent / "archives/a.zip", {"a.png": b"a" * 999, "b.png": b"b" * 999})
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x03\x04") + 40
    data[at] ^= 0xFF
    path.write_bytes(bytes(data))
    refuse(path, room, "no whole archive")


def test_too_many_entries_are_refused(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_ENTRIES", 20)
    many = {f"{number}.png": b"" for number in range(21)}
    refuse(zipped(room.parent / "archives/a.zip", many), room, "more than 20 entries")
    refuse(tarred(room.parent / "archives/a.tar", many), room, "more than 20 entries")


@pytest.mark.parametrize("stated", [None, 3])
@pytest.mark.parametrize("before", [b"", b"PK: a program that unpacks itself"])
def test_a_zip_of_too_many_entries_fills_no_memory(
    room: Path, monkeypatch: pytest.MonkeyPatch, stated: int | None, before: bytes
) -> None:
    path = zipped(room.parent / "archives/a.zip", {f"{n:05d}.png": b"" for n in range(3000)})
    data = bytearray(before + path.read_bytes())
    if stated is not None:  # ZipFile does not look at the number
        data[-14:-10] = struct.pack("<HH", stated, stated)
    path.write_bytes(data)
    unpack(path, room / "target")
    assert len(tree(room / "target")) == 3000
    shutil.rmtree(room / "target")
    monkeypatch.setattr(entries, "MAX_ENTRIES", 2999)
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *words: pytest.fail("an entry was made"))
    refuse(path, room, "more than 2999 entries")


def test_a_zip_in_64_bits_is_counted_too(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"{number:05d}.png": b"" for number in range(70_000)}  # more than 16 bits can tell
    path = zipped(room.parent / "archives/a.zip", many)
    with entries.opened_archive(path) as opened:
        assert next(opened.members()) is not None
    data = bytearray(path.read_bytes())
    at = data.rindex(entries.END_64_SIGNATURE) + 24
    data[at : at + 16] = struct.pack("<QQ", 3, 3)
    path.write_bytes(data)
    monkeypatch.setattr(entries, "MAX_ENTRIES", 69_999)
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *words: pytest.fail("an entry was made"))
    refuse(path, room, "more than 69999 entries")


def test_a_directory_of_long_names_is_refused(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "MAX_DIRECTORY", 1000)
    path = zipped(room.parent / "archives/a.zip", {"a" * 200 + f"{n}.png": b"" for n in range(5)})
    refuse(path, room, "very long names")


def test_flat_pictures_are_no_bomb(room: Path) -> None:
    entries = {f"{number}.bmp": bytes(1_000_000) for number in range(30)}
    unpack(zipped(room.parent / "archives/a.zip", entries), room / "target")
    assert len(tree(room / "target")) == 30


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz"])
def test_a_damaged_archive_is_one_line_and_leaves_nothing(room: Path, name: str) -> None:
    path = room.parent / "archives" / name
    noise = {f"{number}.png": rng(0, number).bytes(3000) for number in range(5)}
    mode = {"gz": "w:gz", "xz": "w:xz"}.get(name.split(".")[-1], "w")
    whole = (zipped(path, noise) if name == "a.zip" else tarred(path, noise, mode)).read_bytes()
    marks = 1024 if name == "a.tar" else 0  # a plain tar may lose padding after its end mark
    for cut in range(0, min(len(whole), 15_000), 500):
        path.write_bytes(whole[:cut])
        refuse(path, room)
    draw = rng(0, "flips")
    for _ in range(100):
        data = bytearray(whole)
        data[int(draw.integers(len(data) - marks))] ^= 1 << int(draw.integers(8))
        path.write_bytes(bytes(data))
        try:
            unpack(path, room / "target")
        except PipelineError as error:
            assert "\n" not in str(error)
            assert names(room) == ["bystander"]
        else:  # padding, times, owners; and in a plain tar the pictures, which have no checksum
            for file in sorted((room / "target").rglob("*"), reverse=True):
                file.unlink() if file.is_file() else file.rmdir()
            (room / "target").rmdir()


def test_no_archive_at_all(room: Path) -> None:
    for number, data in enumerate((b"", b"PK", b"hello" * 1000, b"\x1f\x8b123", b"BZh9junk")):
        path = room.parent / f"archives/{number}.zip"
        path.write_bytes(data)
        refuse(path, room)


PIECES = ["..", ".", "", "a", "B", "b", "/", "\\", "C:", "\0", "\n", "~", "$HOME", "-rf", "con",
          "é", "e\u0301", "ß", "SS", "\u202e", "x" * 300, "a.png", "%2e%2e", "\udcff", "…",
          "．．"]  # fmt: skip


def test_200_fuzzed_names_put_nothing_outside(room: Path) -> None:
    came = 0
    for number in range(200):
        draw = rng(number, "names")
        names = {
            "/".join(PIECES[i] for i in draw.integers(len(PIECES), size=draw.integers(1, 5)))
            for _ in range(3)
        }
        entries = {name: b"evil" for name in sorted(names) if name}
        path = room.parent / f"archives/{number}"
        try:
            zipped(path, entries) if number % 2 else tarred(path, entries)
        except (UnicodeEncodeError, ValueError):  # names that a zip cannot hold
            entries = {name: b"" for name in entries if name.isprintable() and name.isascii()}
            zipped(path, entries or {"..": b""})
        before = outside(room)
        target = room / f"target{number}"
        try:
            unpack(path, target)
        except PipelineError as error:
            assert "\n" not in str(error) and not target.exists()
        else:
            came += 1
        new = {name for name in outside(room) - before if not name.startswith(f"{target}")}
        assert not new
        assert (room / "bystander").read_bytes() == b"mine"
    assert 10 < came < 190  # both kinds were tried


def test_a_full_disk_is_seen_first(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(room.parent / "archives/a.zip", {f"{n}.png": bytes(40 << 20) for n in range(2)})
    free = shutil.disk_usage(room).free
    monkeypatch.setattr(files, "RESERVE", free - (40 << 20))
    with pytest.raises(DiskError, match="has no room"):
        unpack(path, room / "target")
    assert names(room) == ["bystander"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small disk")
def test_a_disk_that_takes_no_more_files_is_not_the_archives_fault(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(room.parent / "archives/a.zip", {f"{n}.png": b"x" for n in range(20)})
    (room / "small").mkdir()
    size = "size=1m,nr_inodes=12"
    words = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", room / "small"]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("cannot mount here")
    try:
        monkeypatch.setattr(files, "RESERVE", 0)
        with pytest.raises(DiskError, match="No space left"):
            unpack(path, room / "small/target")
        assert names(room / "small") == []
    finally:
        subprocess.run(["umount", room / "small"], check=True)
