"""Reference weights are fetched once, into the cache, and only those of the known hashes."""

import pytest

from pipeline import downloads
from pipeline.downloads import DownloadError
from pipeline.files import sha256_bytes
from stages import reference
from tests.web import Page, serve

DATA = b"weights" * 1000


@pytest.fixture
def web(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    with serve() as running:
        running.pages["models/net.pth"] = Page(DATA)
        yield running


def fetch(web, data=DATA):
    return reference.fetch(f"{web.url}models/net.pth", sha256_bytes(data), len(data))


def test_a_file_is_fetched_once(web, tmp_path):
    path = fetch(web)
    assert path == tmp_path / "patina/net.pth" and path.read_bytes() == DATA
    assert fetch(web) == path and len(web.asked) == 1
    assert [one.name for one in path.parent.iterdir()] == ["net.pth"]


def test_a_broken_transfer_goes_on_where_it_stopped(web):
    web.pages["models/net.pth"].cuts = [3000]
    assert fetch(web).read_bytes() == DATA
    assert web.asked[1][1] == "bytes=3000-"


def test_other_bytes_never_arrive(web, tmp_path):
    web.pages["models/net.pth"].data = DATA[:-1] + b"?"
    with pytest.raises(DownloadError, match="its sha256 is"):
        fetch(web)
    assert not (tmp_path / "patina/net.pth").exists()


def test_without_a_source_there_is_no_network():
    assert reference.load_lpips(None) is None


def test_official_weights_come_from_both_addresses(web, monkeypatch, tmp_path):
    """The real chain: fetched, known, opened; these here are of another hash than they should."""
    from pipeline.errors import CheckpointError
    from pipeline.metrics import alexnet

    for name, pin in (("NETWORK", "NETWORK_SHA256"), ("HEADS", "HEADS_SHA256")):
        web.pages[f"{name}.pth"] = Page(DATA + name.encode())
        data = DATA + name.encode()
        monkeypatch.setattr(reference, name, (f"{web.url}{name}.pth", len(data)))
        monkeypatch.setattr(alexnet, pin, sha256_bytes(data))
    seen = []
    monkeypatch.setattr(alexnet, "load_official", lambda *paths: seen.append(paths) or "network")
    assert reference.load_lpips("official") == "network"
    files = [tmp_path / f"patina/{name}.pth" for name in ("NETWORK", "HEADS")]
    assert seen == [(*files, "cpu")] and all(one.is_file() for one in files)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="not the weights that LPIPS knows"):
        alexnet.load_official(*files)


def test_the_cache_is_below_home_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert reference.cache_folder() == tmp_path / ".cache/patina"
