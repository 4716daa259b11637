"""The index names photos by their pixels, keeps everyone in one split, and tells what it
rejects."""

import io
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline import seeds
from pipeline.candidates import Candidate
from pipeline.config import section
from pipeline.errors import ImageError, ParamsError
from pipeline.files import write_json
from pipeline.indexing import build_index
from pipeline.splits import (
    IndexSection,
    Photo,
    PhotoIndexError,
    load_photo,
    photos_of,
    pixel_id,
    read_index,
    split_of,
)

SECTION = IndexSection(val_share=0.2, test_share=0.3, max_megapixels=1.0, max_rejected_share=0.1)
SEED = 7
PINNED = "a79a5dfbb325664a8609e15de3a12889c699b9ad5d074229265c8f6c5802fc94"
Index = dict[str, Any]


def pixels(number: int, height: int = 12, width: int = 17) -> np.ndarray:
    return seeds.field(number).integers(0, 256, (height, width, 3), np.uint8)


def encoded(picture: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, picture[:, :, ::-1])[1].tobytes()


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def candidate(
    path: str, source: str = "folder", split: str | None = None, group: str | None = None
) -> Candidate:
    return Candidate(source=source, name=path, path=path, split=split, group=group)


def index(folder: Path, candidates: Iterable[Candidate], seed: int = SEED) -> Index:
    counted = []
    built = build_index(folder, candidates, SECTION, seed, lambda *step: counted.append(step))
    total = len(built["photos"]) + len(built["rejected"])
    assert counted == [(number, total) for number in range(1, total + 1)]
    return built


def splits(built: Index) -> dict[str, str]:
    return {row["id"]: row["split"] for row in built["photos"]}


