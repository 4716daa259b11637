"""Downloads stand whole or not at all, whatever the server does on the way."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import downloads, files
from pipeline.downloads import PROGRESS_BYTES, Remote, download, download_any, printable_url
from pipeline.errors import PipelineError
from pipeline.files import DiskError, sha256_bytes
from pipeline.seeds import rng
from pipeline.transport import DownloadError
from tests.conftest import ROOT
from tests.web import Page, Web, serve

DATA = rng(0, "download").bytes(300_000)


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        running.pages["a.bin"] = Page(DATA)
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep/a.bin"


def remote_of(web: Web, data: bytes = DATA, size: bool = True, path: str = "a.bin") -> Remote:
    return Remote(f"{web.url}{path}", sha256_bytes(data), len(data) if size else None)


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def bring(web: Web, target: Path, size: bool = True) -> None:
    download(remote_of(web, web.pages["a.bin"].data, size), target, quiet, pause=0.0)


def refuse(web: Web, target: Path, *said: str, remote: Remote | None = None) -> None:
    with pytest.raises(PipelineError) as caught:
        download(remote or remote_of(web), target, quiet, pause=0.0)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in said), line
    assert not target.exists()


def test_a_file_comes_whole_and_is_not_asked_for_again(web: Web, target: Path) -> None:
    told: list[tuple[int, int]] = []
    download(remote_of(web), target, lambda *now: told.append(now))
    assert target.read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA)) and told == sorted(told)
    assert [path.name for path in target.parent.iterdir()] == ["a.bin"]
    download(remote_of(web), target, quiet)
    assert len(web.asked) == 1


@pytest.mark.parametrize("size", [True, False])
def test_a_download_cut_at_any_of_100_points_is_resumed(
    web: Web, tmp_path: Path, size: bool
) -> None:
    for number in range(100):
        cut = 1 + (len(DATA) - 2) * number // 99
        web.pages["a.bin"].cuts = [cut]
        web.sent, web.asked = 0, []
        bring(web, tmp_path / f"{number}.bin", size)
        assert (tmp_path / f"{number}.bin").read_bytes() == DATA, cut
        assert web.sent <= 1.2 * len(DATA), (cut, web.sent)
        assert web.asked[1:] == [("a.bin", f"bytes={cut}-")]


KILLED = """
import os, sys
from pathlib import Path
from pipeline.downloads import Remote, download
def tell(done, total):
    if done >= int(sys.argv[4]):
        os.kill(os.getpid(), 9)
