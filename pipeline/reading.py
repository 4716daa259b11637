"""A photo's file, read: a regular one, no larger than its pixels can need, with the bytes that a
listing or the index names."""

import errno
import os
import stat
from pathlib import Path

from pipeline.errors import ImageError
from pipeline.files import sha256_bytes
from pipeline.photos import MEGAPIXEL

BYTES_A_PIXEL = 8  # of the largest file worth reading: 16 bits of four channels
BYTES_BESIDE = 64_000_000  # profiles, previews, metadata


def read_photo(
    path: Path, max_megapixels: float, sha256: str | None = None, *, link: bool = True,
    since: str = "indexed",
) -> bytes:  # fmt: skip
    """The bytes of the file at `path`, which may be a `link`.

    Raises ImageError if it is no regular file, larger than `max_megapixels` can need, cannot be
    read, or does not hash to `sha256`, which it did when it was `since` ("fetched", "indexed").
    """
    try:
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if link else os.O_NOFOLLOW)
        with open(os.open(path, flags), "rb") as file:
            _check_kind(path, os.fstat(file.fileno()), max_megapixels)
            data = file.read()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        if error.errno == errno.ELOOP:
            reason = "is a link, which is not followed"
        if error.errno == errno.EISDIR:
            reason = "is a folder"
        raise ImageError(path, reason, "run fetch and index") from None
    if sha256 not in (None, sha256_bytes(data)):
        step = "run `patina index` again" if since == "indexed" else "fetch it again"
        raise ImageError(path, f"has changed since it was {since}", step)
    return data


def _check_kind(path: Path, status: os.stat_result, max_megapixels: float) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(path, "is no regular file", "move it away")
    if status.st_size > max_megapixels * MEGAPIXEL * BYTES_A_PIXEL + BYTES_BESIDE:
        what = f"{status.st_size / 1e6:.0f} MB is more than {max_megapixels:g} megapixels can need"
        raise ImageError(path, what, "make it smaller or raise the limit")
