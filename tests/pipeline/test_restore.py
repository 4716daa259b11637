"""Photos come back at their own size and depth, without seams; the command keeps their names."""

import itertools
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import restore
from pipeline.images import encode_png
from pipeline.photos import Picture, decode
from pipeline.restore import plan_windows, restore_picture
from pipeline.seeds import rng
from pipeline.systems import make_system
from tests.conftest import run_stage, small_params, tree, write_params

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
SIZES = [(1, 1), (1, 700), (3, 5), (65, 64), (511, 513), (512, 512), (700, 1100)]
REACH = 2  # px that a pixel of the toy depends on


def small(name, **changes):
    """An untrained system of tiny widths."""
    params = small_params()
    params["systems"][name] |= changes
    return make_system(name, params, 7)[0].eval()


def toy():
    """Two convolutions and no pooling: the same answer wherever a tile begins."""
    return small("aged_unet", widths=[], bottleneck=[6, 6])


def photo(height, width, channels=3):
    """A smooth picture with some noise, uint8 H×W×3."""
    rows, columns = np.mgrid[:height, :width]
    waves = 128 + 60 * np.sin(rows / 37) + 50 * np.cos(columns / 23)
    noise = rng(0, "photo", height, width).normal(0, 6, (height, width, channels))
    pixels = np.clip(waves[:, :, None] + noise, 0, 255).astype(np.uint8)
    return np.repeat(pixels, 3 // channels, axis=2)


def picture_of(pixels):
    return Picture(pixels, gray=False, alpha=None, file_format="PNG", exif=b"", icc=None)


def restored(pixels, system):
    return restore_picture(picture_of(pixels), system, CPU)


def untiled(pixels, system, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(restore, "TILE", 4096)
        return restored(pixels, system)


def seams(length):
    """Places where a tile ends inside of the photo."""
    ends = {
        place
        for window in plan_windows(length, 1)
        for place in (window.rows.start, window.rows.stop)
    }
    return sorted(ends - {0, length})


def near(length, places, reach):
    """Is each of `length` places within `reach` of a seam?"""
    distances = [np.abs(np.arange(length) + 0.5 - place) for place in places]
    return np.any([distance < reach for distance in distances], axis=0)


# sizes and depth


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["aged_unet", "dual_decoder"])
def test_size_and_type_stay_for_8_and_16_bits(name, size):
    system = small(name)
    pixels = photo(*size)
    before = pixels.copy()
    made = restored(pixels, system)
    assert made.shape == (*size, 3) and made.dtype == np.uint8
    np.testing.assert_array_equal(pixels, before)
    if size != SIZES[-1]:
        deep = restored(pixels.astype(np.uint16) * 257, system)
        assert deep.shape == (*size, 3) and deep.dtype == np.uint16


@pytest.mark.parametrize("name", ["aged_unet", "dual_decoder"])
def test_a_16_bit_photo_gets_the_change_of_its_8_bit_twin_on_top_of_its_full_depth(name):
    system = small(name)
    pixels = photo(90, 70)
    fine = rng(0, "fine").integers(-100, 100, pixels.shape)  # far less than a level of 8 bits
    deep = np.clip(pixels.astype(int) * 257 + fine, 0, 65535).astype(np.uint16)
    change = restored(pixels, system).astype(int) - pixels
    assert np.abs(change).max() > 20
    inside = (restored(pixels, system) > 0) & (restored(pixels, system) < 255)
    expected = np.clip(deep.astype(int) + 257 * change, 0, 65535)
    np.testing.assert_array_equal(restored(deep, system)[inside], expected[inside])


def test_what_is_not_damaged_keeps_every_bit_of_its_depth():
    system = small("dual_decoder")
    system.threshold = 1.1  # finds nothing
    pixels = photo(700, 600)
    np.testing.assert_array_equal(restored(pixels, system), pixels)
    deep = rng(0, "deep").integers(0, 65536, (90, 70, 3), np.uint16)
    np.testing.assert_array_equal(restored(deep, system), deep)


def test_a_gray_system_changes_the_light_and_keeps_the_tint():
    sepia = np.clip(photo(120, 90, 1) * np.array([0.7, 0.6, 0.5]) + 30, 0, 255).astype(np.uint8)
    made = restored(sepia, small("aged_unet")).astype(int)
    safe = ((made > 0) & (made < 255)).all(2)
    change = (made - sepia)[safe]
    assert safe.mean() > 0.2 and np.abs(change).max() > 10
    np.testing.assert_array_equal(change[:, 0], change[:, 1])
    np.testing.assert_array_equal(change[:, 0], change[:, 2])


def test_a_gray_photo_stays_gray_under_a_gray_system():
    made = restored(photo(100, 60, 1), small("aged_unet"))
    assert (made == made[:, :, :1]).all()


def test_a_small_photo_is_the_systems_own_answer():
    system = small("aged_unet")
    pixels = photo(75, 60, 1)
    x = torch.from_numpy(pixels[:, :, 0].copy())[None, None].float() / 255
    with torch.no_grad():
        expected = (system.restore(x).composite[0, 0] * 255).round().byte().numpy()
    np.testing.assert_array_equal(restored(pixels, system)[:, :, 0], expected)


# tiles


@pytest.mark.parametrize("size", [(1, 1), (512, 513), (700, 1100), (960, 961), (3000, 64)])
def test_windows_cover_every_pixel_and_overlap_by_at_least_the_blend(size):
    total = np.zeros(size, int)
    weight = np.zeros((*size, 1))
    windows = list(plan_windows(*size))
    for window in windows:
        total[window.rows, window.columns] += 1
        weight[window.rows, window.columns] += window.weights
        assert window.rows.stop - window.rows.start <= restore.TILE
        assert window.columns.stop - window.columns.start <= restore.TILE
        assert window.weights.min() > 0
    assert total.min() >= 1 and weight.min() > 0.98
    tops = sorted({(window.rows.start, window.rows.stop) for window in windows})
    for (_, above), (below, _) in itertools.pairwise(tops):
        assert above - below >= restore.OVERLAP


def test_tiles_give_the_untiled_picture_away_from_seams(monkeypatch):
    system, pixels = toy(), photo(700, 1100)
    tiled, whole = restored(pixels, system), untiled(pixels, system, monkeypatch)
    assert np.abs(whole.astype(int) - pixels).max() > 20
    rows, columns = near(700, seams(700), REACH), near(1100, seams(1100), REACH)
    assert len(seams(700)) == 2 and len(seams(1100)) == 4
    away = ~(rows[:, None] | columns)
    off = np.abs(tiled.astype(int) - whole)[away]
    assert off.max() <= 1 and np.mean(off > 0) < 1e-4  # sums of floats in another order


def test_at_seams_the_blend_hides_what_tiles_cannot_know(monkeypatch):
    system, pixels = toy(), photo(700, 1100)
    tiled, whole = restored(pixels, system), untiled(pixels, system, monkeypatch)
    assert np.abs(tiled.astype(int) - whole).max() <= 4
    with monkeypatch.context() as patch:  # the measure sees a seam where nothing is blended
        patch.setattr(restore, "OVERLAP", 1)
        hard = restored(pixels, system)
    assert np.abs(hard.astype(int) - whole).max() > 20


@pytest.mark.parametrize("name", ["aged_unet", "dual_decoder"])
@pytest.mark.parametrize("level", [20, 128, 240])
def test_an_even_photo_shows_no_seam(name, level):
    made = restored(np.full((700, 1100, 3), level, np.uint8), small(name)).astype(float)
    for axis, length in enumerate((700, 1100)):
        lines = made[100:-100, 100:-100].mean(1 - axis)  # mean color of each row, of each column
        steps = np.abs(np.diff(lines, axis=0)).max(1)
        at_seams = near(length, seams(length), restore.OVERLAP)[100:-100][:-1]
        assert at_seams.any() and not at_seams.all()
        assert steps[at_seams].max() <= steps[~at_seams].max() + 0.5
        assert np.ptp(lines, axis=0).max() <= np.ptp(lines[:-1][~at_seams], axis=0).max() + 1


def test_restoring_twice_gives_the_same_bytes():
    system, pixels = small("dual_decoder"), photo(600, 530)
    np.testing.assert_array_equal(restored(pixels, system), restored(pixels, system))


# the command


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A small project with a trained aged_unet."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, small_params())
    (folder / "data/inbox").mkdir(parents=True)
    (folder / "textures/scans").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["textures"], ["synth", "aged"], ["train", "aged_unet"]):
        run_stage(folder, *words)
    return folder


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A tree of photos of several formats and sizes."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "sub/deeper").mkdir(parents=True)
    color, gray = Image.fromarray(photo(75, 120)), Image.fromarray(photo(64, 51)[:, :, 0])
    color.save(folder / "a.jpg", quality=90)
    color.save(folder / "B.JPEG", quality=90)
    gray.save(folder / "grandma & ö.png")
    color.crop((0, 0, 31, 9)).save(folder / "sub/c.tiff")
    color.save(folder / "sub/deeper/d.webp")
    Image.fromarray(photo(40, 30)[:, :, 0].astype(np.uint16) * 257).save(folder / "sub/deep.png")
    (folder / "sub/notes.txt").write_text("no photo")
    return folder


