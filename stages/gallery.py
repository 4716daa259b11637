"""Every damage family at five severities, labelled: what `patina preview --gallery` draws."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.images import Array

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
SIDE = 320  # px, short side of a cell
SHOWN = ("chelsea.png", "coffee.png", "astronaut.png")


def draw_gallery(names: list[str], photos: list[Array], textures: Path) -> bytes:
    """PNG of a row a family; the photos take turns. Raises ParamsError without an overlay bank for
    the family `texture`."""
    from pipeline import seeds
    from pipeline.corruptions import CORRUPTIONS
    from pipeline.images import to_rgb
    from pipeline.plots import plot_pictures

    rows = []
    squares = [to_cell(photo) for photo in photos]
    for number, name in enumerate(names):
        photo, cells = squares[number % len(squares)], []
        for severity in SEVERITIES:
            family = CORRUPTIONS[name].at(severity).bind(textures)
            drawn = family.draw(photo.shape[:2], seeds.rng(0, "gallery", name))
            cells.append(to_rgb(family.apply(photo, drawn)[0]))
        rows.append((name, cells))
    return plot_pictures(rows, [f"severity {severity:g}" for severity in SEVERITIES])


def sample_photos() -> list[Array]:
    """Three of the photos that come with the installation."""
    from importlib.resources import files

    from pipeline.photos import decode_rgb

    home = files("skimage") / "data"
    return [decode_rgb((home / name).read_bytes(), 80.0) for name in SHOWN]


def to_cell(photo: Array) -> Array:
    """The middle square of a photo, uint8 320×320×3."""
    from pipeline.images import resize

    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    return resize(photo[top : top + side, left : left + side], SIDE, SIDE)
