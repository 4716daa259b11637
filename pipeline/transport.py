"""Bytes from an address, from any position on: http(s) through requests, the rest through fsspec.

fsspec could do http too, but hides whether a server honoured the range, and knows no If-Range.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import fsspec
import requests
import urllib3

from pipeline.errors import PipelineError, SourceError

CHUNK = 1 << 18
TIMEOUTS = (10.0, 60.0)  # seconds to connect, and between two packets
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses that another try may mend
PARTIAL, RANGE_ENDED = 206, 416
MARKS = ("ETag", "etag", "md5Hash")  # what stores tell of an object's content
PAGE = re.compile(rb"\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
MAX_TOLD = 160  # letters of a library's own error
MEND = "mend the address"


class DownloadError(SourceError):
    """A file cannot be had from its address, however often it is tried."""


class BrokenError(Exception):
    """A try failed; the next one may not."""


class ForeignError(BrokenError):
    """What would come does not continue what has come so far."""


class Reply(NamedTuple):
    """What an address sends: bytes from `start` on, of `total`; `tag` changes with the content."""

    start: int
    total: int | None
    tag: str | None
    chunks: Iterator[bytes]


@contextlib.contextmanager
def connect(url: str, start: int, tag: str | None) -> Iterator[Reply]:
    """Ask for the bytes of `url` from `start` on, if its content still is that of `tag`; a reply
    may begin at 0 all the same.

    Raises BrokenError for what may pass, ForeignError, and DownloadError for what will not pass.
    """
    opened = _open_http if re.match("https?:", url, re.IGNORECASE) else _open_store
    with opened(url, start, tag) as reply:
        yield reply


def printable_url(url: str) -> str:
    """An address without what may be a secret in it: user, password, query."""
    return re.sub(r"//[^/@]*@", "//", url.split("?")[0].split("#")[0])


def refuse_page(url: str) -> None:
    """Raise DownloadError: a web page came in place of a file."""
    step = "open it in a browser: it may want consent or a login"
    raise DownloadError(printable_url(url), "answers with a web page, not with the file", step)


@contextlib.contextmanager
def _open_http(url: str, start: int, tag: str | None) -> Iterator[Reply]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "patina"}
    if start:
        headers["Range"] = f"bytes={start}-"
        headers |= {"If-Range": tag} if tag else {}
    try:
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as answer:
            yield _read_http(answer, start, tag)
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        raise BrokenError(_say(error)) from None
    except requests.RequestException as error:
        raise DownloadError(printable_url(url), _say(error), MEND) from None


def _read_http(answer: requests.Response, start: int, tag: str | None) -> Reply:
    url, status, headers = printable_url(answer.url), answer.status_code, answer.headers
    if status == RANGE_ENDED and start:  # all there is has come: its hash will tell
        return Reply(start, None, tag, iter(()))
    if status in PASSING:
        raise BrokenError(f"the server answers {status} {answer.reason}")
    if status not in (200, PARTIAL):
        what = f"the server answers {status} {answer.reason}"
        raise DownloadError(url, what, f"{MEND}, or look whether it wants a login")
    if headers.get("Content-Type", "").lower().startswith("text/html"):
        refuse_page(url)
    etag = headers.get("ETag", "")
    now = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    if status == PARTIAL:
        told = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if not told or int(told[1]) != start or (tag and now != tag):
            raise ForeignError("the server answers with another part than was asked for")
        return Reply(start, None if told[2] == "*" else int(told[2]), now, _raw(answer))
    length = headers.get("Content-Length", "")
    return Reply(0, int(length) if length.isdecimal() else None, now, _raw(answer))


def _raw(answer: requests.Response) -> Iterator[bytes]:
    """The bytes as they come in: waiting for full chunks would lose what came before a break."""
    try:
        while chunk := answer.raw.read1(CHUNK, decode_content=False):
            yield chunk
    except urllib3.exceptions.ProtocolError:
        raise BrokenError("the connection broke off") from None


@contextlib.contextmanager
def _open_store(url: str, start: int, tag: str | None) -> Iterator[Reply]:
    try:
        files, path = fsspec.core.url_to_fs(url)
        info: dict[str, Any] = files.info(path)
        now = next((str(info[key]) for key in MARKS if info.get(key)), None)
        start = start if tag == now and start <= info["size"] else 0
        with files.open(path, "rb") as file:
            file.seek(start)
            yield Reply(start, info["size"], now, iter(lambda: file.read(CHUNK), b""))
    except (PipelineError, BrokenError):
        raise
    except (FileNotFoundError, PermissionError, ImportError, ValueError) as error:
        step = "install that" if isinstance(error, ImportError) else MEND
        raise DownloadError(printable_url(url), _say(error), step) from None
    except Exception as error:  # every file system has errors of its own
        raise BrokenError(_say(error)) from None


def _say(error: Exception) -> str:
    """The end of a library's own error, which is what tells, without the secrets of an address."""
    text = re.sub(r"//[^/@\s]*@|\?\S*", "", str(error)).rsplit(": ", 1)[-1].strip(" ()'\"")
    return f"{type(error).__name__}: {text[:MAX_TOLD]}".removesuffix(": ")