def look(path):
    """What stays of a photo: format, size, type of pixel."""
    with Image.open(path) as image:
        image.load()
        return image.format, image.size, image.mode


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def command(home, *words, check=True):
    return run_stage(home, "restore", *words, check=check)


def test_a_tree_keeps_its_names_formats_and_sizes(home, album, tmp_path):
    before = tree(album)
    done = command(home, album, "-o", tmp_path)
    assert done.stdout.strip() == f"6 of 6 photos restored into {tmp_path}"
    assert names(tmp_path) == [name for name in names(album) if not name.endswith(".txt")]
    for name in names(tmp_path):
        assert look(tmp_path / name) == look(album / name)
        assert (tmp_path / name).read_bytes() != before[name]
    assert tree(album) == before


def test_files_and_folders_may_be_mixed(home, album, tmp_path):
    command(home, album / "a.jpg", album / "sub", "-o", tmp_path)
    assert names(tmp_path) == ["a.jpg", "c.tiff", "deep.png", "deeper/d.webp"]


def test_the_command_does_what_the_library_does(home, album, tmp_path):
    from pipeline.checkpoint import load_system

    weights = home / "models/aged_unet/best.safetensors"
    name = "grandma & ö.png"
    command(home, album / name, "-o", tmp_path, "--weights", weights)
    picture = decode((album / name).read_bytes(), 80.0)
    expected = restore_picture(picture, load_system(weights)[1], CPU)
    np.testing.assert_array_equal(decode((tmp_path / name).read_bytes(), 80.0).pixels, expected)


