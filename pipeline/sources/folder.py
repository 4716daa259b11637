"""A user's own photos: any tree of images."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.files import copy_file, sha256_file
from pipeline.photos import SUFFIXES
from pipeline.sources import SOURCES, ListedFile, Progress, Source, is_whole, plain_name


@SOURCES.add
class Folder(Source):
    """`path`: the tree, absolute or relative to the project; links are not followed."""

    path: str

    def fetch(self, root: Path, folder: Path, progress: Progress) -> list[ListedFile]:
        """Copy every image file under safe names; their own names stay in the listing.

        An empty tree is fine: only a recipe that needs its photos will miss them.
        """
        tree = root / self.path
        if not tree.is_dir():
            raise SourceError(
                f"source folder: {tree}", "is no folder", "create it or mend its path"
            )
        found = list(walk(tree))
        listed: dict[str, ListedFile] = {}
        for done, path in enumerate(found, 1):
            try:
                digest, size = sha256_file(path), path.stat().st_size
            except OSError as error:
                reason = error.strerror or "cannot be read"
                raise SourceError(printable(path), reason, "make it readable or move it") from None
            file = plain_name(path.stem, digest, path.suffix.lower())
            if not is_whole(folder / file, size, digest):
                copy_file(path, folder / file)
            listed.setdefault(
                file,
                ListedFile(
                    name=printable(path.relative_to(tree)),
                    file=file,
                    num_bytes=size,
                    sha256=digest,
                    split=None,
                    group=None,
                    licence=None,
                ),
            )
            progress(done, len(found))
        return list(listed.values())


def walk(tree: Path) -> Iterator[Path]:
    """Image files below `tree`, sorted; neither links nor anything that is no regular file."""
    for home, folders, names in os.walk(tree, followlinks=False):
        folders.sort(key=os.fsencode)
        for name in sorted(names, key=os.fsencode):
            path = Path(home, name)
            if path.suffix.lower() in SUFFIXES and stat.S_ISREG(path.lstat().st_mode):
                yield path


def printable(path: Path) -> str:
    """The path as text that any JSON file can hold, whatever its bytes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
