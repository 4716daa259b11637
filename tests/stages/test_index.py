"""`patina index` as a user meets it: few, bad, doubled photos; why a photo is where it is."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.files import sha256_bytes
from pipeline.images import encode_jpeg, encode_png
from pipeline.seeds import rng
from pipeline.sources import ListedFile, write_listing
from pipeline.splits import IndexSection, split_of
from tests.conftest import ROOT, Run, load_yaml, write_params
from tests.pipeline.test_twins import crops

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Real photos, 160×160."""
    return crops(12)


def put(path: Path, photo: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_jpeg(photo, 90) if path.suffix == ".jpg" else encode_png(photo))


def change(project: Path, **index: float) -> None:
    """Other params of the index; both recipes draw on the user's photos alone."""
    params = load_yaml(project / "params.yaml")
    params["index"] |= index
    params["sources"] = {"folder": {"path": "data/inbox", "licence": None}}
    params["recipes"]["shapes"]["sources"] = ["folder"]
    write_params(project, params)


def told(done) -> str:
    """The one line of a failure."""
    assert done.returncode == 1 and "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def run_index(stage: Run, project: Path, **index: float):
    """Fetch the inbox, index it."""
    change(project, **index)
    stage("fetch")
    return stage("index", check=False)


def test_an_empty_set_is_told(stage: Run, project: Path) -> None:
    assert "no photo in it; add photos" in told(run_index(stage, project))
    assert not (project / "data/index.json").exists()


def test_what_is_no_folder_is_told(stage: Run, project: Path, photos: list[np.ndarray]) -> None:
    put(project / "a.png", photos[0])
    for name in ("absent", "a.png"):
        done = stage("index", project / name, "--out", project / "i.json", check=False)
        assert f"{name}: is no folder" in told(done)
    assert "--out FILE" in told(stage("index", project, check=False))


def test_all_rejected_are_told_with_counts_and_reasons(stage: Run, project: Path) -> None:
    (project / "data/inbox/a.png").write_bytes(b"")
    (project / "data/inbox/b.jpg").write_bytes(b"text")
    (project / "data/inbox/c.jpg").write_bytes(b"more text")
    line = told(run_index(stage, project))
    assert "all of 3 files are rejected (2 × cannot be identified as a photo, as b.jpg; 1 ×" in line


