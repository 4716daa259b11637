"""Every touch of the disk that must not go wrong: atomic writes, hashes, locks, whole-folder
publishing."""

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import BusyError, PipelineError

TEMPORARY = ".tmp-"
RESERVE = 100_000_000  # bytes of the disk that big writes leave free


class DiskError(PipelineError):
    """The disk refused: full, read-only, or not allowed."""


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write `data` so that `path` holds either the old content or all of the new, even after a
    kill."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: Any) -> None:
    """Sorted, indented, finite JSON with a final newline: the same data is the same bytes."""
    write_text(path, to_json(data, indent=1) + "\n")


def write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Files by name in a tar, the same bytes for the same files: without times and owners."""
    with (
        atomic(path) as temporary,
        tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, data in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def to_json(data: Any, indent: int | None = None) -> str:
    """The one spelling of JSON used for files and for hashes (sorted keys, no nan)."""
    separators = (",", ": ") if indent else (",", ":")
    return json.dumps(
        data,
        sort_keys=True,
        indent=indent,
        separators=separators,
        ensure_ascii=False,
        allow_nan=False,
    )


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success fsync it and move it to `path`, else remove
    it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=TEMPORARY, suffix=path.suffix, dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _disk_error(path, error) from None
    temporary = Path(name)
    try:
        yield temporary
        settle(temporary, path)
    except OSError as error:
        raise _disk_error(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def settle(finished: Path, path: Path) -> None:
    """Give a finished file its final name, on the disk for certain before that name holds it."""
    with writing(path):
        _sync(finished)
        finished.chmod(0o644)
        finished.replace(path)
        _sync(path.parent)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the disk refuses inside is a DiskError that names `path`."""
    try:
        yield
    except OSError as error:
        raise _disk_error(path, error) from None


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_bytes(data: bytes | memoryview) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def printable(path: Path | str) -> str:
    """The path as text that any JSON file can hold, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def copy_file(source: Path, target: Path) -> None:
    """Copy content atomically."""
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)


def link_file(source: Path, target: Path) -> None:
    """`copy_file`, of no bytes where the disk can give one file two names.

    Nothing in this project ever writes into a file that stands, so neither changes the other.
    """
    temporary = target.parent / f"{TEMPORARY}{os.getpid()}-{target.name}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, temporary)
        temporary.replace(target)
    except OSError:  # another disk, one without links, or a forbidden one
        copy_file(source, target)
    finally:
        temporary.unlink(missing_ok=True)


def check_room(folder: Path, num_bytes: int) -> None:
    """Raise DiskError unless the disk of `folder` has room for `num_bytes` and RESERVE more."""
    free = shutil.disk_usage(_standing(folder)).free
    if free < num_bytes + RESERVE:
        wanted = f"{(num_bytes + RESERVE) / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free"
        raise DiskError(folder, f"has no room ({wanted})", "free some space and run it again")


def check_writable(folder: Path) -> None:
    """Raise DiskError unless files can be made in `folder`, or in what stands of the way to it."""
    with writing(folder), tempfile.TemporaryFile(prefix=TEMPORARY, dir=_standing(folder)):
        pass


def publish(work: Path, target: Path, last: str | None = None) -> None:
    """Make folder `target` a copy of the finished folder `work`; the file named `last` arrives
    last. A file that `work` took over from there by `link_file` stays as it is.

    Files of `target` that `work` does not hold are removed first, `last` before all others, so that
    its presence always means that the rest is whole.
    """
    found = (file.relative_to(work) for file in work.rglob("*") if file.is_file())
    wanted = {name for name in found if not name.name.startswith(TEMPORARY)}
    try:
        target.mkdir(parents=True, exist_ok=True)
        if last is not None:
            (target / last).unlink(missing_ok=True)
        for file in sorted(target.rglob("*")):
            if file.is_file() and file.relative_to(target) not in wanted:
                file.unlink()
    except OSError as error:
        raise _disk_error(target, error) from None
    for name in sorted(wanted, key=lambda name: (str(name) == last, str(name))):
        if not _is_one(work / name, target / name):
            copy_file(work / name, target / name)


def _is_one(one: Path, other: Path) -> bool:
    """Are these two names of one file?"""
    return other.is_file() and other.samefile(one)


@contextlib.contextmanager
def lock(target: Path) -> Iterator[None]:
    """Hold `target` alone, by flock on a hidden sibling file, which the kernel frees when the
    holder dies.

    The file is there only while it is held (or was when its holder was killed): it is removed
    before it is let go, and whoever gets hold of a file that stands there no more begins again.
    """
    sibling = target.parent / f".{target.name}.lock"
    handle = _hold(sibling, target)
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        if _stands_at(handle, sibling):
            sibling.unlink(missing_ok=True)
        os.close(handle)


def _standing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(home for home in (folder, *folder.absolute().parents) if home.is_dir())


def _hold(sibling: Path, target: Path) -> int:
    """An open, locked handle of the very file that stands at `sibling`. Raises BusyError."""
    while True:
        try:
            sibling.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(sibling, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _disk_error(sibling, error) from None
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held = True
            except BlockingIOError:
                held = False
            if _stands_at(handle, sibling):
                if held:
                    stack.pop_all()
                    return handle
                name = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
                raise BusyError(target, f"busy: pid {name} works on it", "wait or stop it")


def _stands_at(handle: int, path: Path) -> bool:
    """Is `path` still the name of the open file?"""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(handle), there)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _disk_error(path: Path, error: OSError) -> DiskError:
    hints = {
        errno.ENOSPC: "free some space and run it again",
        errno.EROFS: "choose a folder that can be written",
        errno.EACCES: "choose a folder that you may write",
    }
    step = hints.get(error.errno or 0, "mend that and run it again")
    return DiskError(path, f"cannot be written ({error.strerror or error})", step)
