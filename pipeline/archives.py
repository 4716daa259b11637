"""zip and tar archives, unpacked whole or refused whole: nothing of a hostile one remains.

Every name, kind and stated size is looked at first; then all is unpacked into a folder beside the
target, which gets its name last. An archive inside an archive stays a file.
"""

from __future__ import annotations

import shutil
import tempfile
import unicodedata
from pathlib import Path

from pipeline import entries
from pipeline.entries import Archive, Member, opened_archive, refuse, unpacked_limit
from pipeline.files import TEMPORARY, check_room, writing

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
CHUNK = 1 << 20


def is_archive(name: str) -> bool:
    """Has the name a suffix that `unpack` knows?"""
    return name.lower().endswith(SUFFIXES)


def unpack(archive: Path, target: Path) -> None:
    """Unpack into the new folder `target`: whole, or not at all (ArchiveError, DiskError).

    Refused: absolute paths, ``..``, links, devices, backslashes, drive letters, control characters,
    names that meet where case is ignored, encryption, too many or too deep entries, and bombs.
    """
    with opened_archive(archive) as opened:
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
    limit = unpacked_limit(archive)
    members, total = list[Member](), 0
    files, folders = set[str](), set[str]()
    for number, member in enumerate(opened.members(), 1):
        if number > entries.MAX_ENTRIES:
            raise refuse(archive, f"holds more than {entries.MAX_ENTRIES} entries")
        if member is None:
            continue
        total += member.num_bytes
        if total > limit:
            raise refuse(archive, f"unpacks to more than {entries.MAX_RATIO} times its size")
        key = _fold("/".join(member.parts))
        above = {_fold("/".join(member.parts[:depth])) for depth in range(1, len(member.parts))}
        if key in files or key in folders or above & files:
            raise refuse(archive, f"holds {member.name!r} twice, or where only case tells apart")
        files.add(key)
        folders |= above
        members.append(member)
    return members


def _extract(archive: Path, opened: Archive, member: Member, folder: Path) -> None:
    path = folder.joinpath(*member.parts)
    done = 0
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "xb")  # noqa: SIM115 - what reading raises is not the disk's
    with file, opened.open(member.record) as source:
        while done <= member.num_bytes and (chunk := source.read(CHUNK)):
            done += len(chunk)
            with writing(path):
                file.write(chunk)
                file.flush()
    if done != member.num_bytes:
        raise refuse(archive, f"{member.name!r} has not the size that it states")


def _fold(path: str) -> str:
    """What a disk that ignores case and accents' spelling makes of a path."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
