"""Sets are known by their pictures; what a system was trained on is found, also saved anew."""

import numpy as np
import pytest
from skimage import data

from pipeline.errors import ImageError
from pipeline.files import sha256_file, write_json
from pipeline.images import encode_jpeg, encode_png, resize
from pipeline.literature.measuring import Bench
from pipeline.literature.pictures import see, trained_on
from pipeline.literature.protocol import Noise
from pipeline.literature.sets import published, recognize
from pipeline.splits import pixel_id
from tests.pipeline.clean_pictures import put_pictures, seen_in, silent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return put_pictures(tmp_path_factory.mktemp("clean"))


@pytest.fixture(scope="module")
def set12(photos):
    return seen_in(photos / "benchmarks/Set12_gray")


@pytest.fixture(scope="module")
def bsd68(photos):
    return seen_in(photos / "benchmarks/BSD68_gray")


# sets


def test_sets_are_known_by_their_pictures(set12, bsd68):
    assert recognize(set12, False) == ("Set12", "by its pixels")
    assert recognize(bsd68[::-1], False) == ("BSD68", "by its pixels")
    assert published("BSD68", 25.0)["SCUNet"] == 29.55
    assert published("Set12", 25.0)["DnCNN"] == 30.44


def test_parts_strangers_and_doubles_are_not_the_set(set12, bsd68):
    assert recognize(set12[1:], False).name is None
    assert "11 of Set12's 12" in recognize(set12[1:], False).note
    assert recognize([*set12, bsd68[0]], False).name is None
    assert recognize([*set12[:11], set12[0]], False).name is None
    smaller = [one._replace(height=one.height // 2, width=one.width // 2) for one in set12]
    assert recognize(smaller, False) == (None, "")
    assert published(None, 25.0) == published("Set12", 26.0) == {}


def test_gray_sets_have_no_figures_in_color_and_color_ones_their_own(set12, bsd68):
    assert recognize(set12, True).name is None
    assert recognize(bsd68, True).name is None
    colored = [one._replace(gray=False, id=one.id[::-1]) for one in bsd68]
    assert recognize(colored, True).name == "CBSD68"
    assert published("CBSD68", 25.0)["Restormer"] == 31.79
    assert recognize(colored, False).name == "BSD68"
    assert "luma of color pictures" in recognize(colored, False).note


def test_a_set_saved_anew_is_told_as_such(set12, tmp_path):
    for one in set12:
        pixels = Bench([one], Noise(25, 7, False), 80).pair(0).clean
        (tmp_path / one.name).with_suffix(".jpg").write_bytes(encode_jpeg(pixels, 60))
    known = recognize(seen_in(tmp_path), False)
    assert known.name == "Set12"
    assert "pixels differ" in known.note


def test_kodak_is_taken_by_its_names(folder):
    one = seen_in(folder)[0]
    named = [one._replace(name=f"kodim{n:02}.png", height=512, width=768) for n in range(1, 25)]
    assert recognize(named, True).name == "Kodak24"
    assert "taken for Kodak24 by its names" in recognize(named, True).note
    assert recognize([one._replace(height=500, width=500) for one in named], True).name
    assert recognize(named[1:], True).name is None
    assert recognize(named, False).name is None
    assert recognize([one._replace(height=256) for one in named], True).name is None


def test_strangers_are_no_set(folder):
    assert recognize(seen_in(folder), False) == (None, "")


# what was trained on


def test_pictures_of_the_train_split_are_found_also_saved_anew(folder, tmp_path):
    raw, bench = tmp_path / "raw", tmp_path / "bench"
    raw.mkdir()
    bench.mkdir()
    rows = []
    for split, path in zip(("train", "train", "test"), sorted(folder.iterdir()), strict=True):
        (raw / path.name).write_bytes(path.read_bytes())
        one = see(path, path.name, 80)
        rows.append(row_of(one, split))
    write_json(tmp_path / "index.json", {"photos": rows, "rejected": []})
    for name in ("a", "c"):
        (bench / f"{name}.png").write_bytes((folder / f"{name}.png").read_bytes())
    again = resize(np.ascontiguousarray(resize(data.coffee(), 96, 128)[:, ::-1]), 120, 160)
    (bench / "mirrored.jpg").write_bytes(encode_jpeg(again, 80))
    found = trained_on(seen_in(bench), tmp_path / "index.json", raw, 80, silent)
    assert found == (["a.png", "mirrored.jpg"], "")
    (raw / "b.png").unlink()
    found = trained_on(seen_in(bench), tmp_path / "index.json", raw, 80, silent)
    assert found.names == ["a.png"]
    assert "1 training photos cannot be read" in found.note


def test_without_an_index_it_is_said_that_nothing_was_compared(folder, tmp_path):
    (tmp_path / "index.json").write_text("{")
    found = trained_on(seen_in(folder), tmp_path / "index.json", tmp_path, 80, silent)
    assert found.names == []
    assert "not compared" in found.note


def test_what_cannot_be_read_is_told_with_its_name(tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(encode_png(data.astronaut())[:5000])
    with pytest.raises(ImageError, match=r"broken\.png.*whole sets"):
        see(broken, "broken.png", 80)


def row_of(one, split):
    return {
        "id": one.id, "source": "sample", "name": one.name, "path": one.name,
        "sha256": sha256_file(one.path), "width": one.width, "height": one.height,
        "gray": one.gray, "group": one.id, "split": split,
    }  # fmt: skip


def test_ids_are_the_index_s(folder):
    path = folder / "a.png"
    pixels = resize(data.astronaut(), 96, 128)
    assert see(path, "a.png", 80).id == pixel_id(pixels)