def test_nothing_is_overwritten_without_force(home, album, tmp_path):
    command(home, album / "sub/c.tiff", "-o", tmp_path)
    first = tree(tmp_path)
    (tmp_path / "a.jpg").write_bytes(b"mine")
    done = command(home, album / "a.jpg", album / "sub/c.tiff", "-o", tmp_path, check=False)
    assert done.returncode == 1
    assert done.stderr.count("is already there; use --force or another folder") == 2
    assert tree(tmp_path) == {**first, "a.jpg": b"mine"}
    command(home, album / "a.jpg", album / "sub/c.tiff", "-o", tmp_path, "--force")
    assert look(tmp_path / "a.jpg") == look(album / "a.jpg")
    assert tree(tmp_path)["c.tiff"] == first["c.tiff"]


def test_bad_files_are_told_and_the_rest_is_done(home, album, tmp_path):
    folder, out = shutil.copytree(album, tmp_path / "in"), tmp_path / "out"
    good = (album / "a.jpg").read_bytes()
    for name, data in {
        "cut.jpg": good[: len(good) // 2], "empty.png": b"", "sub/text.webp": b"hello",
    }.items():  # fmt: skip
        (folder / name).write_bytes(data)
    done = command(home, folder, "-o", out, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 4 and told[-1].startswith("error: restore: 3 of 9 files failed")
    for name, line in zip(("cut.jpg", "empty.png", "sub/text.webp"), told, strict=False):
        assert line.startswith(f"error: {folder / name}: ")
    assert done.stdout.strip() == f"6 of 9 photos restored into {out}"
    assert names(out) == [name for name in names(album) if not name.endswith(".txt")]


def test_two_photos_that_would_become_one_file_are_refused_before_any_work(home, album, tmp_path):
    twin = tmp_path / "in/a.jpg"
    twin.parent.mkdir()
    shutil.copyfile(album / "a.jpg", twin)
    done = command(home, album / "a.jpg", twin, "-o", tmp_path / "out", check=False)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    (line,) = done.stderr.splitlines()
    assert "would be made from" in line and str(twin) in line and str(album / "a.jpg") in line


def test_the_same_photo_given_twice_is_restored_once(home, album, tmp_path):
    done = command(home, album / "a.jpg", album / "a.jpg", "-o", tmp_path)
    assert done.stdout.startswith("1 of 1 photos")


def test_photos_are_never_restored_over_themselves(home, album, tmp_path):
    folder = shutil.copytree(album, tmp_path / "in")
    before = tree(folder)
    done = command(home, folder, "-o", folder, "--force", check=False)
    assert done.returncode == 1 and "would be overwritten by its restoration" in done.stderr
    assert tree(folder) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere.png", "-o", "out"], "nowhere.png: does not exist"),
        (["data/inbox", "-o", "out"], "data/inbox: holds no photos"),
        (["params.yaml", "-o", "out", "--system", "none"], "system 'none': is not known; use one"),
        (["params.yaml", "-o", "out", "--weights", "params.yaml"], "is no weights file of ours"),
    ],
)
def test_what_cannot_be_done_is_one_line(home, words, says):
    done = command(home, *words, check=False)
    assert done.returncode == 1 and not (home / "out").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and says in line


def test_a_photo_that_cannot_be_written_is_told(home, album, tmp_path):
    (tmp_path / "out").write_bytes(encode_png(photo(4, 4)))
    done = command(home, album / "a.jpg", "-o", tmp_path / "out", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr or "Not a directory" in done.stderr
