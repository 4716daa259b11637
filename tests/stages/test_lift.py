"""`patina lift`: the marks of a blank page come off, a blank page gives nothing, and a photo is
refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from pipeline import images, photos, seeds
from pipeline.textures import misfit, overlay_from_scan
from stages.__main__ import app

Gray = NDArray[np.uint8]


def lift(*words: object) -> Result:
    """What the command answers."""
    return CliRunner().invoke(app, ["lift", *map(str, words)])


def page(ground: int, strength: int, seed: int) -> tuple[Gray, Gray]:
    """A blank page under an uneven lamp with film grain, and the marks that lie on it, 0 to 255.

    `strength` above 0 makes light marks, below 0 dark ones.
    """
    generator = seeds.rng(seed, "page")
    marks = np.zeros((480, 640), np.uint8)
    for _ in range(20):
        ends = generator.integers(0, [640, 480], (2, 2)).tolist()
        cv2.line(marks, ends[0], ends[1], int(generator.integers(90, 256)), 1, cv2.LINE_AA)
    for _ in range(150):
        middle = generator.integers(0, [640, 480]).tolist()
        cv2.circle(
            marks, middle, int(generator.integers(1, 4)), int(generator.integers(90, 256)), -1
        )
    lamp = np.linspace(-12, 12, 640)[None, :] + np.linspace(6, -6, 480)[:, None] ** 2 / 4
    grain = generator.normal(size=marks.shape) * 2
    scan = ground + lamp + grain + marks.astype(float) / 255 * strength
    return np.clip(np.rint(scan), 0, 255).astype(np.uint8), marks


def write(path: Path, picture: Gray) -> Path:
    path.write_bytes(images.encode_png(picture))
    return path


def read(path: Path) -> Gray:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture, dtype=np.uint8)


@pytest.mark.parametrize(("ground", "strength"), [(25, 200), (25, 70), (225, -200), (215, -70)])
def test_known_marks_come_off_an_uneven_page(tmp_path: Path, ground: int, strength: int) -> None:
    scan, marks = page(ground, strength, abs(strength))
    done = lift(write(tmp_path / "scan.png", scan), "-o", tmp_path / "marks.png")
    assert done.exit_code == 0 and "marked" in done.stdout
    found = read(tmp_path / "marks.png")
    assert found.shape == marks.shape
    assert np.corrcoef(found.ravel(), marks.ravel())[0, 1] > 0.97
    assert found[marks == 0].mean() < 1.5 and np.median(found) == 0  # the lamp is gone


def test_alpha_is_for_other_programs(tmp_path: Path) -> None:
    for ground, strength, tone in ((25, 150, 255), (225, -150, 0)):
        scan, marks = page(ground, strength, 3)
        write(tmp_path / "scan.png", scan)
        assert lift(tmp_path / "scan.png", "-o", tmp_path / "marks.png", "--alpha").exit_code == 0
        found = read(tmp_path / "marks.png")
        assert found.shape == (*marks.shape, 4) and (found[:, :, :3] == tone).all()
        share = found[:, :, 3:] / 255.0
        pasted = 128 * (1 - share) + found[:, :, :3] * share
        seen = np.sign(strength) * (pasted[:, :, 0] - 128)
        assert np.corrcoef(seen.ravel(), marks.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("level", [0, 20, 128, 240, 255])
def test_a_flat_page_gives_nothing(tmp_path: Path, level: int) -> None:
    write(tmp_path / "scan.png", np.full((300, 200), level, np.uint8))
    done = lift(tmp_path / "scan.png", "-o", tmp_path / "marks.png")
    assert done.exit_code == 1 and "shows no marks to lift" in done.stderr
    assert not (tmp_path / "marks.png").exists()


def test_grain_and_lamp_are_no_marks(tmp_path: Path) -> None:
    for ground in (25, 128, 225):
        scan, _ = page(ground, 0, 8)
        write(tmp_path / "scan.png", scan)
        assert lift(tmp_path / "scan.png", "-o", tmp_path / "marks.png").exit_code == 0
        assert (read(tmp_path / "marks.png") > 16).mean() < 0.01


def test_the_bank_takes_what_was_lifted(tmp_path: Path) -> None:
    scan, _ = page(225, -160, 5)
    write(tmp_path / "scan.png", scan)
    assert lift(tmp_path / "scan.png", "-o", tmp_path / "marks.png").exit_code == 0
    lifted = read(tmp_path / "marks.png")
    again = overlay_from_scan(photos.decode_rgb((tmp_path / "marks.png").read_bytes(), 80.0))
    assert np.corrcoef(lifted.ravel(), again.ravel())[0, 1] > 0.99
    assert again.max() > 200


def test_bad_input_is_one_line(tmp_path: Path, astronaut: np.ndarray) -> None:
    (tmp_path / "text.png").write_text("no picture")
    write(tmp_path / "photo.png", astronaut)
    write(tmp_path / "blank.png", np.full((64, 64), 20, np.uint8))
    for words, part in (
        ((tmp_path / "photo.png",), "not a blank page"),
        ((tmp_path / "text.png",), "text.png"),
        ((tmp_path / "gone.png",), "No such file"),
        ((tmp_path / "blank.png", "-o", tmp_path / "marks.jpg"), "PNG"),
    ):
        words = words if "-o" in words else (*words, "-o", tmp_path / "marks.png")
        done = lift(*words)
        assert done.exit_code == 1 and done.stdout == ""
        assert done.stderr.startswith("error: ") and part in done.stderr
        assert done.stderr.count("\n") == 1
    assert not (tmp_path / "marks.png").exists() and not (tmp_path / "marks.jpg").exists()


def test_photos_are_told_from_pages() -> None:
    from skimage import data

    for name in ("astronaut", "coffee", "chelsea", "camera"):
        assert misfit(getattr(data, name)()) > 1, name


def test_real_scans_are_lifted(photos: Path, tmp_path: Path) -> None:
    refused = []
    scans = sorted(photos.glob("textures/dark_overlay*")) + sorted(
        photos.glob("textures/light_overlay*")
    )
    for scan in scans:
        done = lift(scan, "-o", tmp_path / "marks.png")
        if done.exit_code:
            refused.append(scan.name)
            continue
        found = read(tmp_path / "marks.png")
        assert np.median(found) == 0 and 0.005 < (found > 4).mean() < 0.7, scan.name
        assert found.max() > 100, scan.name
    assert len(scans) >= 10 and len(refused) <= len(scans) // 10


def test_real_photos_are_refused(photos: Path) -> None:
    files = sorted(photos.glob("train/open/*"))[::9] + sorted(photos.glob("old/*"))[::5]
    pages = [
        file.name for file in files if misfit(cv2.imdecode(np.fromfile(file, np.uint8), 1)) <= 1
    ]
    assert len(files) >= 10 and len(pages) <= len(files) // 6