download(Remote(sys.argv[1], sys.argv[2], None), Path(sys.argv[3]), tell)
"""


def test_a_killed_download_goes_on_where_it_was(web: Web, target: Path) -> None:
    for point in (1, 100_000, len(DATA)):
        remote = remote_of(web)
        words = [remote.url, remote.sha256, str(target), str(point)]
        done = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=ROOT, check=False)
        assert done.returncode == -9 and not target.exists()
        assert target.with_name("a.bin.part").stat().st_size >= point
        web.sent = 0
        bring(web, target, size=False)
        assert target.read_bytes() == DATA and web.sent <= len(DATA) - point
        target.unlink()


def test_a_server_without_ranges_starts_anew(web: Web, target: Path) -> None:
    web.pages["a.bin"] = Page(DATA, ranges=False, cuts=[200_000])
    bring(web, target)
    assert target.read_bytes() == DATA and web.sent == 200_000 + len(DATA)


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("size", [True, False])
def test_a_file_that_changed_meanwhile_is_not_glued_together(
    web: Web, target: Path, conditions: bool, size: bool
) -> None:
    web.pages["a.bin"].statuses = []
    web.pages["a.bin"].cuts = [150_000, 0, 0, 0]
    refuse(web, target, "run it again")
    new = DATA[::-1]
    web.pages["a.bin"] = Page(new, etag='"2"', conditions=conditions)
    web.asked, told = [], list[int]()
    download(remote_of(web, new, size), target, lambda done, total: told.append(done), pause=0.0)
    assert target.read_bytes() == new
    assert told == sorted(told), "never a byte of it behind the old ones"
    assert len(web.asked) == (1 if conditions else 2)


def test_a_wrong_file_names_both_hashes_and_leaves_nothing(web: Web, target: Path) -> None:
    wrong = DATA[:-1] + b"x"
    web.pages["a.bin"].data = wrong
    refuse(web, target, sha256_bytes(DATA), sha256_bytes(wrong))
    assert list(target.parent.iterdir()) == []
    assert len(web.asked) == 2  # the same twice is enough


def test_a_wrong_beginning_is_dropped_and_all_comes_again(web: Web, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(b"x" * 1000)
    bring(web, target)
    assert target.read_bytes() == DATA
    assert [wanted for _, wanted in web.asked] == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [True, False])
def test_a_part_longer_than_the_file_is_dropped(web: Web, target: Path, size: bool) -> None:
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(b"x" * (len(DATA) + 5))
    bring(web, target, size)
    assert target.read_bytes() == DATA


def test_a_whole_part_is_not_asked_for(web: Web, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(DATA)
    bring(web, target)
    assert target.read_bytes() == DATA and web.asked == []


@pytest.mark.parametrize("page", [
    Page(b"  <!DOCTYPE html><title>Please accept</title>" + b" " * 999),
    Page(b"<p>log in", content_type="text/html; charset=utf-8"),
])  # fmt: skip
def test_a_web_page_is_no_file_and_costs_nothing_that_has_come(
    web: Web, target: Path, page: Page
) -> None:
    target.parent.mkdir()
    part = target.with_name("a.bin.part")
    part.write_bytes(DATA[:1000])
    page.ranges = False
    web.pages["a.bin"] = page
    refuse(web, target, "web page", remote=remote_of(web, size=False))
    assert part.read_bytes() == DATA[:1000] and len(web.asked) == 1


def test_a_length_that_is_too_long_still_ends(web: Web, target: Path) -> None:
    web.pages["a.bin"].length = 2 * len(DATA)
    bring(web, target, size=False)
    assert target.read_bytes() == DATA


def test_a_length_that_is_too_short_is_a_wrong_hash(web: Web, target: Path) -> None:
    web.pages["a.bin"].length = 1000
    refuse(web, target, sha256_bytes(DATA[:1000]), remote=remote_of(web, size=False))
    refuse(web, target, "holds 1000 bytes, not the 300000 promised")


def test_no_length_at_all_is_fine(web: Web, target: Path) -> None:
    web.pages["a.bin"].chunked = True
    bring(web, target, size=False)
    assert target.read_bytes() == DATA


def test_what_never_ends_and_tells_no_length_is_refused(
    web: Web, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "MAX_UNTOLD", len(DATA) - 1)
    bring(web, target, size=False)  # told by the server
    target.unlink()
    web.pages["a.bin"].chunked = True
    bring(web, target)  # told by the params
    target.unlink()
    refuse(web, target, "of a length that is not told", remote=remote_of(web, size=False))
    assert list(target.parent.iterdir()) == [] and len(web.asked) == 3


def test_a_part_from_elsewhere_than_asked_for_is_not_glued_on(web: Web, target: Path) -> None:
    web.pages["a.bin"].cuts, web.pages["a.bin"].begins = [1000], 500
    bring(web, target)
    assert target.read_bytes() == DATA
    assert [wanted for _, wanted in web.asked] == [None, "bytes=1000-", None]


def test_more_than_was_promised_is_refused(web: Web, target: Path) -> None:
    web.pages["a.bin"] = Page(DATA + b"more", chunked=True)
    refuse(web, target, "more than its 300000 bytes")
    assert list(target.parent.iterdir()) == []


def test_passing_troubles_are_tried_three_times(web: Web, target: Path) -> None:
    web.pages["a.bin"].statuses = [503, 429]
    bring(web, target)
    assert target.read_bytes() == DATA and len(web.asked) == 3
    target.unlink()
    web.pages["a.bin"].statuses = [503, 502, 500, 500]
    refuse(web, target, "500", "run it again")


def test_lasting_troubles_are_told_at_once(web: Web, target: Path) -> None:
    for status in (404, 403, 401, 410):
        web.pages["a.bin"].statuses, web.asked = [status], []
        refuse(web, target, str(status), web.url)
        assert len(web.asked) == 1


def test_waits_double(web: Web, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    web.pages["a.bin"].statuses = [503] * 9
    with pytest.raises(DownloadError):
        download(remote_of(web), target, quiet)
    assert waits == [1.0, 2.0]


def test_tries_that_bring_much_do_not_count(web: Web, target: Path) -> None:
    data = rng(1, "long").bytes(6 * PROGRESS_BYTES)
    web.pages["a.bin"] = Page(data, cuts=[PROGRESS_BYTES] * 5)
    bring(web, target)
    assert target.read_bytes() == data and len(web.asked) == 6


def test_a_server_that_never_gets_further_ends(web: Web, target: Path) -> None:
    data = rng(1, "long").bytes(3 * PROGRESS_BYTES)
    web.pages["a.bin"] = Page(data, ranges=False, cuts=[2 * PROGRESS_BYTES] * 50)
    refuse(web, target, "broke off", remote=remote_of(web, data))
    assert len(web.asked) <= 4


def test_redirects_are_followed_and_loops_end(web: Web, target: Path) -> None:
    web.pages |= {"moved.bin": Page(location="/a.bin"), "loop": Page(location="/loop")}
    download(remote_of(web, path="moved.bin"), target, quiet)
    assert target.read_bytes() == DATA
    target.unlink()
    refuse(web, target, "TooManyRedirects", remote=remote_of(web, path="loop"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "http://", "nonsense://x/y", "http://[::/x"]
)
def test_an_address_that_leads_nowhere_is_one_line(web: Web, target: Path, url: str) -> None:
    refuse(web, target, remote=Remote(url, "0" * 64))


def test_secrets_in_addresses_are_not_told(web: Web, target: Path) -> None:
    url = f"{web.url.replace('//', '//me:secret@')}absent.bin?token=secret"
    assert printable_url(url) == f"{web.url}absent.bin"
    web.pages["moved"] = Page(location="ftp://me:secret@127.0.0.1/a?token=secret")
    for bad in (url, "http://me:secret@127.0.0.1:1/a?token=secret", f"{web.url}moved"):
        with pytest.raises(DownloadError) as caught:
            download(Remote(bad, "0" * 64), target, quiet, pause=0.0)
        assert "secret" not in str(caught.value)


def test_mirrors_are_asked_in_turn_and_end_what_another_began(web: Web, target: Path) -> None:
    web.pages["b.bin"] = Page(DATA, etag='"b"')
    web.pages["a.bin"].cuts = [100_000]
    web.pages["a.bin"].statuses = []
    urls = [f"{web.url}{name}" for name in ("absent.bin", "a.bin", "b.bin")]
    download_any(urls[:2], remote_of(web), target, quiet)
    assert target.read_bytes() == DATA
    target.unlink()
    target.with_name("a.bin.part").write_bytes(DATA[:250_000])
    web.sent = 0
    download_any([urls[0], urls[2]], remote_of(web), target, quiet)
    assert target.read_bytes() == DATA and web.sent == 50_000
    target.unlink()
    with pytest.raises(DownloadError) as caught:
        download_any([urls[0], f"{web.url}neither.bin"], remote_of(web), target, quiet)
    assert "absent.bin" in str(caught.value) and "neither.bin" in str(caught.value)


def test_the_room_is_looked_at_first(
    web: Web, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(target.parent.parent).free
    monkeypatch.setattr(files, "RESERVE", free - len(DATA) // 2)
    with pytest.raises(DiskError, match="has no room"):
        bring(web, target)
    assert not target.exists() and not target.with_name("a.bin.part").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount a small disk")
def test_a_disk_that_fills_up_is_one_line_and_the_part_remains(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", small],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("cannot mount here")
    try:
        monkeypatch.setattr(files, "RESERVE", -len(DATA))
        with pytest.raises(DiskError, match=r"No space left|cannot be written"):
            bring(web, small / "a.bin")
        assert not (small / "a.bin").exists()
        assert DATA.startswith((small / "a.bin.part").read_bytes())
    finally:
        subprocess.run(["umount", small], check=True)


def test_other_stores_resume_too(target: Path) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe("/bucket/a.bin", DATA)
    remote = Remote("memory://bucket/a.bin", sha256_bytes(DATA))
    target.parent.mkdir()
    target.with_name("a.bin.part").write_bytes(DATA[:1000])
    told: list[int] = []
    download(remote, target, lambda done, total: told.append(done), pause=0.0)
    assert target.read_bytes() == DATA and told[0] > 1000
    refuse(Web({}), target.with_name("b"), remote=Remote("memory://bucket/none", "0" * 64))


has_s3 = all(importlib.util.find_spec(name) for name in ("moto", "s3fs", "flask"))


@pytest.mark.skipif(not has_s3, reason="needs s3fs and moto's server")
def test_s3_is_read_and_resumed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        s3fs.S3FileSystem.clear_instance_cache()
        store = s3fs.S3FileSystem()
        store.mkdir("photos")
        store.pipe("photos/a.bin", DATA)
        remote = Remote("s3://photos/a.bin", sha256_bytes(DATA))
        download(remote, target, quiet, pause=0.0)
        assert target.read_bytes() == DATA
        target.rename(target.with_name("a.bin.part"))
        os.truncate(target.with_name("a.bin.part"), 1000)
        origin = {"url": remote.url, "tag": store.info("photos/a.bin")["ETag"]}
        files.write_json(target.with_name("a.bin.part.json"), origin)
        told: list[int] = []
        download(remote, target, lambda done, total: told.append(done), pause=0.0)
        assert target.read_bytes() == DATA and told[0] > 1000
        refuse(Web({}), target.with_name("b"), remote=Remote("s3://photos/none", "0" * 64))
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def test_three_tries_is_the_rule() -> None:
    assert downloads.NUM_TRIES == 3
