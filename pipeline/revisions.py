"""Files of the working folder, or of a git revision or a DVC experiment, read where they are:
nothing is checked out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from pipeline.errors import PipelineError

NOT_STORED = "No storage files available"  # dvc's words for an out that is in no cache


class RevisionError(PipelineError):
    """A revision, or a file of one, cannot be read."""


class Files(Protocol):
    """Where the files of a project are read from; paths are relative to its root."""

    @property
    def revision(self) -> str | None: ...
    def read(self, path: str) -> bytes: ...
    def open(self, path: str) -> contextlib.AbstractContextManager[IO[bytes]]: ...
    def has(self, path: str) -> bool: ...
    def folders(self, path: str) -> list[str]: ...


class WorkingFolder:
    """The files as they stand in `root`."""

    revision = None

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        with self.open(path) as file:
            return file.read()

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A file to read."""
        try:
            with open(self.root / path, "rb") as file:
                yield file
        except OSError as error:
            told = error.strerror or "cannot be read"
            raise RevisionError(self.root / path, told, "run `patina evaluate`") from None

    def has(self, path: str) -> bool:
        """Is there such a file?"""
        return (self.root / path).is_file()

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted."""
        home = self.root / path
        return sorted(one.name for one in home.iterdir() if one.is_dir()) if home.is_dir() else []


class Revision:
    """The files of a revision: those that git has, and outs of DVC out of its cache or remote.

    `name` is anything that git or DVC resolve: a commit, branch, tag or experiment. Raises
    RevisionError where there is no such revision.
    """

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        with self._told(name, "use a commit, branch, tag or experiment of this repository"):
            from dvc.api import DVCFileSystem  # type: ignore[import-untyped]

            self._files: Any = DVCFileSystem(repo=str(root), rev=name)
            self.revision: str | None = self._files.repo.get_rev()

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        with self.open(path) as file:
            return file.read()

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[IO[bytes]]:
        """A file to read."""
        where = f"{path} at {self.name}"
        with self._told(where, "evaluate there, or name another revision"):
            file = self._files.open(path, "rb")
        with file:
            yield file

    def has(self, path: str) -> bool:
        """Is there such a file, in a cache or not?"""
        with self._told(f"{path} at {self.name}", "see `dvc doctor`"):
            return bool(self._files.isfile(path))

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted."""
        with self._told(f"{path} at {self.name}", "see `dvc doctor`"):
            if not self._files.isdir(path):
                return []
            found = self._files.ls(path, detail=True)
            return sorted(Path(one["name"]).name for one in found if one["type"] == "directory")

    @contextlib.contextmanager
    def _told(self, where: str, next_step: str) -> Iterator[None]:
        """What dvc raises inside is a RevisionError."""
        from dvc.exceptions import DvcException  # type: ignore[import-untyped]

        try:
            yield
        except FileNotFoundError as error:
            if NOT_STORED in str(error):
                fetch = (
                    f"run `dvc fetch --all-commits`, or `dvc exp apply {self.name}` and `dvc repro`"
                )
                raise RevisionError(where, "is not in DVC's cache", fetch) from None
            raise RevisionError(where, "is not there", next_step) from None
        except DvcException as error:
            raise RevisionError(where, str(error), next_step) from None
        except OSError as error:
            raise RevisionError(where, error.strerror or str(error), next_step) from None


def open_revision(root: Path, name: str | None) -> Files:
    """The files of a revision, or of the working folder for None."""
    return WorkingFolder(root) if name is None else Revision(root, name)
