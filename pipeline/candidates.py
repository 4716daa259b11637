"""Files that may become photos of the index: found, read under limits, measured, or refused with a
reason."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import images, photos
from pipeline.errors import ImageError
from pipeline.files import sha256_bytes
from pipeline.splits import pixel_id
from pipeline.twins import look_of

BYTES_A_PIXEL = 8  # of the largest file worth reading: 16 bits of four channels
BYTES_BESIDE = 64_000_000  # profiles, previews, metadata


class Candidate(NamedTuple):
    """A file that may become a row. An official `split` or `group` overrides the computed one;
    `sha256` is that of the listing, where there is one. Only listed files may be links, since their
    bytes are known. What is `left_out` (why) is never read; `no_test` keeps it out of that split.
    """

    source: str
    name: str
    path: str
    split: str | None
    group: str | None
    sha256: str | None = None
    corrupted: str | None = None
    corrupted_sha256: str | None = None
    mask: str | None = None
    mask_sha256: str | None = None
    licence: str | None = None
    left_out: str = ""
    no_test: bool = False


class Seen(NamedTuple):
    """What reading a candidate gave: the row's fields and its look, or the reason against it."""

    candidate: Candidate
    fields: dict[str, Any]
    look: images.Array | None
    reason: str = ""


def read_batch(folder: Path, max_megapixels: float, batch: list[Candidate]) -> list[Seen]:
    """Each of a batch read, or refused; for any process."""
    return [_read(folder, max_megapixels, one) for one in batch]


def _read(folder: Path, max_megapixels: float, one: Candidate) -> Seen:
    if one.left_out:
        return Seen(one, {}, None, one.left_out)
    try:
        data = _read_file(folder, one.path, one.sha256, max_megapixels)
        picture = photos.decode(data, max_megapixels)
        pixels = images.to_uint8(picture.pixels)
        identity = pixel_id(pixels)
        for part, path, sha256 in (
            ("corrupted", one.corrupted, one.corrupted_sha256),
            ("mask", one.mask, one.mask_sha256),
        ):
            if path is not None:
                beside = _read_file(folder, path, sha256, max_megapixels)
                _check_size(part, pixels, photos.decode(beside, max_megapixels).pixels)
                identity = sha256_bytes(f"{identity}\n{sha256_bytes(beside)}".encode())
    except ImageError as error:
        return Seen(one, {}, None, error.what)
    fields = {
        "id": identity, "source": one.source, "name": one.name, "path": printable(one.path),
        "sha256": sha256_bytes(data), "width": pixels.shape[1], "height": pixels.shape[0],
        "gray": picture.gray, "official": one.split is not None, "no_test": one.no_test,
        "corrupted": one.corrupted,
        "corrupted_sha256": one.corrupted_sha256, "mask": one.mask,
        "mask_sha256": one.mask_sha256, "licence": one.licence,
    }  # fmt: skip
    return Seen(one, fields, look_of(pixels))


def _read_file(folder: Path, path: str, sha256: str | None, max_megapixels: float) -> bytes:
    """The bytes of a regular file. Raises ImageError for anything else, and for other bytes than
    those of the listing."""
    unlisted = os.O_NOFOLLOW if sha256 is None else 0
    try:
        handle = os.open(folder / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | unlisted)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise ImageError(path, "is no regular file", "move it away")
            if status.st_size > max_megapixels * photos.MEGAPIXEL * BYTES_A_PIXEL + BYTES_BESIDE:
                what = f"{status.st_size / 1e6:.0f} MB is more than {max_megapixels:g} megapixels"
                raise ImageError(path, f"{what} can need", "make it smaller or raise the limit")
            data = file.read()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        if error.errno == errno.ELOOP:
            reason = "is a link, which is not followed"
        if error.errno == errno.EISDIR:
            reason = "is a folder"
        raise ImageError(path, reason, "copy it again") from None
    if sha256 not in (None, sha256_bytes(data)):
        raise ImageError(path, "its bytes are not those that were fetched", "fetch it again")
    return data


def _check_size(part: str, pixels: images.Array, other: images.Array) -> None:
    if pixels.shape[:2] != other.shape[:2]:
        sizes = [f"{one.shape[1]}x{one.shape[0]}" for one in (other, pixels)]
        raise ImageError(part, f"its {part} picture is {sizes[0]}, not {sizes[1]}", "mend the pair")


def printable(path: str) -> str:
    """The path as text that any JSON file can hold, whatever bytes its name has."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
