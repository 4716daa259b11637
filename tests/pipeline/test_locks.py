"""A lock is held by one process, dies with it, and leaves no file behind."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import BusyError
from pipeline.files import DiskError, lock
from tests.pipeline.test_files import start

HOLD = """
import sys
from pathlib import Path
from pipeline.files import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def holder(target: Path) -> subprocess.Popen[str]:
    """A process that holds `target` until a line comes in."""
    process = start(HOLD, target)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=30)
    assert process.returncode == 0


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate(timeout=30)


def test_a_second_process_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    process = holder(tmp_path / "out")
    try:
        busy = f"busy: pid {process.pid} works on it"
        with pytest.raises(BusyError, match=busy), lock(tmp_path / "out"):
            pytest.fail("the lock was given twice")
    finally:
        kill(process)


@pytest.mark.parametrize("end", [let_go, kill])
def test_a_holder_that_ended_never_blocks(
    tmp_path: Path, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    for _ in range(2):
        end(holder(tmp_path / "out"))
        with lock(tmp_path / "out"):
            name = (tmp_path / ".out.lock").read_text()
            assert name == str(os.getpid())


def test_a_lock_is_freed_when_its_body_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyError), lock(tmp_path / "out"):
        raise KeyError("body")
    with lock(tmp_path / "out"), pytest.raises(BusyError), lock(tmp_path / "out"):
        pytest.fail("held twice")


@pytest.mark.parametrize("end", [let_go, kill])
def test_no_lock_file_is_left_behind(
    tmp_path: Path, end: Callable[[subprocess.Popen[str]], None]
) -> None:
    end(holder(tmp_path / "out"))
    assert [path.name for path in tmp_path.iterdir()] == ([".out.lock"] if end is kill else [])
    with lock(tmp_path / "out"):
        assert (tmp_path / ".out.lock").is_file()
    with pytest.raises(KeyError), lock(tmp_path / "out"):
        raise KeyError("body")
    assert not list(tmp_path.iterdir())


def test_a_lock_file_that_was_replaced_is_left_to_its_new_holder(tmp_path: Path) -> None:
    with lock(tmp_path / "out"):
        (tmp_path / ".out.lock").unlink()
        process = holder(tmp_path / "out")
    with pytest.raises(BusyError, match=str(process.pid)), lock(tmp_path / "out"):
        pytest.fail("the new holder's file was taken away")
    let_go(process)
    assert not list(tmp_path.iterdir())


TURNS = """
import os, sys
from pathlib import Path
from pipeline.files import BusyError, lock
target, turns = Path(sys.argv[1]), 0
while turns < int(sys.argv[2]):
    try:
        with lock(target):
            os.close(os.open(target, os.O_CREAT | os.O_EXCL))  # fails where another one is inside
            with target.with_suffix(".log").open("a") as log:
                log.write(f"{os.getpid()}\\n")
            os.unlink(target)
            turns += 1
    except BusyError:
        pass
"""


def test_many_that_come_and_go_are_never_inside_together(tmp_path: Path) -> None:
    """Each turn makes and removes the lock file, which is where a second one could slip in."""
    turns = 300
    racers = [start(TURNS, tmp_path / "out", str(turns)) for _ in range(4)]
    for racer in racers:
        errors = racer.communicate(timeout=120)[1]
        assert racer.returncode == 0, errors
    log = (tmp_path / "out.log").read_text().split()
    assert {log.count(str(racer.pid)) for racer in racers} == {turns}
    assert [path.name for path in tmp_path.iterdir()] == ["out.log"]


def test_locks_of_different_targets_do_not_meet(tmp_path: Path) -> None:
    with lock(tmp_path / "new/a"), lock(tmp_path / "new/b"):
        assert {path.name for path in (tmp_path / "new").iterdir()} == {".a.lock", ".b.lock"}


SPAWN = """
import subprocess, sys
from pathlib import Path
from pipeline.files import lock
with lock(Path(sys.argv[1])):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(8)"])
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_dead_holders_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    process = start(SPAWN, tmp_path / "out")
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    process.kill()
    process.wait(30)
    with lock(tmp_path / "out"):
        assert (tmp_path / ".out.lock").read_text() == str(os.getpid())
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


RACE = """
import sys
from pathlib import Path
from pipeline.files import BusyError, lock
sys.stdin.readline()
try:
    with lock(Path(sys.argv[1])):
        print("won", flush=True)
        sys.stdin.readline()
except BusyError as error:
    print("busy" if "pid" in str(error) else error, flush=True)
"""


def test_of_six_that_race_one_wins(tmp_path: Path) -> None:
    racers = [start(RACE, tmp_path / "out") for _ in range(6)]
    said = []
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        assert racer.stdout is not None
        said.append(racer.stdout.readline().strip())
    for racer in racers:
        racer.communicate("\n", timeout=30)
    assert sorted(said) == ["busy"] * 5 + ["won"]


def test_a_lock_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError, match="cannot be written"), lock(tmp_path / "file/out"):
        pytest.fail("locked below a file")
