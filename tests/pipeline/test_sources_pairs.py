"""A user's own pairs: matched by name, looked at, and every mismatch told."""

import struct
import unicodedata
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.errors import SourceError
from pipeline.sources import Brought, make_source
from pipeline.sources.matching import is_mask
from tests.conftest import tree
from tests.pipeline.test_sources import photo, put, quiet

HOLES = np.array([[0, 1], [1, 0]], np.uint8).repeat(4, 0).repeat(5, 1)[:, :9]  # 8×9


def encode(pixels: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def lay_out(home: Path, number: int, names: tuple[str, ...], damaged: str = "corrupted") -> None:
    """Pairs with masks, all different."""
    for place, name in enumerate(names):
        put(home / f"clean/{name}.png", photo(number + place))
        put(home / f"{damaged}/{name}.jpg", photo(number + 100 + place, ".jpg"))
        put(home / f"mask/{name}.png", encode(HOLES * 255))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    lay_out(tmp_path / "mine/train", 0, ("a", "b", "deep/c"))
    lay_out(tmp_path / "mine/val", 10, ("d", "e", "f", "g"), "degraded")
    return tmp_path / "mine"


def fetch(mine: Path) -> Brought:
    return make_source("pairs", {"path": "mine", "licence": None}).fetch(
        mine.parent, mine.parent / "out", quiet
    )


def refuse(mine: Path, *said: str) -> str:
    with pytest.raises(SourceError) as caught:
        fetch(mine)
    line = str(caught.value)
    assert "\n" not in line and not (mine.parent / "out").exists()
    for word in said:
        assert word in line
    return line


def test_pairs_are_matched_by_name(mine: Path) -> None:
    files, left_out = fetch(mine)
    out = mine.parent / "out"
    rows = {file.name: file for file in files}
    assert sorted(rows) == [
        "train/clean/a.png", "train/clean/b.png", "train/clean/deep/c.png",
        "val/clean/d.png", "val/clean/e.png", "val/clean/f.png", "val/clean/g.png",
    ]  # fmt: skip
    assert left_out == []
    for name, row in rows.items():
        assert (out / row.file).read_bytes() == (mine / name).read_bytes()
        damaged = name.replace("clean", "corrupted" if "train" in name else "degraded")
        twin = (mine / damaged).with_suffix(".jpg")
        assert (out / str(row.corrupted)).read_bytes() == twin.read_bytes()
        assert (out / str(row.mask)).read_bytes() == encode(HOLES * 255)
    for name, row in rows.items():
        assert row.split in (("train",) if name.startswith("train") else ("val", "test"))
    again = fetch(mine)
    assert again == fetch(mine) and set(tree(out)) == {
        name for row in files for name in (row.file, row.corrupted, row.mask)
    }


def test_half_of_val_is_test_and_no_newcomer_moves_anybody(mine: Path) -> None:
    lay_out(mine / "val", 50, tuple(f"p{number:02d}" for number in range(40)), "degraded")
    before = {file.name: file.split for file in fetch(mine).files}
    held = [split for split in before.values() if split != "train"]
    assert 12 < held.count("test") < 32 and held.count("test") + held.count("val") == 44
    lay_out(mine / "val", 120, ("0", "m", "z"), "degraded")
    (mine / "val/clean/p07.png").rename(mine / "val/clean/q.png")
    (mine / "val/degraded/p07.jpg").rename(mine / "val/degraded/q.jpg")
    (mine / "val/mask/p07.png").rename(mine / "val/mask/q.png")
    after = {file.name: file.split for file in fetch(mine).files}
    before["val/clean/q.png"] = before.pop("val/clean/p07.png")  # the same photo
    assert after.items() >= before.items() and len(after) == 3 + 44 + 3


def test_the_damaged_versions_of_one_photo_stay_together(mine: Path) -> None:
    for photos, number in enumerate(range(60, 68)):
        for version in range(4):
            name = f"{photos}-{version}"
            put(mine / f"val/clean/{name}.png", photo(number))
            put(mine / f"val/degraded/{name}.png", photo(100 + version))
    splits: dict[str, set[str | None]] = {}
    for file in fetch(mine).files:
        splits.setdefault(file.sha256, set()).add(file.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {"val", "test"} <= set().union(*splits.values())


def test_an_official_test_split_is_kept(mine: Path) -> None:
    lay_out(mine / "test", 30, ("t",))
    splits = {file.name.split("/")[0]: file.split for file in fetch(mine).files}
    assert splits == {"train": "train", "val": "val", "test": "test"}


def test_without_split_folders_the_index_decides(tmp_path: Path) -> None:
    lay_out(tmp_path / "mine", 0, ("a", "b"))
    files, _ = fetch(tmp_path / "mine")
    assert [(file.name, file.split) for file in files] == [
        ("clean/a.png", None),
        ("clean/b.png", None),
    ]


def test_a_missing_mask_is_missing_not_empty(mine: Path) -> None:
    (mine / "train/mask/a.png").unlink()
    rows = {file.name: file for file in fetch(mine).files}
    assert rows["train/clean/a.png"].mask is None
    assert rows["train/clean/a.png"].mask_sha256 is None
    assert rows["train/clean/b.png"].mask is not None


def test_every_mismatch_is_told_and_nothing_is_copied(mine: Path) -> None:
    put(mine / "train/clean/x.png", photo(50))
    put(mine / "train/corrupted/y.png", photo(51))
    put(mine / "train/mask/z.png", encode(HOLES))
    put(mine / "train/clean/a.jpg", photo(52, ".jpg"))
    put(mine / "val/mask/d.png", encode(np.arange(72, dtype=np.uint8).reshape(8, 9)))
    put(mine / "val/degraded/e.jpg", b"broken")
    put(mine / "val/degraded/f.jpg", encode(np.zeros((9, 9, 3), np.uint8), ".jpg"))
    put(mine / "val/mask/g.png", encode(np.zeros((4, 4), np.uint8)))
    line = refuse(
        mine,
        "train/clean/x: has no file in corrupted/", "train/corrupted/y: has no file in clean/",
        "train/mask/z: has no file in clean/", "train/clean/a: stands there twice",
        "val/mask/d.png: is no mask", "val/degraded/e.jpg: ",
        "val/degraded/f.jpg: 9x9, but 9x8 is the clean one",
        "val/mask/g.png: 4x4, but 9x8 is the clean one",
    )  # fmt: skip
    assert line.count(" | ") == 7


def test_what_is_too_large_to_be_looked_at_is_told_in_its_own_words(mine: Path) -> None:
    with (mine / "train/clean/a.png").open("r+b") as file:
        file.truncate(5 << 30)  # of holes: it takes no room
    header = bytearray(photo(1))
    header[16:24] = struct.pack(">II", 40_000, 20_000)
    header[29:33] = struct.pack(">I", zlib.crc32(header[12:29]))
    put(mine / "train/corrupted/b.jpg", bytes(header))
    line = refuse(
        mine,
        "train/clean/a.png: 5369 MB is more than 400 megapixels can need",
        "train/corrupted/b.jpg: 40000x20000 is more than 400 megapixels (the most that",
    )
    assert "max_megapixels" not in line


def test_many_mismatches_are_counted(mine: Path) -> None:
    for number in range(30):
        put(mine / f"train/clean/x{number:02d}.png", photo(50))
    line = refuse(mine, "and 10 more")
    assert line.count("has no file") == 20


@pytest.mark.parametrize("levels", [(0, 1), (0, 255), (0, 0), (1, 1), (255, 255)])
def test_masks_of_two_levels_are_masks(mine: Path, levels: tuple[int, int]) -> None:
    put(mine / "train/mask/a.png", encode(np.where(HOLES, *levels[::-1]).astype(np.uint8)))
    assert len(fetch(mine).files) == 7


def test_what_is_a_mask() -> None:
    assert is_mask(np.array([0, 65535], np.uint16)) and is_mask(np.array([0, 1], np.uint16))
    for levels in ([0, 1, 255], [0, 2], [0, 254, 255], [7]):
        assert not is_mask(np.array(levels, np.uint8))


def test_a_mask_of_one_bit_or_one_jpeg(mine: Path) -> None:
    from PIL import Image

    Image.fromarray(HOLES * 255).convert("1").save(mine / "train/mask/a.png")
    assert len(fetch(mine).files) == 7
    for file in (mine.parent / "out").iterdir():
        file.unlink()
    (mine.parent / "out").rmdir()
    (mine / "train/mask/a.png").unlink()
    noisy = cv2.GaussianBlur(HOLES * 255, (3, 3), 0)
    put(mine / "train/mask/a.jpg", encode(noisy, ".jpg"))
    refuse(mine, "train/mask/a.jpg: is no mask")


def test_names_in_two_spellings_match(tmp_path: Path) -> None:
    home = tmp_path / "mine"
    put(home / "clean" / unicodedata.normalize("NFC", "Ä.png"), photo(1))
    put(home / "corrupted" / unicodedata.normalize("NFD", "Ä.png"), photo(2))
    assert len(fetch(home).files) == 1


def test_links_are_not_followed(mine: Path) -> None:
    secret = put(mine.parent / "secret.png", photo(99))
    (mine / "train/clean/s.png").symlink_to(secret)
    (mine / "train/corrupted/s.png").symlink_to(secret)
    files, left_out = fetch(mine)
    assert len(files) == 7 and photo(99) not in tree(mine.parent / "out").values()
    assert [one.name for one in left_out] == ["train/clean/s.png", "train/corrupted/s.png"]


@pytest.mark.parametrize("make", ["absent", "empty", "both"])
def test_a_tree_of_another_shape_is_one_line(mine: Path, make: str) -> None:
    if make == "both":
        put(mine / "train/degraded/a.png", photo(1))
        refuse(mine, "train/corrupted: stands beside degraded")
        return
    mine.rename(mine.parent / "elsewhere")
    if make == "empty":
        mine.mkdir()
    refuse(mine, "is no folder" if make == "absent" else "holds no pairs")


def test_the_order_of_the_disk_is_of_no_matter(mine: Path) -> None:
    first = fetch(mine)
    for file in sorted(mine.rglob("*"), reverse=True):
        if file.is_file():  # each file written anew, in another order
            data = file.read_bytes()
            file.unlink()
            file.write_bytes(data)
    assert fetch(mine) == first
