"""Files of a shard folder, or of the same behind an address, read whole into memory."""

from __future__ import annotations

import time
from pathlib import Path

from pipeline.errors import ShardError

NUM_TRIES = 3  # in a row that brought nothing new
PAUSE = 1.0  # seconds before the second try; doubled before each further one


def is_address(place: Path | str) -> bool:
    """Is it an address (``https://…``, ``s3://…``), not a folder of this machine?"""
    return isinstance(place, str) and "://" in place


def join(place: Path | str, name: str) -> Path | str:
    """Where the file `name` of a folder or an address lies; a query stays at the end."""
    if not is_address(place):
        return Path(place) / name
    base, mark, query = str(place).partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def read(file: Path | str, most: int) -> bytes:
    """The bytes of a file or an address, of an address `most` at most. Raises OSError for the one,
    ShardError and DownloadError for the other."""
    return read_url(str(file), most) if is_address(file) else Path(file).read_bytes()


def printable(file: Path | str) -> str:
    """A file or an address, without what may be a secret in it."""
    from pipeline.transport import printable_url

    return printable_url(str(file)) if is_address(file) else str(file)


def read_url(url: str, most: int, pause: float = PAUSE) -> bytes:
    """The bytes behind an address; what came before a break is not asked for again.

    After NUM_TRIES in a row that brought nothing new, and for more than `most` bytes: ShardError.
    DownloadError for what no further try can mend.
    """
    from pipeline.transport import BrokenError, ForeignError, connect  # of no use to local shards

    data, tag, failures = bytearray(), None, 0
    while True:
        before = len(data)
        try:
            with connect(url, len(data), tag) as reply:
                del data[reply.start :]
                tag = reply.tag
                for chunk in reply.chunks:
                    data += chunk
                    if len(data) > most:
                        what = f"more than its {most} bytes come"
                        raise ShardError(printable(url), what, "put the shards there again")
            if reply.total in (None, len(data)):
                return bytes(data)
            raise BrokenError(f"it ended after {len(data)} of {reply.total} bytes")
        except BrokenError as error:
            if isinstance(error, ForeignError):
                data.clear()
                tag = None
            failures = 1 if len(data) > before else failures + 1
            if failures >= NUM_TRIES:
                step = "run it again, it goes on where it stopped"
                raise ShardError(printable(url), str(error), step) from None
            time.sleep(pause * 2 ** (failures - 1))
