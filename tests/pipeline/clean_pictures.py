"""A small folder of clean pictures, as benchmarks of the literature take one."""

from pathlib import Path

from skimage import data

from pipeline.images import encode_png, resize
from pipeline.literature.pictures import Seen, see


def silent(done: int, total: int) -> None:
    """A progress that tells nobody."""
    assert 0 < done <= total


def seen_in(folder: Path) -> list[Seen]:
    """Every picture of a folder."""
    return [see(path, path.name, 80) for path in sorted(folder.iterdir())]


def put_pictures(home: Path) -> Path:
    """Three real photos, small, one of them gray."""
    for name, pixels in (("b", data.coffee()), ("a", data.astronaut()), ("c", data.camera())):
        pixels = pixels if pixels.ndim == 3 else pixels[:, :, None]
        (home / f"{name}.png").write_bytes(encode_png(resize(pixels, 96, 128)))
    return home