def reasons(built: Index) -> dict[str, str]:
    return {row["path"]: row["reason"] for row in built["rejected"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 photos, each different."""
    for number in range(30):
        put(tmp_path / f"{number:02d}.png", encoded(pixels(number)))
    return tmp_path


def everyone(folder: Path) -> list[Candidate]:
    return [candidate(path.name) for path in sorted(folder.glob("*.*"))]


def test_a_row_says_what_the_file_is(tmp_path: Path) -> None:
    put(tmp_path / "sub/a.png", encoded(pixels(1)))
    (row,) = index(tmp_path, [candidate("sub/a.png")])["photos"]
    assert row["id"] == row["group"] == pixel_id(pixels(1))
    assert (row["width"], row["height"], row["gray"]) == (17, 12, False)
    assert row["split"] == split_of(row["id"], SECTION, SEED)


def test_the_pixel_id_is_pinned() -> None:
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert pixel_id(picture) == PINNED
    assert pixel_id(picture.reshape(4, 2, 3)) != PINNED  # the size counts


def test_one_photo_under_any_name_and_container_is_one_row(tmp_path: Path) -> None:
    put(tmp_path / "a.png", encoded(pixels(1)))
    put(tmp_path / "renamed.png", encoded(pixels(1)))
    put(tmp_path / "b.bmp", encoded(pixels(1), ".bmp"))
    put(tmp_path / "c.tiff", encoded(pixels(1), ".tiff"))
    put(tmp_path / "misnamed.jpg", encoded(pixels(1)))
    put(tmp_path / "other.png", encoded(pixels(2)))
    built = index(tmp_path, everyone(tmp_path))
    assert [row["path"] for row in sorted(built["photos"], key=lambda row: row["path"])] == [
        "a.png",
        "other.png",
    ]
    twins = {"b.bmp", "c.tiff", "misnamed.jpg", "renamed.png"}
    assert reasons(built) == dict.fromkeys(twins, "the same pixels as a.png (folder)")


def test_a_photo_turned_by_exif_is_the_one_turned_by_pixels(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    out = io.BytesIO()
    Image.fromarray(pixels(1)[::-1, ::-1]).save(out, "PNG", exif=exif)
    put(tmp_path / "turned.png", out.getvalue())
    put(tmp_path / "a.png", encoded(pixels(1)))
    assert reasons(index(tmp_path, everyone(tmp_path))) == {
        "turned.png": "the same pixels as a.png (folder)"
    }


def test_the_index_does_not_depend_on_the_order(folder: Path) -> None:
    put(folder / "twin.png", encoded(pixels(3)))
    put(folder / "bad.png", b"no photo")
    candidates = everyone(folder)
    built = index(folder, candidates)
    for turn in range(3):
        shuffled = [candidates[i] for i in seeds.field(turn).permutation(len(candidates))]
        assert json.dumps(index(folder, shuffled)) == json.dumps(built)
    assert built["photos"] == sorted(built["photos"], key=lambda row: row["id"])


def test_newcomers_move_nobody(folder: Path) -> None:
    before = splits(index(folder, everyone(folder)))
    assert len(set(before.values())) == 3
    for number in range(100, 140):
        put(folder / f"0{number}.png", encoded(pixels(number)))
    after = splits(index(folder, everyone(folder)))
    assert len(after) == 70 and {name: after[name] for name in before} == before
    for number in range(0, 30, 2):
        (folder / f"{number:02d}.png").unlink()
    left = splits(index(folder, everyone(folder)))
    assert len(left) == 55 and all(after[name] == split for name, split in left.items())


def test_a_copy_elsewhere_does_not_take_an_official_photos_place(tmp_path: Path) -> None:
    put(tmp_path / "sample/x.png", encoded(pixels(1)))
    put(tmp_path / "folder/copy.png", encoded(pixels(1)))
    official = candidate("sample/x.png", "sample", "test")
    copy = candidate("folder/copy.png", "folder")
    for candidates in ([copy, official], [official, copy]):
        built = index(tmp_path, candidates)
        assert [(row["path"], row["split"]) for row in built["photos"]] == [
            ("sample/x.png", "test")
        ]
        assert reasons(built) == {"folder/copy.png": "the same pixels as sample/x.png (sample)"}


def test_official_splits_and_groups_override_computed_ones(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path / f"{number}.png", encoded(pixels(number)))
    built = index(
        tmp_path,
        [candidate(f"{n}.png", split="val") for n in range(10)]
        + [candidate(f"{n}.png", group="album") for n in range(10, 20)],
    )
    rows = {row["path"]: row for row in built["photos"]}
    assert {rows[f"{n}.png"]["split"] for n in range(10)} == {"val"}
    assert {rows[f"{n}.png"]["group"] for n in range(10, 20)} == {"album"}
    album = split_of("album", SECTION, SEED)
    assert {rows[f"{n}.png"]["split"] for n in range(10, 20)} == {album}


def test_shares_are_about_right_over_2000_groups() -> None:
    counts = Counter(split_of(f"group {n}", SECTION, SEED) for n in range(2000))
    assert abs(counts["test"] / 2000 - 0.3) < 0.04
    assert abs(counts["val"] / 2000 - 0.2) < 0.04
    assert counts["train"] == 2000 - counts["test"] - counts["val"]


def test_a_larger_share_takes_and_never_swaps() -> None:
    larger = IndexSection(val_share=0.2, test_share=0.5, max_megapixels=1.0, max_rejected_share=0.1)
    for number in range(500):
        if split_of(str(number), SECTION, SEED) == "test":
            assert split_of(str(number), larger, SEED) == "test"


def test_shares_of_nothing_leave_all_for_training() -> None:
    none = IndexSection(val_share=0.0, test_share=0.0, max_megapixels=1.0, max_rejected_share=0.1)
    assert {split_of(str(number), none, SEED) for number in range(300)} == {"train"}


def test_another_seed_splits_otherwise() -> None:
    one = [split_of(str(number), SECTION, 7) for number in range(200)]
    assert one == [split_of(str(number), SECTION, 7) for number in range(200)]
    assert one != [split_of(str(number), SECTION, 8) for number in range(200)]


def test_what_cannot_be_read_is_a_row_with_a_reason(tmp_path: Path) -> None:
    whole = encoded(pixels(1))
    put(tmp_path / "good.png", whole)
    put(tmp_path / "empty.png", b"")
    put(tmp_path / "text.jpg", b"hello world" * 20)
    put(tmp_path / "cut.png", whole[:-200])
    put(tmp_path / "large.png", encoded(np.zeros((1001, 1000, 3), np.uint8)))
    put(tmp_path / "deep.tiff", encoded(pixels(1)[:, :, 0].astype(np.float32)[..., None], ".tiff"))
    names = ["good.png", "empty.png", "text.jpg", "cut.png", "large.png", "deep.tiff", "gone.png"]
    (tmp_path / "dir.png").mkdir()
    built = index(tmp_path, map(candidate, [*names, "dir.png"]))
    assert [row["path"] for row in built["photos"]] == ["good.png"]
    told = reasons(built)
    assert set(told) == {*names, "dir.png"} - {"good.png"}
    assert told["empty.png"] == "the file is empty"
    assert told["text.jpg"] == "cannot be identified as a photo"
    assert told["large.png"] == "1000x1001 is more than 1 megapixels (index.max_megapixels)"
    assert told["gone.png"] == "No such file or directory"
    assert all(told.values()) and "\n" not in "".join(told.values())


def test_an_empty_set_is_an_empty_index(tmp_path: Path) -> None:
    built = index(tmp_path, [])
    assert built["photos"] == built["rejected"] == []


def test_an_index_reads_back_as_it_was_built(folder: Path, tmp_path: Path) -> None:
    built = index(folder, everyone(folder))
    write_json(tmp_path / "index.json", built)
    photos = read_index(tmp_path / "index.json")
    assert [photo.model_dump(mode="json") for photo in photos] == built["photos"]


@pytest.mark.parametrize("text", [None, "", "[]", "3", "{}", '{"photos": 3}'])
def test_what_is_no_index_is_one_line(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "index.json").write_text(text)
    with pytest.raises(PhotoIndexError, match=r"index\.json: is no index"):
        read_index(tmp_path / "index.json")


@pytest.mark.parametrize("rows", ['[{"id": "x"}]', "[3]", '["x"]', "[null]"])
def test_a_broken_row_is_one_line(tmp_path: Path, rows: str) -> None:
    (tmp_path / "index.json").write_text(f'{{"photos": {rows}}}')
    with pytest.raises(PhotoIndexError, match=r"index\.json: photos") as caught:
        read_index(tmp_path / "index.json")
    assert "\n" not in str(caught.value)


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    put(tmp_path / "a.png", encoded(pixels(1)))
    (row,) = index(tmp_path, [candidate("a.png")])["photos"]
    return Photo.model_validate(row)


def test_a_photo_loads_as_indexed(tmp_path: Path, photo: Photo) -> None:
    np.testing.assert_array_equal(load_photo(tmp_path, photo, 1.0), pixels(1))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (encoded(pixels(2)), "has changed since it was indexed"),
        (encoded(pixels(1), ".bmp"), "has changed since it was indexed"),
        (b"", "has changed since it was indexed"),
        (None, "No such file"),
    ],
)
def test_a_photo_that_changed_is_refused(
    tmp_path: Path, photo: Photo, data: bytes | None, said: str
) -> None:
    (tmp_path / "a.png").unlink()
    if data is not None:
        put(tmp_path / "a.png", data)
    with pytest.raises(ImageError, match=said) as caught:
        load_photo(tmp_path, photo, 1.0)
    assert "a.png" in str(caught.value)


def test_a_photo_over_the_limit_of_today_is_refused(tmp_path: Path, photo: Photo) -> None:
    with pytest.raises(ImageError, match="megapixels"):
        load_photo(tmp_path, photo, 0.0001)


def test_photos_are_chosen_by_source_and_split(folder: Path) -> None:
    candidates = [
        candidate(f"{n:02d}.png", source="ab"[n % 2], split=("train", "test")[n % 3 > 0])
        for n in range(30)
    ]
    photos = [Photo.model_validate(row) for row in index(folder, candidates)["photos"]]
    chosen = list(photos_of(photos, ["a"], "test"))
    assert {photo.name for photo in chosen} == {
        f"{n:02d}.png" for n in range(0, 30, 2) if n % 3 > 0
    }
    assert len(list(photos_of(photos, ["a", "b"], "train"))) == 10
    assert not list(photos_of(photos, ["c"], "train")) and not list(photos_of(photos, ["a"], "val"))


BAD = {"val_share": -0.1, "test_share": 1.0, "max_megapixels": 0.0, "max_rejected_share": 1.5}


@pytest.mark.parametrize("key", BAD)
def test_numbers_that_cannot_be_are_refused(key: str) -> None:
    block = {**SECTION.model_dump(), key: BAD[key]}
    with pytest.raises(ParamsError, match=rf"index\.{key} must be .*, not {BAD[key]}"):
        section({"index": block}, "index", IndexSection)


def test_shares_that_leave_nothing_for_training_are_refused() -> None:
    block = {**SECTION.model_dump(), "val_share": 0.6, "test_share": 0.4}
    with pytest.raises(ParamsError, match=r"index\.test_share must leave, with val_share"):
        section({"index": block}, "index", IndexSection)
