"""Files from addresses: resumed where they broke off, tried again, trusted by their sha256 alone.

pooch, the usual library, starts every try anew; what it lacks is here, once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pipeline.files import check_room, settle, sha256_file, write_json, writing
from pipeline.transport import (
    PAGE,
    BrokenError,
    DownloadError,
    ForeignError,
    Reply,
    connect,
    printable_url,
    refuse_page,
)

NUM_TRIES = 3  # in a row that brought next to nothing
PAUSE = 1.0  # seconds before the second try; doubled before each further one
MAX_UNTOLD = 20_000_000_000  # bytes of a file whose length nobody tells
PROGRESS_BYTES = 1_000_000  # new bytes for which earlier tries are forgiven
AGAIN = "run it again, it goes on where it stopped"

Tell = Callable[[int, int], None]  # bytes here, bytes in all


class Remote(NamedTuple):
    """A file somewhere else. `num_bytes` where it is known beforehand."""

    url: str
    sha256: str
    num_bytes: int | None = None


def download(remote: Remote, target: Path, tell: Tell, pause: float = PAUSE) -> None:
    """Bring a file; at `target` it stands whole, by its sha256, or not at all.

    What has come so far lies in ``<target>.part``, for the next try and the next run. After
    NUM_TRIES in a row that brought less than PROGRESS_BYTES it is a DownloadError; so are, at once,
    the same wrong content twice, more than MAX_UNTOLD from an address that tells no length, and
    what no further try can mend. DiskError when there is no room.
    """
    if target.is_file() and sha256_file(target) == remote.sha256:
        return
    part = _Part(target, remote)
    failures, furthest, wrong = 0, part.size, ""
    reason, step = "", AGAIN
    while failures < NUM_TRIES:
        if failures:
            time.sleep(pause * 2 ** (failures - 1))
        try:
            part.fetch_rest(tell)
            digest = sha256_file(part.path)
            if digest == remote.sha256:
                part.settle()
                return
            part.drop()
            reason = f"its sha256 is {digest}, not {remote.sha256}"
            step = "name another address or mend the sha256"
            if digest == wrong:
                break
            wrong = digest
        except BrokenError as error:
            reason, step = str(error), AGAIN
        failures += 1
        if part.size >= furthest + PROGRESS_BYTES:
            failures, furthest = 1, part.size
    raise DownloadError(printable_url(remote.url), reason, step)


def download_any(urls: list[str], remote: Remote, target: Path, tell: Tell) -> None:
    """`download` from the first of several addresses that gives the file; a part that one of them
    began is ended by the next."""
    problems = []
    for url in urls:
        try:
            return download(remote._replace(url=url), target, tell)
        except DownloadError as error:
            problems.append(error)
    if len(problems) == 1:
        raise problems[0]
    told = " | ".join(f"{error.where}: {error.what}" for error in problems)
    raise DownloadError(target.name, f"no address gives it ({told})", AGAIN)


def part_of(target: Path) -> Path:
    """Where what has come of a file lies until it is whole."""
    return target.with_name(f"{target.name}.part")


class _Part:
    """The unfinished file, and beside it where it came from."""

    def __init__(self, target: Path, remote: Remote) -> None:
        self.target, self.remote = target, remote
        self.path = part_of(target)
        self.origin = target.with_name(f"{target.name}.part.json")
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)

    def settle(self) -> None:
        self.origin.unlink(missing_ok=True)
        settle(self.path, self.target)

    def fetch_rest(self, tell: Tell) -> None:
        """Append what is missing. Raises BrokenError when not all came."""
        promised = self.remote.num_bytes
        if promised is not None and self.size > promised:
            self.drop()
        if self.size and self.size == promised:
            return
        try:
            with connect(self.remote.url, self.size, self._tag()) as reply:
                if reply.total is not None and promised not in (None, reply.total):
                    what = f"holds {reply.total} bytes, not the {promised} promised"
                    where = printable_url(self.remote.url)
                    raise DownloadError(where, what, "name another address")
                total = promised if promised is not None else reply.total
                self._append(reply, total, tell)
        except ForeignError:
            self.drop()
            raise
        if total is not None and self.size < total:
            raise BrokenError(f"it ended after {self.size} of {total} bytes")

    def _append(self, reply: Reply, total: int | None, tell: Tell) -> None:
        done, chunk = reply.start, next(reply.chunks, b"")
        if done == 0 and PAGE.match(chunk):  # before anything is thrown away for it
            refuse_page(self.remote.url)
        check_room(self.target.parent, 0 if total is None else total - done)
        if done == 0:
            with writing(self.path):
                self.path.write_bytes(b"")
            write_json(self.origin, {"url": self.remote.url, "tag": reply.tag})
        with open(self.path, "ab") as file:
            while chunk:
                with writing(self.path):
                    file.write(chunk)
                    file.flush()
                done += len(chunk)
                tell(done, max(done, total or 0))
                if total is None:
                    self._check_untold(done)
                elif done > total:
                    raise ForeignError(f"more than its {total} bytes come")
                chunk = next(reply.chunks, b"")

    def _check_untold(self, done: int) -> None:
        check_room(self.target.parent, 0)
        if done > MAX_UNTOLD:
            self.drop()
            what = f"more than {MAX_UNTOLD / 1e9:g} GB come, of a length that is not told"
            where = printable_url(self.remote.url)
            raise DownloadError(where, what, "name an address that tells its length")

    def _tag(self) -> str | None:
        """What this very address told of the content that the part is of."""
        try:
            origin = json.loads(self.origin.read_text(encoding="utf-8"))
            tag = origin["tag"] if origin["url"] == self.remote.url else None
            return tag if isinstance(tag, str) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None
