"""A user's own photos: any tree of images."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.photos import SUFFIXES
from pipeline.sources import (
    SOURCES,
    Brought,
    LeftOut,
    ListedFile,
    Progress,
    Source,
    printable,
    take,
)

KINDS = {
    stat.S_IFLNK: "a link, not followed",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


@SOURCES.add
class Folder(Source):
    """`path`: the tree, absolute or relative to the project; links are not followed."""

    path: str

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
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
            row = take(path, printable(path.relative_to(tree)), folder)
            listed.setdefault(row.file, row)
            progress(done, len(found))
        return Brought(list(listed.values()), list(strays(tree)))


def walk(tree: Path) -> Iterator[Path]:
    """Image files below `tree`, sorted; neither links nor anything that is no regular file."""
    return (path for path, kind in _look(tree) if kind == stat.S_IFREG)


def strays(tree: Path) -> Iterator[LeftOut]:
    """What `walk` leaves out though it is named like a photo, or might lead to some."""
    for path, kind in _look(tree):
        if kind != stat.S_IFREG:
            name = printable(path.relative_to(tree))
            yield LeftOut(name=name, reason=KINDS.get(kind, "a device"))


def _look(tree: Path) -> Iterator[tuple[Path, int]]:
    """Whatever is named like a photo below `tree`, and every link to a folder, with its kind."""
    for home, folders, names in os.walk(tree, followlinks=False):
        folders.sort(key=os.fsencode)
        for name in sorted((*names, *folders), key=os.fsencode):
            path = Path(home, name)
            kind = stat.S_IFMT(path.lstat().st_mode)
            linked = name in folders and kind == stat.S_IFLNK
            if linked or path.suffix.lower() in SUFFIXES:
                yield path, kind
