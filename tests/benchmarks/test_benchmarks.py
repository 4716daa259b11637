"""The benchmarks of synthesis and damage run from end to end on tiny sizes and write well-formed
results; how fast anything is, no test asks."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as dispatcher
from benchmarks import _augraphy, damage, synth
from pipeline.corruptions import CORRUPTIONS
from pipeline.synthesis import make_samples

TINY = synth.Sizes(
    tiles=((32, 2),),
    repeats=1,
    samples_per_shard=2,
    kernel_side=32,
    processes_tiles=(32, 2),
    processes_repeats=1,
    overlays=(2, 64),
    photos=2,
)
TINY_DAMAGE = damage.Sizes(side=48, tiles=2, repeats=1, overlays=(2, 64))


def written(monkeypatch, folder: Path, name: str, rows: list[dict]) -> list[dict]:
    """The rows as the dispatcher keeps them."""
    (folder / f"{name}.py").touch()
    monkeypatch.setattr(dispatcher, "FOLDER", folder)
    monkeypatch.setattr(sys.modules[f"benchmarks.{name}"], "main", lambda: rows)
    assert dispatcher.run(name) == 0
    return json.loads((folder / "results" / f"{name}.json").read_text())["rows"]


def assert_well_formed(rows: list[dict]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert list(row) == ["id", "what", "ours", "peer", "ratio", "floor", "ceiling"]
        assert row["what"]
        for name in ("ours", "peer", "ratio"):
            assert math.isfinite(row[name]) and row[name] > 0
        for name in ("floor", "ceiling"):
            assert row[name] is None or math.isfinite(row[name])
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], rel=2e-3)


@pytest.mark.slow
def test_synth_measures_every_peer(monkeypatch, tmp_path, capsys) -> None:
    rows = written(monkeypatch, tmp_path, "synth", synth.main(TINY))
    assert_well_formed(rows)
    floors = {row["id"]: row["floor"] for row in rows}
    assert floors == {
        "shapes-32-pillow": 15, "shapes-32-opencv": 2.5, "shapes-32-codec": 0.7692,
        "aged-32-pillow": 30, "aged-32-pillow-one-channel": None, "aged-32-opencv": 3.5,
        "aged-32-opencv-one-channel": None, "aged-32-codec": 0.7692, "aged-kernel": 15,
        "synth-two-processes": 1.8,
    }  # fmt: skip
    said = capsys.readouterr().out
    assert "read and decode" in said and "the time that encoding takes" in said


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["shapes", "aged"])
def test_peers_make_what_we_make(tmp_path, recipe) -> None:
    """The same members and shapes, and about as much damage."""
    from benchmarks import _usual
    from pipeline.samples import END_OF_TAR, unpack
    from tests.pipeline.test_shards import webdataset_members

    project = synth.make_project(tmp_path, 2, 64)
    paths = [project.raw / photo.path for photo in project.photos]
    ours = [
        sample
        for spec in project.specs(64, 4, 128)
        for sample in make_samples(spec, project.maker(recipe, 64))
    ]
    channels = 1 if recipe == "aged" else 3
    for codec in (_usual.PILLOW, _usual.OPENCV):
        peers = synth._peers(recipe, project, codec)
        draw = peers["-one-channel" if channels == 1 else ""]
        _usual.write_shards(paths, tmp_path / "peer", 64, 4, codec, draw, 1)
        data = (tmp_path / "peer/train-00000.tar").read_bytes()
        theirs = [unpack(member) for member in webdataset_members(data)]
        assert data.endswith(END_OF_TAR) and len(theirs) == len(ours)
        assert theirs[0].corrupted.shape == ours[0].corrupted.shape == (64, 64, channels)
        covered = [sum((one.mask > 0).mean() for one in side) for side in (ours, theirs)]
        assert 0.5 < covered[0] / covered[1] < 2


@pytest.fixture
def environment(monkeypatch, tmp_path) -> Path:
    """An environment whose Augraphy does nothing but print."""
    monkeypatch.setattr(_augraphy, "ENVIRONMENT", tmp_path / "venv")
    (tmp_path / "venv/bin").mkdir(parents=True)
    python = tmp_path / "venv/bin/python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "augraphy.py").write_text(
        "import time\n"
        "class Fake:\n"
        "    def __init__(self, **arguments): assert arguments['p'] == 1\n"
        "    def __call__(self, picture): print('noise'); time.sleep(0.001); sum(range(1000))\n"
        "def __getattr__(name): return Fake\n"
    )
    return tmp_path / "venv"


@pytest.mark.slow
def test_damage_measures_every_family(monkeypatch, tmp_path, environment, capsys) -> None:
    rows = damage.main(sizes=TINY_DAMAGE)
    assert [row["id"] for row in rows] == [f"damage-{name}" for name in CORRUPTIONS.names()]
    assert capsys.readouterr().out.count("\n") == 1  # on what was skipped
    (environment / "installed").write_text(_augraphy.STAMP)
    rows = written(monkeypatch, tmp_path, "damage", damage.main(sizes=TINY_DAMAGE))
    assert_well_formed(rows)
    beside = {row["id"] for row in rows if row["floor"] == damage.FLOOR}
    assert beside == {f"augraphy-{name}" for name in _augraphy.COUNTERPARTS}


def test_every_counterpart_is_one_of_a_family() -> None:
    assert set(_augraphy.COUNTERPARTS) <= set(CORRUPTIONS.names())
    assert set(damage.LIKE) <= set(_augraphy.COUNTERPARTS)


def test_a_failed_installation_is_told_in_one_line(monkeypatch, environment) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "collecting …\nno matching distribution\n")
    monkeypatch.setattr(_augraphy.subprocess, "run", lambda *words, **options: failed)
    assert _augraphy.install() == "no matching distribution"
    assert not _augraphy.is_installed()
