"""Files that may become photos of the index: found, read under limits, measured, or refused with a
reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import images, photos
from pipeline.errors import ImageError
from pipeline.executors import Executor, Processes, WorkerDiedError
from pipeline.files import printable, sha256_bytes
from pipeline.reading import read_photo
from pipeline.splits import pixel_id
from pipeline.twins import look_of

BATCH = 8  # files that a worker reads at a time
DEADLY = "the process that read it died (the file is damaged, or needs more memory than there is)"


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


def read_all(
    folder: Path, max_megapixels: float, candidates: list[Candidate], execute: Executor
) -> Iterator[Seen]:
    """Every candidate read, in whatever order, in batches; and who ends the process that reads it
    is refused like others. Raises WorkerDiedError where every process dies."""
    read = partial(read_batch, folder, max_megapixels)
    starts = range(0, len(candidates), BATCH)
    waiting = iter([candidates[start : start + BATCH] for start in starts])
    while True:
        try:
            for batch in execute(read, waiting):
                yield from batch
        except WorkerDiedError as error:
            lost = [one for batch in error.lost for one in batch]
            seen = _read_apart(read, lost)
            if len(lost) > 1 and all(one.reason == DEADLY for one in seen):
                raise
            yield from seen
        else:
            return


def _read_apart(
    read: Callable[[list[Candidate]], list[Seen]], batch: list[Candidate]
) -> list[Seen]:
    """By a process of their own; half by half, if that dies too, until who killed it is alone."""
    try:
        (seen,) = Processes(1, "index")(read, [batch])
    except WorkerDiedError:
        if len(batch) == 1:
            return [Seen(batch[0], {}, None, DEADLY)]
        middle = len(batch) // 2
        return _read_apart(read, batch[:middle]) + _read_apart(read, batch[middle:])
    return seen


def read_batch(folder: Path, max_megapixels: float, batch: list[Candidate]) -> list[Seen]:
    """Each of a batch read, or refused; for any process."""
    return [_read(folder, max_megapixels, one) for one in batch]


def _read(folder: Path, max_megapixels: float, one: Candidate) -> Seen:
    if one.left_out:
        return Seen(one, {}, None, one.left_out)
    try:
        data = _bytes_of(folder, one.path, one.sha256, max_megapixels)
        picture = photos.decode(data, max_megapixels)
        pixels = images.to_uint8(picture.pixels)
        identity = pixel_id(pixels)
        for part, path, sha256 in (
            ("corrupted", one.corrupted, one.corrupted_sha256),
            ("mask", one.mask, one.mask_sha256),
        ):
            if path is not None:
                beside = _bytes_of(folder, path, sha256, max_megapixels)
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


def _bytes_of(folder: Path, path: str, sha256: str | None, max_megapixels: float) -> bytes:
    """Only what is listed may be a link, since its bytes are known."""
    link = sha256 is not None
    return read_photo(folder / path, max_megapixels, sha256, link=link, since="fetched")


def _check_size(part: str, pixels: images.Array, other: images.Array) -> None:
    if pixels.shape[:2] != other.shape[:2]:
        sizes = [f"{one.shape[1]}x{one.shape[0]}" for one in (other, pixels)]
        raise ImageError(part, f"its {part} picture is {sizes[0]}, not {sizes[1]}", "mend the pair")
