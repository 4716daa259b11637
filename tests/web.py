"""A small web server for tests, that misbehaves as it is told."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What stands at one path, and how it is served."""

    data: bytes = b""
    etag: str | None = '"1"'
    content_type: str = "application/octet-stream"
    ranges: bool = True  # honours Range
    conditions: bool = True  # honours If-Range
    begins: int | None = None  # where its Content-Range says that a part begins, if it lies
    length: int | None = None  # Content-Length, if it lies
    chunked: bool = False  # tells no length
    location: str | None = None  # redirects there
    statuses: list[int] = field(default_factory=list)  # of the next replies, without a body
    cuts: list[int] = field(default_factory=list)  # body bytes after which the next replies break


@dataclass
class Web:
    """The server's pages by path, what was asked of it, and how much it sent."""

    pages: dict[str, Page]
    url: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: int = 0


@contextlib.contextmanager
def serve() -> Iterator[Web]:
    """A running server on a free port of this machine."""
    web = Web({})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                _answer(self, web)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        web.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield web
        server.shutdown()
        thread.join()


def _answer(handler: BaseHTTPRequestHandler, web: Web) -> None:
    path, wanted = handler.path.lstrip("/").split("?")[0], handler.headers.get("Range")
    web.asked.append((path, wanted))
    page = web.pages.get(path)
    if page is None or page.statuses:
        handler.send_error(page.statuses.pop(0) if page else 404)
        return
    if page.location is not None:
        handler.send_response(302)
        handler.send_header("Location", page.location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return
    condition = handler.headers.get("If-Range")
    fresh = condition is None or condition == page.etag or not page.conditions
    start = (
        int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and page.ranges and fresh else 0
    )
    if start and start >= len(page.data):
        handler.send_error(416)
        return
    body = page.data[start:]
    handler.send_response(206 if start else 200)
    if start:
        told = start if page.begins is None else page.begins
        handler.send_header("Content-Range", f"bytes {told}-{len(page.data) - 1}/{len(page.data)}")
    if page.etag:
        handler.send_header("ETag", page.etag)
    handler.send_header("Content-Type", page.content_type)
    if page.chunked:
        handler.send_header("Connection", "close")
    else:
        handler.send_header("Content-Length", str(page.length or len(body)))
    handler.end_headers()
    cut = page.cuts.pop(0) if page.cuts else len(body)
    handler.close_connection = True  # whatever the headers promised
    web.sent += len(body[:cut])  # first: whoever has it all may look at once
    handler.wfile.write(body[:cut])
