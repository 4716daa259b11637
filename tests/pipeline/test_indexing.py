"""An index holds every file once, as a photo or as a reason; twins of real photos share a split."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline import seeds
from pipeline.candidates import Candidate
from pipeline.executors import Processes
from pipeline.files import sha256_bytes, write_json
from pipeline.images import encode_jpeg, encode_png
from pipeline.indexing import (
    BETWEEN,
    COPY,
    Index,
    build_index,
    check_any,
    check_share,
    count_reasons,
    large_groups,
    read_earlier,
)
from pipeline.splits import IndexSection, PhotoIndexError
from pipeline.twins import are_twins, compare, find_twins, look_of
from tests.pipeline.test_twins import EDITS, crops

SECTION = IndexSection(val_share=0.3, test_share=0.3, max_megapixels=1.0, max_rejected_share=0.1)
SEED = 7


def index(folder: Path, candidates: list[Candidate] | None = None, **options: object) -> Index:
    """Of some candidates, or of every file."""
    if candidates is None:
        candidates = [plain(path.name) for path in sorted(folder.iterdir())]
    return build_index(folder, candidates, SECTION, SEED, lambda *step: None, **options)


def plain(name: str, **fields: object) -> Candidate:
    return Candidate(**{"source": "s", "name": name, "path": name, "split": None, "group": None,
                        **fields})  # fmt: skip


def put(folder: Path, name: str, photo: np.ndarray) -> bytes:
    data = encode_png(photo)
    (folder / name).write_bytes(data)
    return data


def earlier_of(folder: Path, built: Index, **options: object) -> dict:
    write_json(folder.parent / "earlier.json", built)
    return read_earlier(folder.parent / "earlier.json", SECTION.model_copy(update=options), SEED)


def rows(built: Index) -> dict[str, dict]:
    return {row["name"]: row for row in built["photos"]}


def refused(built: Index) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["kind"], row["reason"]) for row in built["rejected"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def windows() -> list[np.ndarray]:
    """Photos of which no two are twins."""
    found = crops(120)
    seconds = {*find_twins(np.stack([look_of(photo) for photo in found]))[:, 1].tolist()}
    return [photo for number, photo in enumerate(found) if number not in seconds][:50]


def test_of_500_planted_twins_none_crosses_a_split(folder: Path, windows: list[np.ndarray]) -> None:
    for number, photo in enumerate(windows):
        put(folder, f"{number:03d}.png", photo)
        for place, edit in enumerate(EDITS.values()):
            put(folder, f"{number:03d}_{place}.png", np.ascontiguousarray(edit(photo)))
        put(folder, f"{number:03d}_exact.bmp", photo)
    assert len(windows) * len(EDITS) >= 500
    built = index(folder)
    found = rows(built)
    for number in range(len(windows)):
        assert refused(built)[f"{number:03d}_exact.bmp"][0] == COPY
    homes = {name[:3]: row["group"] for name, row in found.items() if len(name) == 7}
    apart = [name for name, row in found.items() if row["group"] != homes[name[:3]]]
    assert len(apart) <= 0.01 * len(windows) * len(EDITS)
    assert len({row["split"] for row in found.values()}) == 3
    for group in set(homes.values()):
        assert len({row["split"] for row in found.values() if row["group"] == group}) == 1


def test_a_photo_whose_group_did_not_change_never_moves(
    folder: Path, windows: list[np.ndarray]
) -> None:
    for number, photo in enumerate(windows[:20]):
        put(folder, f"{number:03d}.png", photo)
    before = index(folder)
    for number, photo in enumerate(windows[20:40], 20):
        put(folder, f"{number:03d}.png", photo)
    for number in range(10):
        put(folder, f"twin-{number:03d}.png", windows[number][:, ::-1])
    afresh, after = rows(index(folder)), rows(index(folder, earlier=earlier_of(folder, before)))
    for name, row in rows(before).items():
        assert (after[name]["group"], after[name]["split"]) == (row["group"], row["split"])
        if int(name[:3]) >= 10:
            assert afresh[name]["split"] == row["split"], "nor without the earlier index"
    for number in range(10):
        twin, old = after[f"twin-{number:03d}.png"], after[f"{number:03d}.png"]
        assert (twin["group"], twin["split"]) == (old["group"], old["split"])


def bridges(photos: list[np.ndarray]) -> Iterator[tuple[np.ndarray, ...]]:
    """Two trimmed copies that are no twins, and the photo that is a twin of both."""
    for photo in photos:
        for cut in range(4, 16):
            left, right = photo[:, cut:].copy(), photo[:, :-cut].copy()
            looks = [look_of(one) for one in (photo, left, right)]
            near = [are_twins(compare(looks[a], looks[b])) for a, b in ((0, 1), (0, 2), (1, 2))]
            if near == [True, True, False]:
                yield left, right, photo


def test_a_newcomer_that_would_join_two_splits_is_refused_with_both_names(
    folder: Path, windows: list[np.ndarray]
) -> None:
    for left, right, middle in bridges(windows):  # noqa: B007
        put(folder, "left.png", left)
        put(folder, "right.png", right)
        before = index(folder)
        if len({row["split"] for row in before["photos"]}) == 2:
            break
    put(folder, "middle.png", middle)
    after = index(folder, earlier=earlier_of(folder, before))
    kind, reason = refused(after)["middle.png"]
    assert kind == BETWEEN and "left.png (s, " in reason and "right.png (s, " in reason
    assert rows(after) == rows(before)
    assert len({row["group"] for row in index(folder)["photos"]}) == 1, "three at once are a group"


def test_a_twin_across_official_splits_is_refused_with_both_names(
    folder: Path, windows: list[np.ndarray]
) -> None:
    put(folder, "shown.png", windows[0])
    put(folder, "kept.png", windows[0][::-1])
    built = index(folder, [plain("shown.png", split="train"), plain("kept.png", split="test")])
    assert refused(built) == {
        "shown.png": (BETWEEN, "near-duplicate of kept.png (s, test), but officially train")
    }
    assert rows(built)["kept.png"]["official"] is True
    put(folder, "copy.png", windows[0][::-1])
    both = [plain("copy.png", split="train"), plain("kept.png", split="test")]
    assert refused(index(folder, both)) == {"copy.png": ("copy", "the same pixels as kept.png (s)")}


def test_what_any_source_says_of_equal_pixels_holds(
    folder: Path, windows: list[np.ndarray]
) -> None:
    found = []
    for number, photo in enumerate(windows[:20]):
        put(folder, f"{number}.png", photo)
        put(folder, f"{number}-copy.png", photo)
        copy = plain(f"{number}-copy.png", source="div2k", no_test=True, group="frames")
        found += [plain(f"{number}.png", source="art", group=f"{number}"), copy]
    built = index(folder, found)
    assert len(built["photos"]) == 20 and {row["source"] for row in built["photos"]} == {"art"}
    assert all(row["no_test"] and row["split"] != "test" for row in built["photos"])
    assert len({row["group"] for row in built["photos"]}) == 1, "one album of a copy links them"
    official = [one._replace(split="test") if one.source == "art" else one for one in found]
    rows_again = index(folder, official)["photos"]
    assert {(row["split"], row["no_test"]) for row in rows_again} == {("test", False)}


def test_a_test_photo_that_a_source_keeps_out_of_test_moves_once(
    folder: Path, windows: list[np.ndarray]
) -> None:
    for number, photo in enumerate(windows[:20]):
        put(folder, f"{number}.png", photo)
    before = index(folder)
    assert "test" in {row["split"] for row in before["photos"]}
    said = [plain(f"{number}.png", no_test=True) for number in range(20)]
    after = index(folder, said, earlier=earlier_of(folder, before))
    for name, row in rows(before).items():
        assert rows(after)[name]["group"] == row["group"]
        assert rows(after)[name]["split"] != "test"
        if row["split"] != "test":
            assert rows(after)[name]["split"] == row["split"]
    assert rows(index(folder, said, earlier=earlier_of(folder, after))) == rows(after)


def test_500_look_alikes_are_one_group_unless_two_splits_claim_them(folder: Path) -> None:
    photo, rng = crops(1)[0][:64, :64], seeds.rng(SEED, "frames")
    for number in range(500):
        put(folder, f"{number}.png", (photo + rng.integers(0, 4, (64, 64, 3))).clip(0, 255)
            .astype(np.uint8))  # fmt: skip
    built = index(folder)
    assert len(built["photos"]) == 500
    assert len({(row["group"], row["split"]) for row in built["photos"]}) == 1
    claims = {"0.png": "test", "1.png": "train"}
    said = [plain(f"{number}.png", split=claims.get(f"{number}.png")) for number in range(500)]
    again = index(folder, said)
    assert set(refused(again)) == {"1.png"}
    assert {row["split"] for row in again["photos"]} == {"test"}


def test_processes_write_the_same_index(folder: Path, windows: list[np.ndarray]) -> None:
    for number, photo in enumerate(windows[:20]):
        put(folder, f"{number}.png", photo)
        put(folder, f"{number}-twin.png", photo[:, ::-1])
    (folder / "broken.png").write_bytes(b"no photo")
    assert json.dumps(index(folder, execute=Processes(2, "index"))) == json.dumps(index(folder))


def test_other_shares_ask_for_the_splits_anew(folder: Path, windows: list[np.ndarray]) -> None:
    put(folder, "a.png", windows[0])
    built = index(folder)
    (row,) = built["photos"]
    assert earlier_of(folder, built) == {row["id"]: (row["group"], row["split"])}
    assert earlier_of(folder, built, test_share=0.0) == {row["id"]: (row["group"], None)}
    for text in ("", "[]", '{"photos": []}', '{"splits": 3, "photos": 4}'):
        (folder / "none.json").write_text(text)
        assert read_earlier(folder / "none.json", SECTION, SEED) == {}


def test_what_is_no_file_is_refused_and_never_followed(folder: Path, tmp_path: Path) -> None:
    secret = put(tmp_path, "secret.png", crops(1)[0])
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    with (folder / "vast.png").open("wb") as file:
        file.truncate(1 << 40)
    found = refused(index(folder))
    assert {kind for kind, _ in found.values()} == {"unreadable"} and len(found) == 5
    assert found["link.png"][1] == found["loop.png"][1] == "is a link, which is not followed"
    assert found["folder.png"][1] == "is a folder"
    assert found["pipe.png"][1] == "is no regular file"
    assert "MB is more than 1 megapixels can need" in found["vast.png"][1]
    listed = plain("link.png", sha256=sha256_bytes(secret))
    assert "link.png" in rows(index(folder, [listed])), "its bytes are those of the listing"
    changed = plain("link.png", sha256=sha256_bytes(b""))
    assert "has changed since it was fetched" in refused(index(folder, [changed]))["link.png"][1]
    left = plain("gone.png", left_out="a link, not followed")
    assert refused(index(folder, [left])) == {"gone.png": ("left out", "a link, not followed")}


def test_a_pair_is_a_row_with_its_files(folder: Path, windows: list[np.ndarray]) -> None:
    clean, damaged, mask = windows[0], windows[0].copy(), np.zeros((160, 160), np.uint8)
    damaged[20:40], mask[20:40] = 255, 255
    files = {name: put(folder, name, photo) for name, photo in
             (("clean.png", clean), ("damaged.png", damaged), ("mask.png", mask))}  # fmt: skip
    pair = plain(
        "clean.png", corrupted="damaged.png", corrupted_sha256=sha256_bytes(files["damaged.png"]),
        mask="mask.png", mask_sha256=sha256_bytes(files["mask.png"]), licence="CC0",
    )  # fmt: skip
    unmasked = pair._replace(path="clean.png", name="again", mask=None, mask_sha256=None)
    built = index(folder, [pair, unmasked, plain("clean.png", source="t")])
    assert len(built["photos"]) == 3 and not built["rejected"]
    assert len({row["group"] for row in built["photos"]}) == 1
    row = next(row for row in built["photos"] if row["mask"])
    assert (row["corrupted"], row["mask"], row["licence"]) == ("damaged.png", "mask.png", "CC0")
    assert row["mask_sha256"] == sha256_bytes(files["mask.png"])
    put(folder, "mask.png", mask[1:])
    wrong = pair._replace(mask_sha256=None)
    assert refused(index(folder, [wrong])) == {
        "clean.png": ("unreadable", "its mask picture is 160x159, not 160x160")
    }


def test_too_many_unreadable_files_are_an_error_with_counts(folder: Path) -> None:
    for number, photo in enumerate(crops(9)):
        put(folder, f"{number}.png", photo)
        put(folder, f"{number}-copy.png", photo)
    (folder / "bad.png").write_bytes(b"x")
    check_share(folder, index(folder), SECTION)  # 1 of 19; copies are not unreadable
    (folder / "worse.png").write_bytes(b"y")
    (folder / "empty.png").write_bytes(b"")
    with pytest.raises(PhotoIndexError) as caught:
        check_share(folder, index(folder), SECTION)
    assert "3 of 21 files cannot be read" in str(caught.value)
    assert "2 × cannot be identified as a photo, as bad.png" in str(caught.value)
    assert "index.max_rejected_share = 0.1" in str(caught.value)


def test_nothing_to_index_is_an_error_with_reasons(folder: Path) -> None:
    with pytest.raises(PhotoIndexError, match="no photo in it; add photos"):
        check_any(folder, index(folder))
    (folder / "empty.png").write_bytes(b"")
    with pytest.raises(PhotoIndexError, match=r"all of 1 files .* \(1 × the file is empty"):
        check_any(folder, index(folder))


def test_reasons_are_counted_and_cut() -> None:
    bad = [{"reason": f"r{n % 5}", "name": f"{n}.png"} for n in range(11)]
    assert count_reasons(bad, 2) == "3 × r0, as 0.png; 2 × r1, as 1.png; 6 more"


def test_large_groups_are_told_but_not_small_ones() -> None:
    photos = [{"group": "a"}] * 6 + [{"group": "b"}] * 5 + [{"group": str(n)} for n in range(80)]
    assert large_groups({"photos": photos}) == [("a", 6)]
    many = [{"group": "a"}] * 30 + [{"group": "b"}] * 20 + [{"group": str(n)} for n in range(2500)]
    assert large_groups({"photos": many}) == [("a", 30)]


def test_a_jpeg_and_its_photo_are_one_group(folder: Path, windows: list[np.ndarray]) -> None:
    put(folder, "a.png", windows[0])
    (folder / "b.jpg").write_bytes(encode_jpeg(windows[0], 60))
    assert len({row["group"] for row in index(folder)["photos"]}) == 1
