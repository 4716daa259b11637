"""A final name holds the old bytes or the new ones, whatever happens."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.errors import PipelineError
from pipeline.files import (
    DiskError,
    atomic,
    copy_file,
    publish,
    sha256_bytes,
    sha256_file,
    to_json,
    write_bytes,
    write_json,
    write_text,
)
from tests.conftest import ROOT, tree


def start(code: str, *words: str | Path) -> subprocess.Popen[str]:
    """A process of ours that runs `code` and tells where it is on its stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE,
    )  # fmt: skip


def test_writing_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a/b/c.txt"
    write_text(path, "größe")
    assert path.read_bytes() == "größe".encode()
    write_bytes(path, memoryview(b"new"))
    assert tree(tmp_path) == {"a/b/c.txt": b"new"}
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_body_sees_the_old_file_until_it_is_done(tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    write_bytes(path, b"old")
    with atomic(path) as temporary:
        temporary.write_bytes(b"new")
        assert temporary.suffix == ".png" and temporary.parent == tmp_path
        assert path.read_bytes() == b"old"
    assert tree(tmp_path) == {"file.png": b"new"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, PipelineError])
def test_a_body_that_raises_leaves_the_old_file_and_no_stump(
    tmp_path: Path, error: type[BaseException]
) -> None:
    write_bytes(tmp_path / "file", b"old")
    words = ("a", "b", "c") if error is PipelineError else ("stop",)
    with pytest.raises(error), atomic(tmp_path / "file") as temporary:
        temporary.write_bytes(b"half")
        raise error(*words)
    assert tree(tmp_path) == {"file": b"old"}


def test_an_os_error_in_the_body_becomes_one_line(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="cannot be written") as caught, atomic(tmp_path / "file"):
        raise OSError(28, "No space left on device")
    assert "free some space" in str(caught.value) and "\n" not in str(caught.value)
    assert tree(tmp_path) == {}


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.files import atomic
with atomic(Path(sys.argv[1])) as temporary, open(temporary, "wb") as file:
    file.write(b"new" * 1000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""

KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
from pipeline import files
real, moment = getattr(os, sys.argv[2]), int(sys.argv[3])
def dying(*words, **options):
    if moment == 0: os.kill(os.getpid(), signal.SIGKILL)
    real(*words, **options)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], dying)
files.write_bytes(Path(sys.argv[1]), b"new")
"""


def test_sigkill_in_the_middle_of_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    process = start(KILLED, path)
    assert process.wait(30) == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    write_bytes(path, b"next")  # and the stump is in nobody's way
    assert path.read_bytes() == b"next"


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize(("act", "old"), [("fsync", True), ("chmod", True), ("replace", False)])
def test_sigkill_around_any_act_leaves_old_or_new_bytes(
    tmp_path: Path, act: str, old: bool, before: int
) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    assert start(KILLED_BETWEEN, path, act, str(before)).wait(30) == -signal.SIGKILL
    assert path.read_bytes() == (b"old" if old or before == 0 else b"new")


FULL = """
import resource, signal, sys
from pathlib import Path
from pipeline import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
target, data = Path(sys.argv[1]), b"n" * 100_000
try:
    if sys.argv[2] == "write":
        files.write_bytes(target, data)
    elif sys.argv[2] == "json":
        files.write_json(target, {"text": data.decode()})
    else:
        files.copy_file(target.parent / "large", target)
except files.DiskError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.parametrize("limit", [0, 1, 4096, 65_536, 99_999])
@pytest.mark.parametrize("writer", ["write", "json", "copy"])
def test_a_full_disk_is_one_line_and_the_old_file_stays(
    tmp_path: Path, writer: str, limit: int
) -> None:
    (tmp_path / "large").write_bytes(bytes(100_000))
    write_bytes(tmp_path / "file", b"old")
    process = start(FULL, tmp_path / "file", writer, str(limit))
    out, err = process.communicate(timeout=30)
    assert process.returncode == 3, err
    assert out.count("\n") == 1 and "cannot be written" in out and "file" in out
    assert tree(tmp_path) == {"file": b"old", "large": bytes(100_000)}


@pytest.mark.parametrize("occupied", ["parent is a file", "target is a folder"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, occupied: str) -> None:
    path = tmp_path / "a" / "b"
    if occupied == "parent is a file":
        (tmp_path / "a").write_bytes(b"mine")
    else:
        path.mkdir(parents=True)
        (path / "kept").write_bytes(b"mine")
    before = tree(tmp_path)
    with pytest.raises(DiskError, match="cannot be written"):
        write_bytes(path, b"new")
    assert tree(tmp_path) == before


def test_writing_over_a_link_replaces_the_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"cached")
    (tmp_path / "file").symlink_to(tmp_path / "cache")
    write_bytes(tmp_path / "file", b"new")
    assert tree(tmp_path) == {"cache": b"cached", "file": b"new"}


