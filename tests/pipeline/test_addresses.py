"""Shards behind http and s3 addresses are those of the folder, whatever the network does."""

import pytest

from pipeline import addresses
from pipeline.addresses import is_address, join, read_url
from pipeline.errors import PipelineError, ShardError
from pipeline.shards import read_manifest, read_samples, read_stories
from pipeline.stream import Source, Stream, StreamSection, load
from tests import web
from tests.pipeline.handmade import digests, first, write_shards
from tests.pipeline.test_url_store import s3  # noqa: F401


@pytest.fixture
def shards(tmp_path):
    return write_shards(tmp_path / "shards", 9, 12, 15)


@pytest.fixture
def served(shards):
    """The folder's files at an address."""
    with web.serve() as site:
        for path in shards.iterdir():
            site.pages[f"recipes/hand/{path.name}"] = web.Page(path.read_bytes())
        yield site


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(read_url, "__defaults__", (0.01,))


def stream(place, **changes):
    section = {
        "mode": "stored", "batch_size": 4, "crop": 8, "num_streams": 4, "cache_gigabytes": 0.0,
        "augment": (),
    }  # fmt: skip
    return Stream((Source(place, None),), "train", StreamSection(**section | changes), 7)


def test_a_stream_from_http_is_that_of_the_folder(shards, served):
    one = stream(f"{served.url}recipes/hand/")
    assert one.num_batches() == 9
    assert digests(one.batches(), 30) == digests(stream(shards).batches(), 30)
    asked = [path for path, _ in served.asked]
    assert len(asked) == len(set(asked)) + 1  # the manifest also for the number of batches


@pytest.mark.slow
def test_loader_processes_read_addresses(shards, served):
    one = stream(f"{served.url}recipes/hand")
    assert digests(load(one, 2, 2), 10) == digests(stream(shards).batches(2), 10)


def test_samples_and_stories_come_from_an_address_too(shards, served):
    url = f"{served.url}recipes/hand"
    assert read_manifest(url) == read_manifest(shards)
    assert list(read_stories(url, "train")) == list(read_stories(shards, "train"))
    keys = [[one.key for one in read_samples(place, "train")] for place in (url, shards)]
    assert keys[0] == keys[1] and len(keys[0]) == 36


def test_a_connection_that_breaks_off_is_taken_up_where_it_broke(shards, served):
    page = served.pages["recipes/hand/train-00001.tar"]
    page.cuts = [1000, 5000]
    served.pages["recipes/hand/manifest.json"].cuts = [10]
    one = stream(f"{served.url}recipes/hand")
    assert digests(one.batches(), 30) == digests(stream(shards).batches(), 30)
    asked = [wanted for path, wanted in served.asked if path.endswith("train-00001.tar")]
    assert asked == [None, "bytes=1000-", "bytes=6000-"]


def test_a_server_that_knows_no_ranges_is_asked_for_all_again(shards, served):
    page = served.pages["recipes/hand/train-00000.tar"]
    page.ranges, page.cuts, page.statuses = False, [2000], [503]
    one = stream(f"{served.url}recipes/hand")
    assert digests(one.batches(), 30) == digests(stream(shards).batches(), 30)


def test_one_that_always_breaks_off_is_given_up_in_one_line(served):
    page = served.pages["recipes/hand/train-00002.tar"]
    page.cuts = [0] * 100
    with pytest.raises(ShardError, match=r"hand/train-00002\.tar: .*broke off|it ended") as caught:
        first(stream(f"{served.url}recipes/hand").batches(), 30)
    assert "\n" not in str(caught.value) and len(page.cuts) == 97


@pytest.mark.parametrize("spoil", [lambda d: d[::-1], lambda d: d + bytes(512), lambda d: d[:-512]])
def test_other_bytes_than_the_manifest_tells_are_refused(served, spoil):
    page = served.pages["recipes/hand/train-00000.tar"]
    page.data = spoil(page.data)
    with pytest.raises(ShardError, match=r"train-00000\.tar: (its bytes|more than its \d+ bytes)"):
        first(stream(f"{served.url}recipes/hand").batches(), 30)


def test_what_is_not_there_is_told_without_its_secrets(served):
    url = served.url.replace("//", "//user:secret@") + "nothing?token=secret"
    with pytest.raises(PipelineError, match=r"nothing/manifest\.json.*404") as caught:
        next(stream(url).batches())
    assert "secret" not in str(caught.value)


@pytest.mark.slow
def test_a_stream_from_s3_is_that_of_the_folder(shards, s3, monkeypatch):  # noqa: F811
    environment, client = s3
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client.put(str(shards), "bucket/streamed", recursive=True)
    one = stream("s3://bucket/streamed")
    expected = digests(stream(shards).batches(), 20)
    assert digests(one.batches(), 20) == expected
    assert digests(load(one, 0, 2), 20) == expected
    with pytest.raises(PipelineError, match="s3://bucket/nothing"):
        next(stream("s3://bucket/nothing").batches())


def test_names_are_joined_before_a_query():
    assert str(join("https://x.org/a/?sig=1", "b.tar")) == "https://x.org/a/b.tar?sig=1"
    assert str(join("s3://bucket/a", "b.tar")) == "s3://bucket/a/b.tar"
    assert join("data/shards", "b.tar") == addresses.Path("data/shards/b.tar")
    assert is_address("s3://x") and not is_address("data/x") and not is_address(addresses.Path("x"))
