"""What sources of archives share: bring the archive, unpack it beside the source, take its
pictures."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.archives import unpack
from pipeline.downloads import Remote, download_any
from pipeline.errors import SourceError
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
    target = root / DOWNLOADS / plain_name(Path(name).stem, remote.sha256, Path(name).suffix)
    download_any(urls, remote, target, partial(_tell, progress, name))
    return target


def unpacked(archive: Path, name: str, folder: Path) -> Path:
    """The unpacked `archive`, in the scratch folder of the source at `folder`; `name` tells its
    content from any other."""
    tree = scratch(folder) / name
    if not tree.is_dir():
        unpack(archive, tree)
    return tree


def pictures(tree: Path) -> Iterator[Path]:
    """The image files of an unpacked archive, sorted."""
    return (path for path in walk(tree) if JUNK not in path.relative_to(tree).parts)


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


def _tell(progress: Progress, name: str, done: int, total: int) -> None:
    progress(done, total, name)
