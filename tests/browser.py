"""A real headless Chromium, driven by the DevTools protocol over a pipe: no port, no package."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
]  # fmt: skip
LIMIT = 120.0  # seconds that any answer may take
LAPTOP, PHONE = (1366, 768), (390, 844)


class Tab:
    """One page of a browser, and all that it asked for or complained of."""

    def __init__(self, send: int, receive: int, process: subprocess.Popen[bytes]) -> None:
        self._send, self._receive, self._process = send, receive, process
        self._number, self._buffer, self._session = 0, b"", ""
        self.asked: list[str] = []  # addresses, but for those that hold what they name
        self.complaints: list[str] = []
        self._loaded = False
        target = self.do("Target.createTarget", url="about:blank")["targetId"]
        attached = self.do("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """A command of the protocol, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._note(answer)

    def open(
        self, page: Path, size: tuple[int, int] = LAPTOP, dark: bool = False, script: bool = True
    ) -> None:
        """A file in a window of `size`, loaded with all its pictures."""
        self.look(size, dark=dark)
        self.do("Emulation.setScriptExecutionDisabled", value=not script)
        self._loaded = False
        self.do("Page.navigate", url=page.as_uri())
        while not self._loaded:
            self._note(self._read())

    def look(self, size: tuple[int, int], dark: bool = False, paper: bool = False) -> None:
        """Another window, color scheme or medium."""
        self.do("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1],
                deviceScaleFactor=1, mobile=size[0] < 600)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", media="print" if paper else "", features=[scheme])

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression; one that cannot be told as JSON is an error."""
        result = self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def press(self, key: str, times: int = 1) -> None:
        """A key, by its DOM name (``Tab``, ``ArrowLeft``, ``End``), as a keyboard sends it."""
        codes = {"Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39,
                 "ArrowDown": 40}  # fmt: skip
        for _ in range(times):
            for kind in ("rawKeyDown", "keyUp"):
                self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key,
                        windowsVirtualKeyCode=codes[key])  # fmt: skip

    def shoot(self, path: Path, whole: bool = False) -> Path:
        """A screenshot as PNG: of the window, or of the whole page."""
        clip = {}
        if whole:
            size = self.do("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"clip": {**size, "x": 0, "y": 0, "scale": 1}, "captureBeyondViewport": True}
        data = self.do("Page.captureScreenshot", format="png", **clip)["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def print(self, path: Path) -> Path:
        """The page on paper, as PDF."""
        data = self.do("Page.printToPDF", printBackground=False)["data"]
        path.write_bytes(base64.b64decode(data))
        return path

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + LIMIT
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._receive, 1 << 20) if ready else b""
            assert part, f"the browser says nothing (exit code {self._process.poll()})"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = params["request"]["url"]
            self.asked += [] if url.startswith(("data:", "about:")) else [url]
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(params)[:500])
        elif method == "Page.loadEventFired":
            self._loaded = True


@contextlib.contextmanager
def browse(profile: Path) -> Iterator[Tab]:
    """A tab of a fresh browser; skips where none is installed."""
    if BROWSER is None:
        pytest.skip("no chromium is installed")
    (their_in, send), (receive, their_out) = _pipe(), _pipe()

    def place() -> None:
        os.dup2(their_in, 3)
        os.dup2(their_out, 4)

    # 3 and 4 are where the browser looks: they are held, lest they be a pipe of Popen's own. Nor
    # may `pass_fds` name them: a library that closes its files after a fork may own them.
    held = [os.open(os.devnull, os.O_RDONLY) for _ in "ab"]
    process = subprocess.Popen(
        [BROWSER, *FLAGS, f"--user-data-dir={profile}"],
        close_fds=False, preexec_fn=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for end in (*held, their_in, their_out):
        os.close(end)
    try:
        yield Tab(send, receive, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        os.close(send)
        os.close(receive)


def _pipe() -> list[int]:
    """Both ends, of numbers that are not overwritten on the way to 3 and 4."""
    ends = os.pipe()
    found = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return found
