"""What a zip or tar file holds, read under limits: its entries, and their bytes.

Nothing is believed that the archive says of itself; nothing is held of it that could fill memory.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from pipeline.errors import SourceError

MAX_ENTRIES = 200_000
MAX_DIRECTORY = 1 << 26  # bytes of a zip's directory, which is read at once
MAX_RATIO = 100  # bytes unpacked for each byte of an archive, where they are more than …
SMALL = 100_000_000  # … these: flat masks shrink a lot
MAX_DEPTH = 16  # folders in folders
MAX_NAME_BYTES = 255  # of one part of a path
MAX_READ = 1 << 24  # what a tar's own headers may ask for at once
ENCRYPTED = 0x1  # zip: bit of the flags
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
BROKEN = (
    zipfile.BadZipFile, tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip
# zip, of its specification (APPNOTE 4.3.12, 4.3.14 and 4.3.15): the directory's entries, and the
# two records that stand between it and the end record of an archive in 64 bits
DIRECTORY_ENTRY = struct.Struct("<4s24x3H12x")
ENTRY_SIGNATURE, END_64_SIGNATURE = b"PK\x01\x02", b"PK\x06\x06"
END_64_BYTES = 56 + 20


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


def refuse(archive: Path, what: str) -> ArchiveError:
    """The error of an archive in which something is odd."""
    return ArchiveError(archive, f"{what}: refused whole", "get it from a source that you trust")


def unpacked_limit(archive: Path) -> int:
    """How many bytes may come out of an archive."""
    return max(SMALL, MAX_RATIO * archive.stat().st_size)


@contextlib.contextmanager
def opened_archive(archive: Path) -> Iterator[Archive]:
    """A zip or tar file, told by its first bytes. Raises ArchiveError, also for whatever its
    decoder stumbles over inside the block."""
    with _reading(archive), open(archive, "rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"PK"):
            _check_directory(archive, file)
            with zipfile.ZipFile(file) as opened:
                yield _Zip(archive, opened)
            return
        plain: IO[bytes] = file
        for start, kind in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ", lzma)):
            if magic.startswith(start):
                plain = kind.open(file)
        bounded: Any = _Bounded(archive, plain, unpacked_limit(archive))
        with tarfile.open(fileobj=bounded, mode="r:", errorlevel=2) as tar:
            yield _Tar(archive, tar, bounded)


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """A member's path below the target, or ArchiveError."""
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        raise refuse(archive, f"{name!r} is an absolute path")
    if "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise refuse(archive, f"{name!r} holds a backslash or a control character")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts or not parts:
        raise refuse(archive, f"{name!r} leads out of the folder")
    if len(parts) > MAX_DEPTH or max(len(os.fsencode(part)) for part in parts) > MAX_NAME_BYTES:
        raise refuse(archive, f"{name[:80]!r} is too long or too deep")
    return parts


@contextlib.contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """What a decoder stumbles over is told in one line."""
    try:
        yield
    except BROKEN as error:
        what = f"is no whole archive ({type(error).__name__}: {str(error)[:120]})"
        raise ArchiveError(archive, what, "fetch it again") from None


def _check_directory(archive: Path, file: IO[bytes]) -> None:
    """Refuse a zip whose directory is too large, before ZipFile makes objects of all of it.

    ZipFile takes as many entries as fit into the directory's stated size, whatever their stated
    number, so they are counted here, one by one, up to the limit.
    """
    # ZipFile's own reading: a second one might find another directory than it does
    end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
    if not end:
        return  # ZipFile tells
    signature, _, _, _, stated, num_bytes, *_, place = end
    if stated > MAX_ENTRIES or num_bytes > MAX_DIRECTORY:
        raise refuse(archive, f"holds more than {MAX_ENTRIES} entries, or very long names")
    at = place - num_bytes - (END_64_BYTES if signature == END_64_SIGNATURE else 0)
    last, number = at + num_bytes, 0
    while 0 <= at < last:
        file.seek(at)
        record = file.read(DIRECTORY_ENTRY.size)
        if len(record) < DIRECTORY_ENTRY.size or not record.startswith(ENTRY_SIGNATURE):
            break  # ZipFile tells
        number += 1
        if number > MAX_ENTRIES:
            raise refuse(archive, f"holds more than {MAX_ENTRIES} entries")
        at += DIRECTORY_ENTRY.size + sum(DIRECTORY_ENTRY.unpack(record)[1:])
    file.seek(0)


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
                raise refuse(self.archive, f"{name!r} is a link or a device")
            if info.flag_bits & ENCRYPTED:
                raise refuse(self.archive, f"{name!r} is encrypted")
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
                raise refuse(self.archive, f"{info.name!r} is a link or a device")
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
            raise refuse(self.archive, "states a header of absurd size")
        self._check(self.file.tell() + size)
        return self.file.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        self._check(place)
        return self.file.seek(place, whence)

    def tell(self) -> int:
        return self.file.tell()

    def _check(self, place: int) -> None:
        if place > self.limit + MAX_READ:
            raise refuse(self.archive, f"unpacks to more than {MAX_RATIO} times its size")