@pytest.mark.parametrize("name", ["größe", "a b", "a\nb", "-x", "n" * 255, "\udce9"])
def test_strange_names_can_be_written(tmp_path: Path, name: str) -> None:
    write_bytes(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_many_writers_of_one_name_leave_one_whole_file(tmp_path: Path) -> None:
    contents = [bytes([number]) * 50_000 for number in range(16)]
    threads = [
        threading.Thread(target=write_bytes, args=(tmp_path / "file", data)) for data in contents
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(tree(tmp_path)) == ["file"] and tree(tmp_path)["file"] in contents


def test_json_is_sorted_finite_and_the_same_for_the_same_data(tmp_path: Path) -> None:
    one, other = {"b": [1, 2.5, None], "a": "ö"}, {"a": "ö", "b": [1, 2.5, None]}
    write_json(tmp_path / "1.json", one)
    write_json(tmp_path / "2.json", other)
    text = (tmp_path / "1.json").read_text(encoding="utf-8")
    assert text == (tmp_path / "2.json").read_text(encoding="utf-8") and text.endswith("}\n")
    assert json.loads(text) == one and "ö" in text
    assert to_json(one) == '{"a":"ö","b":[1,2.5,null]}'
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "3.json", {"x": float("nan")})
    assert not (tmp_path / "3.json").exists()


def test_hashes_of_files_and_bytes_agree(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    wanted = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256_file(tmp_path / "file") == sha256_bytes(memoryview(b"abc")) == wanted


def test_copying_a_file_keeps_the_target_when_the_source_is_gone(tmp_path: Path) -> None:
    write_bytes(tmp_path / "target", b"old")
    with pytest.raises(DiskError):
        copy_file(tmp_path / "absent", tmp_path / "target")
    assert tree(tmp_path) == {"target": b"old"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A finished folder: the manifest is neither the first nor the last by name."""
    for name in ("a.tar", "deep/er/b.tar", "manifest.json", "x.tar"):
        write_text(tmp_path / "work" / name, f"new {name}")
    return tmp_path / "work"


def test_publishing_makes_a_copy_and_drops_what_is_stale(tmp_path: Path, work: Path) -> None:
    target = tmp_path / "out"
    for name in ("a.tar", "z.tar", "deep/old.tar", ".tmp-stump", "manifest.json"):
        write_text(target / name, "old")
    publish(work, target, "manifest.json")
    assert tree(target) == tree(work)
    publish(work, target, "manifest.json")
    assert tree(target) == tree(work)


def test_publishing_leaves_links_into_a_cache_alone(tmp_path: Path, work: Path) -> None:
    write_text(tmp_path / "cache", "cached")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.tar").symlink_to(tmp_path / "cache")
    (tmp_path / "out/z.tar").symlink_to(tmp_path / "cache")
    publish(work, tmp_path / "out", "manifest.json")
    assert tree(tmp_path / "out") == tree(work)
    assert (tmp_path / "cache").read_text() == "cached"


PUBLISH = """
import os, signal, sys
from pathlib import Path
from pipeline import files
work, target, moment = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
acts = 0
def counted(real):
    def act(*words, **options):
        global acts
        if acts == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        acts += 1
        return real(*words, **options)
    return act
os.unlink, os.replace = counted(os.unlink), counted(os.replace)
files.publish(work, target, "manifest.json")
print(acts)
"""


def test_the_last_file_stands_only_where_all_others_are_new(tmp_path: Path, work: Path) -> None:
    target, moments = tmp_path / "out", 0
    while True:
        for name in ("a.tar", "z.tar", "manifest.json"):
            write_text(target / name, "old")
        code = start(PUBLISH, work, target, str(moments)).wait(30)
        now = {name: data for name, data in tree(target).items() if ".tmp-" not in name}
        if code == 0:
            break
        assert code == -signal.SIGKILL
        if moments == 0:  # nothing was done yet
            assert now["manifest.json"] == b"old" and "z.tar" in now
        else:
            assert "manifest.json" not in now or now == tree(work)
        moments += 1
    assert moments >= 5 and tree(target) == tree(work)


def test_publishing_onto_a_file_is_one_line(tmp_path: Path, work: Path) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    with pytest.raises(DiskError, match="cannot be written"):
        publish(work, tmp_path / "out", "manifest.json")
    assert (tmp_path / "out").read_bytes() == b"mine"
