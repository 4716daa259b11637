"""zip and tar archives, unpacked whole or refused whole: nothing of a hostile one reaches the disk.

Every name, kind and size is looked at first; then all is unpacked into a folder beside the target,
which gets its name last. An archive inside an archive stays a file.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from pipeline.errors import SourceError
from pipeline.files import TEMPORARY, check_room, writing

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_ENTRIES = 200_000
MAX_RATIO = 100  # bytes unpacked for each byte of an archive, where they are more than …
SMALL = 100_000_000  # … these: flat masks shrink a lot
MAX_DEPTH = 16  # folders in folders
MAX_NAME_BYTES = 255  # of one part of a path
MAX_READ = 1 << 24  # what a tar's own headers may ask for at once
CHUNK = 1 << 20
ENCRYPTED = 0x1  # zip: bit of the flags
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip


class ArchiveError(SourceError):
    """An archive is hostile, damaged, or none."""


class Member(NamedTuple):
    """A file in an archive, with the archive's own record of it."""

    name: str
    parts: tuple[str, ...]
    num_bytes: int
    record: Any


class Archive(Protocol):
    """What zip and tar share: their entries (folders as None), and a file's bytes."""

    def members(self) -> Iterator[Member | None]: ...
    def open(self, record: Any) -> IO[bytes]: ...


def is_archive(name: str) -> bool:
    """Has the name a suffix that `unpack` knows?"""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path) -> None:
    """Unpack into the new folder `target`: whole, or not at all (ArchiveError, DiskError).

    Refused: absolute paths, ``..``, links, devices, backslashes, drive letters, control characters,
    names that meet where case is ignored, encryption, too many or too deep entries, and bombs.
    """
    with _opened(archive) as opened:
        members = _check(archive, opened)
        check_room(target.parent, sum(member.num_bytes for member in members))
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
        try:
            for member in members:
                _extract(archive, opened, member, temporary)
            with writing(target):
                temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _check(archive: Path, opened: Archive) -> list[Member]:
    """The files of an archive in which nothing is amiss."""
    limit = max(SMALL, MAX_RATIO * archive.stat().st_size)
    members, total = list[Member](), 0
    files, folders = set[str](), set[str]()
    for number, member in enumerate(opened.members(), 1):
        if number > MAX_ENTRIES:
            raise _refuse(archive, f"holds more than {MAX_ENTRIES} entries")
        if member is None:
            continue
        total += member.num_bytes
        if total > limit:
            raise _refuse(archive, f"unpacks to more than {MAX_RATIO} times its size")
        key = _fold("/".join(member.parts))
        above = {_fold("/".join(member.parts[:depth])) for depth in range(1, len(member.parts))}
        if key in files or key in folders or above & files:
            raise _refuse(archive, f"holds {member.name!r} twice, or where only case tells apart")
        files.add(key)
        folders |= above
        members.append(member)
    return members


def _extract(archive: Path, opened: Archive, member: Member, folder: Path) -> None:
    path = folder.joinpath(*member.parts)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with open(path, "xb") as file, opened.open(member.record) as source:
        while done <= member.num_bytes and (chunk := source.read(CHUNK)):
            done += len(chunk)
            with writing(path):
                file.write(chunk)
                file.flush()
    if done != member.num_bytes:
        raise _refuse(archive, f"{member.name!r} has not the size that it states")


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """A member's path below the target, or ArchiveError."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise _refuse(archive, f"{name!r} is an absolute path")
    if "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise _refuse(archive, f"{name!r} holds a backslash or a control character")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or not parts:
        raise _refuse(archive, f"{name!r} leads out of the folder")
    if len(parts) > MAX_DEPTH or max(len(os.fsencode(part)) for part in parts) > MAX_NAME_BYTES:
        raise _refuse(archive, f"{name[:80]!r} is too long or too deep")
    return parts


def _fold(path: str) -> str:
    """What a disk that ignores case and accents' spelling makes of a path."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def _refuse(archive: Path, what: str) -> ArchiveError:
    return ArchiveError(archive, f"{what}: refused whole", "get it from a source that you trust")


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """What a decoder stumbles over is told in one line."""
    try:
        yield
    except BROKEN as error:
        what = f"is no whole archive ({type(error).__name__}: {str(error)[:120]})"
        raise ArchiveError(archive, what, "fetch it again") from None


@contextlib.contextmanager
def _opened(archive: Path) -> Iterator[Archive]:
    with _reading(archive), open(archive, "rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"PK"):
            with zipfile.ZipFile(file) as opened:
                yield _Zip(archive, opened)
            return
        plain: IO[bytes] = file
        for start, kind in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
            if magic.startswith(start):
                plain = kind.open(file)
        limit = max(SMALL, MAX_RATIO * archive.stat().st_size)
        bounded: Any = _Bounded(archive, plain, limit)
        with tarfile.open(fileobj=bounded, mode="r:", errorlevel=2) as tar:
            yield _Tar(archive, tar, bounded)


class _Zip:
    """A zip file. Its own code ends a member at the stated size and checks its CRC."""

    def __init__(self, archive: Path, opened: zipfile.ZipFile) -> None:
        self.archive, self.opened = archive, opened

    def members(self) -> Iterator[Member | None]:
        for info in self.opened.infolist():
            name = info.orig_filename  # the other one is cut at NUL
            parts = _parts(self.archive, name)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refuse(self.archive, f"{name!r} is a link or a device")
            if info.flag_bits & ENCRYPTED:
                raise _refuse(self.archive, f"{name!r} is encrypted")
            with self.opened.open(info):  # compares it with the member's own header
                yield None if info.is_dir() else Member(name, parts, info.file_size, info)

    def open(self, record: Any) -> IO[bytes]:
        return self.opened.open(record)


class _Tar:
    """A tar file."""

    def __init__(self, archive: Path, opened: tarfile.TarFile, file: IO[bytes]) -> None:
        self.archive, self.opened, self.bytes = archive, opened, file

    def members(self) -> Iterator[Member | None]:
        for info in self.opened:
            if info.isdir() and set(info.name.split("/")) <= {"", "."} and info.name[:1] != "/":
                yield None  # the folder that was packed
                continue
            parts = _parts(self.archive, info.name)
            if not info.isdir() and (info.type not in REGULAR or info.issparse()):
                raise _refuse(self.archive, f"{info.name!r} is a link or a device")
            yield None if info.isdir() else Member(info.name, parts, info.size, info)
        self.bytes.seek(self.opened.offset)
        if self.bytes.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it ends without its end mark")  # tarfile takes that for an end

    def open(self, record: Any) -> IO[bytes]:
        file = self.opened.extractfile(record)
        assert file is not None, record
        return file


class _Bounded:
    """The bytes of a tar, however it is compressed, up to a limit."""

    def __init__(self, archive: Path, file: IO[bytes], limit: int) -> None:
        self.archive, self.file, self.limit = archive, file, limit

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_READ:
            raise _refuse(self.archive, "states a header of absurd size")
        self._check(self.file.tell() + size)
        return self.file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        self._check(place)
        return self.file.seek(place, whence)

    def tell(self) -> int:
        return self.file.tell()

    def _check(self, place: int) -> None:
        if place > self.limit + MAX_READ:
            raise _refuse(self.archive, f"unpacks to more than {MAX_RATIO} times its size")