def test_too_many_unreadable_files_are_told_and_the_old_index_stays(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    for number, photo in enumerate(photos[:5]):
        put(project / f"data/inbox/{number}.png", photo)
    assert run_index(stage, project).returncode == 0
    before = (project / "data/index.json").read_bytes()
    (project / "data/inbox/bad.png").write_bytes(b"x")
    line = told(run_index(stage, project, max_rejected_share=0.1))
    assert "1 of 6 files cannot be read (1 × cannot be identified as a photo, as bad.png)" in line
    assert (project / "data/index.json").read_bytes() == before
    assert run_index(stage, project, max_rejected_share=0.2).returncode == 0
    stage("index", project / "data/inbox", "--out", project / "i.json")  # a look has no limit


def test_one_photo_is_indexed_and_the_empty_splits_told(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    put(project / "data/inbox/a.png", photos[0])
    done = run_index(stage, project, val_share=0.0, test_share=0.0)
    assert "1 photos: 1 train, 0 val, 0 test" in done.stdout
    assert "warning: no val photo" in done.stdout and "warning: no test photo" in done.stdout
    line = told(stage("synth", "shapes", check=False))
    assert "recipes.shapes: no val photos come from the sources folder; add photos" in line


def test_a_split_without_photos_is_told(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    for number, photo in enumerate(photos[:3]):
        put(project / f"data/inbox/{number}.png", photo)
    done = run_index(stage, project, val_share=0.999, test_share=0.0)
    assert "3 photos: 0 train, 3 val, 0 test" in done.stdout
    assert "no train photos come from" in told(stage("synth", "shapes", check=False))


SMALL = ((1, 1), (3, 50), (40, 20), (160, 30), (9, 9), (63, 63), (2, 160), (30, 31))


def test_photos_smaller_than_a_tile_are_padded(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    for number, (height, width) in enumerate(SMALL):
        put(project / f"data/inbox/{number}.png", photos[number][:height, :width].copy())
    done = run_index(stage, project, val_share=0.4, test_share=0.3)
    rows = json.loads((project / "data/index.json").read_text())["photos"]
    assert len(rows) == len(SMALL) and len({row["split"] for row in rows}) == 3, done.stdout
    assert "samples in" in stage("synth", "shapes").stdout


def test_what_is_no_plain_file_has_a_reason(
    stage: Run, project: Path, photos: list[np.ndarray], tmp_path: Path
) -> None:
    inbox = project / "data/inbox"
    put(inbox / "a.png", photos[0])
    put(tmp_path / "outside/secret.png", photos[1])
    (inbox / "link.png").symlink_to(tmp_path / "outside/secret.png")
    (inbox / "linked").symlink_to(tmp_path / "outside")
    (inbox / "loop").symlink_to(inbox)
    (inbox / "folder.png").mkdir()
    os.mkfifo(inbox / "pipe.png")
    run_index(stage, project)
    stage("index", inbox, "--out", project / "i.json")
    for index in (project / "data/index.json", project / "i.json"):
        built = json.loads(index.read_text())
        assert [row["name"] for row in built["photos"]] == ["a.png"]
        reasons = {row["path"]: row["reason"] for row in built["rejected"]}
        assert set(reasons) == {"link.png", "linked", "loop", "folder.png", "pipe.png"}
        assert all(reasons.values())


def test_it_says_why_a_photo_is_where_it_is(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    home, out = project / "photos", project / "i.json"
    put(home / "a.png", photos[0])
    put(home / "sub/twin.jpg", photos[0][:, ::-1])
    put(home / "copy.png", photos[0])
    put(home / "other.png", photos[1])
    (home / "bad.png").write_bytes(b"")
    stage("index", home, "--out", out)
    before = out.read_bytes()
    row = next(r for r in json.loads(before)["photos"] if r["name"] == "sub/twin.jpg")

    def why(word: object) -> str:
        return stage("index", home, "--out", out, "--explain", word).stdout

    for word in ("sub/twin.jpg", "twin.jpg", home / "sub/twin.jpg", row["id"][:12]):
        lines = why(word).splitlines()
        assert lines[0] == f"sub/twin.jpg: id {row['id']}, source folder, 160x160"
        assert lines[1] == f"  group {row['group']}: 1 more"
        assert "a.png (folder, " in lines[2] and "near-duplicate, 2 of 63 bits" in lines[2]
        assert lines[2].endswith("mirrored") and "correlation 1.000" in lines[2]
        assert lines[3].startswith(f"  split {row['split']}: the hash of its group under seed 7 is")
    assert "alone in it" in why("other.png")
    assert "rejected (copy), source folder: the same pixels as a.png" in why("copy.png")
    assert "rejected (unreadable), source folder: the file is empty" in why("bad.png")
    put(project / "elsewhere.bmp", photos[1])
    assert "other.png: id" in why(project / "elsewhere.bmp"), "found by its pixels"
    put(project / "unknown.png", photos[2])
    for word in (project / "unknown.png", "absent.png"):
        done = stage("index", home, "--out", out, "--explain", word, check=False)
        assert "holds no photo" in told(done)
    assert out.read_bytes() == before


def test_an_index_again_keeps_groups_and_afresh_forgets_them(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    home, out = project / "photos", project / "i.json"

    def rows(*words: str) -> dict[str, tuple[str, str]]:
        stage("index", home, "--out", out, *words)
        found = json.loads(out.read_text())["photos"]
        return {row["name"]: (row["group"], row["split"], row["id"]) for row in found}

    for number, photo in enumerate(photos):
        put(home / f"{number}.png", photo)
    before = rows()
    for number, photo in enumerate(photos):
        put(home / f"{number}-twin.png", photo[::-1])
    after = rows()
    assert {name: after[name] for name in before} == before
    assert all(after[f"{n}-twin.png"][:2] == before[f"{n}.png"][:2] for n in range(len(photos)))
    again = out.read_bytes()
    assert rows() == after and out.read_bytes() == again, "the next run changes nothing"
    afresh = rows("--afresh")
    assert {group for group, _, _ in afresh.values()} <= {row[2] for row in afresh.values()}
    assert {row[0] for row in afresh.values()} != {row[0] for row in after.values()}
    out.unlink()
    assert rows() == afresh


def test_processes_write_the_same_bytes(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    for number, photo in enumerate(photos):
        put(project / f"photos/{number}.png", photo)
    for number in "12":
        words = ("--out", project / f"{number}.json", "--workers", number)
        stage("index", project / "photos", *words)
    assert (project / "1.json").read_bytes() == (project / "2.json").read_bytes()
    done = stage("index", project / "photos", "--out", "x", "--workers", "0", check=False)
    assert "--workers: 0 is not 1 or more" in told(done)


def test_a_large_group_is_a_warning(stage: Run, project: Path, photos: list[np.ndarray]) -> None:
    for number in range(7):
        put(project / f"photos/{number}.jpg", photos[0][number:])
        put(project / f"photos/other-{number}.png", photos[number + 1])
    done = stage("index", project / "photos", "--out", project / "i.json")
    assert "warning: 7 photos (50.0%) are near-duplicates of one another, all" in done.stdout


def list_source(project: Path, source: str, photos: dict[str, np.ndarray], **said: bool) -> None:
    """A fetched source, as `patina fetch` leaves it."""
    folder, rows = project / "data/raw" / source, []
    for name, photo in photos.items():
        put(folder / name, photo)
        data = (folder / name).read_bytes()
        rows.append(ListedFile(name=name, file=name, num_bytes=len(data), licence=None, split=None,
                               sha256=sha256_bytes(data), group=None, **said))  # fmt: skip
    write_listing(folder, source, rows)


def test_what_a_source_keeps_out_of_test_is_divided_by_its_groups(
    stage: Run, project: Path
) -> None:
    noise = {f"{n:04d}.png": rng(n, "div2k").integers(0, 256, (24, 24, 3), "uint8")
             for n in range(200)}  # fmt: skip
    twins = {f"twin-{name}": photo[:, ::-1].copy() for name, photo in list(noise.items())[:20]}
    change(project, val_share=0.1, test_share=0.4)
    list_source(project, "div2k", noise | twins, no_test=True)
    list_source(project, "art", {name: noise[name] for name in list(noise)[20:40]})
    others = {f"{n}.png": rng(n, "other").integers(0, 256, (24, 24, 3), "uint8") for n in range(60)}
    list_source(project, "folder", others)
    stage("index")
    built = json.loads((project / "data/index.json").read_text())
    rows = {row["name"]: row for row in built["photos"]}
    kept = {name: row for name, row in rows.items() if name not in others}
    assert len(kept) == 220 and all(row["no_test"] for row in kept.values())
    assert sum(row["source"] == "art" for row in kept.values()) == 20, "of copies the first's row"
    splits = {row["group"]: row["split"] for row in kept.values()}
    block = IndexSection(val_share=0.1, test_share=0.4, max_megapixels=1.0, max_rejected_share=0.1)
    assert splits == {group: split_of(group, block, 7, True) for group in splits}
    assert 8 <= list(splits.values()).count("val") <= 32 and "test" not in splits.values()
    assert all(rows[name]["group"] == rows[f"twin-{name}"]["group"] for name in list(noise)[:20])
    assert "test" in {rows[name]["split"] for name in others}
    told_of = stage("index", "--explain", "0150.png").stdout
    assert "where 0 to 0 is test, to 0.1 val, to 1 train" in told_of


def test_it_explains_what_a_path_ends_in_and_never_decodes_what_was_rejected(
    stage: Run, project: Path, photos: list[np.ndarray]
) -> None:
    inbox = project / "data/inbox"
    put(inbox / "sub/a.png", photos[0])
    put(inbox / "a.png", photos[1])
    (inbox / "sub/bad.png").write_bytes(b"no photo")
    (inbox / "unknown").mkdir()
    run_index(stage, project, max_rejected_share=0.5)

    def why(word: object) -> str:
        return stage("index", "--explain", word).stdout

    assert why("data/inbox/sub/bad.png") == (
        "sub/bad.png: rejected (unreadable), source folder: cannot be identified as a photo\n"
    )
    lines = why(inbox / "sub/a.png").splitlines()
    assert lines[0].startswith("sub/a.png: id") and len([x for x in lines if ": id" in x]) == 1
    assert why(inbox / "a.png").startswith("a.png: id")
    (project / "odd.png").write_bytes(b"no photo either")
    for word, what in (("odd.png", "cannot be identified"), ("data", "is a folder")):
        assert f"{word}: {what}" in told(stage("index", "--explain", word, check=False))
    os.mkfifo(project / "pipe.png")
    assert "no regular file" in told(stage("index", "--explain", "pipe.png", check=False))


DEADLY = """
import os, signal, sys
def watch(event, arguments):
    if event == "open" and str(arguments[0]).endswith("deadly.png"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
"""


def test_a_file_that_kills_who_reads_it_is_rejected_by_name(
    stage: Run, project: Path, photos: list[np.ndarray], tmp_path: Path
) -> None:
    for number, photo in enumerate(photos):
        put(project / f"photos/{number}.png", photo)
    put(project / "photos/deadly.png", photos[0][::-1])
    (tmp_path / "code").mkdir()
    (tmp_path / "code/sitecustomize.py").write_text(DEADLY)
    stage(
        "index", project / "photos", "--out", project / "i.json", "--workers", "2",
        PYTHONPATH=f"{tmp_path / 'code'}{os.pathsep}{ROOT}",
    )  # fmt: skip
    built = json.loads((project / "i.json").read_text())
    assert {row["name"] for row in built["photos"]} == {f"{n}.png" for n in range(len(photos))}
    (row,) = built["rejected"]
    assert row["name"] == "deadly.png" and row["kind"] == "unreadable"
    assert row["reason"].startswith("the process that read it died")


def test_where_every_process_dies_no_file_is_blamed(
    stage: Run, project: Path, photos: list[np.ndarray], tmp_path: Path
) -> None:
    for number in range(2):
        put(project / f"photos/{number}-deadly.png", photos[number])
    (tmp_path / "code").mkdir()
    (tmp_path / "code/sitecustomize.py").write_text(DEADLY)
    done = stage(
        "index", project / "photos", "--out", project / "i.json", "--workers", "2", check=False,
        PYTHONPATH=f"{tmp_path / 'code'}{os.pathsep}{ROOT}",
    )  # fmt: skip
    assert "a worker process died" in told(done) and not (project / "i.json").exists()
