"""A user's own photos: any tree of images."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import SourceError
from pipeline.files import printable
from pipeline.photos import SUFFIXES
from pipeline.sources import (
    SOURCES,
    Brought,
    LeftOut,
    ListedFile,
    Progress,
    Source,
    no_folder,
    take,
)

KINDS = {
    stat.S_IFLNK: "a link, not followed",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
FOREIGN = f"its suffix is none of a photo's ({', '.join(SUFFIXES)})"
EXPECTED = ("thumbs.db", "desktop.ini", "readme.md")  # none takes them for photos


@SOURCES.add
class Folder(Source):
    """`path`: the tree, absolute or relative to the project; links are not followed. `licence`: of
    all its photos; null: unknown."""

    path: str
    licence: str | None

    def check(self, root: Path) -> list[SourceError]:
        return no_folder("folder", root / self.path)

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Copy every image file under safe names; their own names stay in the listing.

        An empty tree is fine: only a recipe that needs its photos will miss them.
        """
        tree = root / self.path
        for problem in self.check(root):
            raise problem
        found = list(walk(tree))
        listed: dict[str, ListedFile] = {}
        for done, path in enumerate(found, 1):
            row = take(path, printable(path.relative_to(tree)), folder, licence=self.licence)
            listed.setdefault(row.file, row)
            progress(done, len(found))
        return Brought(list(listed.values()), [*strays(tree), *others(tree)])

    def own(self, root: Path) -> list[Path]:
        return [root / self.path]


def walk(tree: Path) -> Iterator[Path]:
    """Image files below `tree`, sorted; neither links nor anything that is no regular file."""
    return (path for path, reason in _look(tree) if not reason)


def strays(tree: Path) -> Iterator[LeftOut]:
    """What `walk` leaves out though it is named like a photo, or might lead to some."""
    for path, reason in _look(tree):
        if reason:
            yield LeftOut(name=printable(path.relative_to(tree)), reason=reason)


def others(tree: Path) -> Iterator[LeftOut]:
    """Files below `tree` that are not named like photos, but hidden ones and EXPECTED."""
    for path in sorted(tree.rglob("*"), key=os.fsencode):
        name, hidden = (
            path.name.lower(),
            any(part.startswith(".") for part in path.relative_to(tree).parts),
        )
        if path.suffix.lower() in SUFFIXES or hidden or name in EXPECTED:
            continue
        if path.is_file() and not path.is_symlink():
            yield LeftOut(name=printable(path.relative_to(tree)), reason=FOREIGN)


def _look(tree: Path) -> Iterator[tuple[Path, str]]:
    """Whatever is named like a photo below `tree`, every link to a folder, and every folder that
    cannot be read; each with the reason against it, if any."""
    closed: list[OSError] = []
    for home, folders, names in os.walk(tree, onerror=closed.append, followlinks=False):
        folders.sort(key=os.fsencode)
        below = set(folders)
        for name in sorted((*names, *folders), key=os.fsencode):
            path = Path(home, name)
            named = path.suffix.lower() in SUFFIXES
            if not named and name not in below:
                continue
            try:
                kind = stat.S_IFMT(path.lstat().st_mode)
            except OSError as error:  # it went away meanwhile
                if name not in below:  # of folders, `closed` tells
                    yield path, _say(error)
                continue
            if named or kind == stat.S_IFLNK:
                yield path, "" if kind == stat.S_IFREG else KINDS.get(kind, "a device")
    for failure in closed:
        if Path(failure.filename) == tree:
            raise SourceError(printable(tree), _say(failure), "make it readable")
        yield Path(failure.filename), f"a folder that cannot be read: {_say(failure)}"


def _say(error: OSError) -> str:
    return error.strerror or "cannot be read"
