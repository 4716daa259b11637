"""What sources of archives share: bring the archive, unpack it beside the source, take its
pictures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.archives import unpack
from pipeline.downloads import Remote, download_any, part_of
from pipeline.errors import SourceError
from pipeline.files import check_room
from pipeline.sources import (
    DOWNLOADS,
    Brought,
    Progress,
    is_whole,
    plain_name,
    read_listing,
    scratch,
)
from pipeline.sources.folder import walk

JUNK = "__MACOSX"  # a Mac's notes on the pictures, named like them


def bring(root: Path, urls: list[str], name: str, remote: Remote, progress: Progress) -> Path:
    """The file of `remote`, called `name`, from the first of `urls` that gives it. It stays in
    DOWNLOADS, by its hash, so that changed params or code do not bring it again."""
    target = _kept(root, name, remote)
    download_any(urls, remote, target, partial(_tell, progress, name))
    return target


def check_space(root: Path, folder: Path, archives: dict[str, Remote]) -> None:
    """Raise DiskError unless there is room for what is still to come of the `archives`, by name,
    and for their pictures, which are hardly larger than their archives."""
    wanted = 0
    for name, remote in archives.items():
        target, size = _kept(root, name, remote), remote.num_bytes or 0
        if (scratch(folder) / target.name).is_dir():
            continue
        have = next(
            (path.stat().st_size for path in (target, part_of(target)) if path.is_file()), 0
        )
        wanted += size + max(0, size - have)
    check_room(root / DOWNLOADS, wanted)


def unpacked(archive: Path, name: str, folder: Path) -> Path:
    """The unpacked `archive`, in the scratch folder of the source at `folder`; `name` tells its
    content from any other."""
    tree = scratch(folder) / name
    if not tree.is_dir():
        unpack(archive, tree)
    return tree


def pictures(tree: Path) -> Iterator[Path]:
    """The image files of an unpacked archive, sorted."""
    return (path for path in walk(tree) if not is_junk(path.relative_to(tree).as_posix()))


def is_junk(name: str) -> bool:
    """Is it, by its path in an archive, none of the pictures?"""
    return JUNK in name.split("/")


def earlier(folder: Path) -> Brought | None:
    """What an earlier fetch of the same params brought into `folder`, if all of it still stands."""
    try:
        listing = read_listing(folder)
    except SourceError:
        return None
    for row in listing.files:
        pairs = ((row.file, row.sha256), (row.corrupted, row.corrupted_sha256))
        for name, sha256 in (*pairs, (row.mask, row.mask_sha256)):
            if name is not None and not is_whole(folder / name, sha256 or ""):
                return None
    return Brought(list(listing.files), list(listing.left_out))


def _kept(root: Path, name: str, remote: Remote) -> Path:
    return root / DOWNLOADS / plain_name(Path(name).stem, remote.sha256, Path(name).suffix)


def _tell(progress: Progress, name: str, done: int, total: int) -> None:
    progress(done, total, name)
