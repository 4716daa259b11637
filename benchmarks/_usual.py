"""Photo → shard as one would write it with the usual libraries: numpy and OpenCV for the damage,
Pillow's or OpenCV's PNG, webdataset's ShardWriter.

The same outputs and the same amounts of damage as the recipes `shapes` and `aged` of params.yaml; a
photo is decoded once for all its tiles, and shapes are blended in their bounding boxes only.
"""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import webdataset
from PIL import Image

Array = np.ndarray
Rng = np.random.Generator
Draw = Callable[[Array, Rng], tuple[Array, Array, Array, dict]]  # clean, corrupted, mask, story
VISIBLE = 4  # levels


class Codec(NamedTuple):
    """How photos are read, how PNGs are written, and colors turned into gray."""

    read: Callable[[Path], Array]
    png: Callable[[Array], bytes]
    to_gray: Callable[[Array], Array]


def _pillow_png(picture: Array) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()


PILLOW = Codec(
    read=lambda path: np.array(Image.open(path).convert("RGB")),
    png=_pillow_png,
    to_gray=lambda tile: np.array(Image.fromarray(tile).convert("L")),
)
OPENCV = Codec(
    read=lambda path: cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR),
    png=lambda picture: cv2.imencode(".png", picture)[1].tobytes(),
    to_gray=lambda tile: cv2.cvtColor(tile, cv2.COLOR_BGR2GRAY),
)


def write_shards(
    paths: Sequence[Path],
    folder: Path,
    side: int,
    per_photo: int,
    codec: Codec,
    draw: Draw,
    seed: int,
) -> None:
    """Tiles of all photos, damaged, as tars of 128 samples."""
    folder.mkdir(exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(seed))
    with webdataset.ShardWriter(f"{folder}/train-%05d.tar", maxcount=128, verbose=0) as writer:
        for path in paths:
            photo = codec.read(path)
            for number in range(per_photo):
                clean, corrupted, mask, story = draw(random_tile(photo, side, rng), rng)
                writer.write(
                    {
                        "__key__": f"{path.stem}_{number:04d}",
                        "clean.png": codec.png(clean),
                        "corrupted.png": codec.png(corrupted),
                        "mask.png": codec.png(mask),
                        "json": story,
                    }
                )


def random_tile(photo: Array, side: int, rng: Rng) -> Array:
    """A window of the photo; one that is too small is mirrored at its borders."""
    top = int(rng.integers(0, max(1, photo.shape[0] - side + 1)))
    left = int(rng.integers(0, max(1, photo.shape[1] - side + 1)))
    tile = photo[top : top + side, left : left + side]
    missing = [(0, side - tile.shape[0]), (0, side - tile.shape[1]), (0, 0)]
    return np.pad(tile, missing, mode="symmetric") if tile.shape[:2] != (side, side) else tile


class Shapes:
    """Squares and circles, drawn anew until they cover what they should. `ranges`: of the family
    `shapes` in params.yaml."""

    def __init__(self, ranges: dict) -> None:
        self.ranges = ranges

    def __call__(self, tile: Array, rng: Rng) -> tuple[Array, Array, Array, dict]:
        """Clean, corrupted, mask, story."""
        side = len(tile)
        for _ in range(40):
            told = self._random_shapes(side, rng)
            mask = np.zeros((side, side), np.uint8)
            for one in told:
                rows, columns, inside = _region(one, side)
                mask[rows, columns][inside] = 255
            low, high = self.ranges["covered_range"]
            if low <= np.count_nonzero(mask) / mask.size <= high:
                break
        corrupted = tile.copy()
        for one in told:
            rows, columns, inside = _region(one, side)
            part = corrupted[rows, columns]
            noise = one["fill"] == "noise"
            fill = rng.integers(0, 256, (inside.sum(), 3)) if noise else np.array(one["color"])
            part[inside] = (1 - one["opacity"]) * part[inside] + one["opacity"] * fill
        return tile, corrupted, mask, {"shapes": told}

    def _random_shapes(self, side: int, rng: Rng) -> list[dict]:
        (least, most), (low, high) = self.ranges["num_range"], self.ranges["size_range"]
        flat = {"black": [0, 0, 0], "white": [255, 255, 255]}
        told = []
        for _ in range(int(rng.integers(least, most + 1))):
            y, x = (int(place) for place in rng.integers(0, side, 2))
            fill = self.ranges["fills"][int(rng.integers(len(self.ranges["fills"])))]
            one = {
                "kind": ("square", "circle")[int(rng.integers(2))], "y": y, "x": x, "fill": fill,
                "size": max(1, round(low * (high / low) ** rng.random() * side)),
                "color": flat[fill] if fill in flat else rng.integers(0, 256, 3).tolist(),
                "opacity": float(rng.uniform(*self.ranges["opacity_range"])),
            }  # fmt: skip
            told.append(one)
        return told


def _region(one: dict, side: int) -> tuple[slice, slice, Array]:
    """Bounding box within the tile, and which of its pixels the shape covers."""
    reach = one["size"] if one["kind"] == "circle" else one["size"] / 2
    top, left = (max(0, int(one[axis] - reach)) for axis in "yx")
    below, right = (max(0, min(side, int(one[axis] + reach) + 1)) for axis in "yx")
    rows, columns = np.ogrid[top:below, left:right]
    if one["kind"] == "circle":
        inside = (rows - one["y"]) ** 2 + (columns - one["x"]) ** 2 <= reach**2
    else:
        inside = np.ones((max(0, below - top), max(0, right - left)), bool)
    return slice(top, max(top, below)), slice(left, max(left, right)), inside


class Aged:
    """Gray, gaussian grain, and overlays out of a folder, kept once they were read.

    `grain` and `texture`: the ranges of those families in params.yaml; `channels`: 3 as
    albumentations' `ToGray` leaves them and networks read them, or 1.
    """

    def __init__(
        self, grain: dict, texture: dict, folder: Path, codec: Codec, channels: int
    ) -> None:
        self.grain, self.texture, self.names = grain, texture, sorted(folder.glob("*.png"))
        self.codec, self.channels = codec, channels
        self.overlays: dict[Path, Array] = {}

    def __call__(self, tile: Array, rng: Rng) -> tuple[Array, Array, Array, dict]:
        """Clean, corrupted, mask, story."""
        gray, sigma = self.codec.to_gray(tile), float(rng.uniform(*self.grain["sigma_range"]))
        least, most = self.texture["num_range"]
        told, amplitudes = [], []
        for _ in range(int(rng.integers(least, most + 1))):
            name = self.names[int(rng.integers(len(self.names)))]
            mode = self.texture["modes"][int(rng.integers(len(self.texture["modes"])))]
            opacity = float(rng.uniform(*self.texture["opacity_range"]))
            amplitudes.append((self._cut(name, len(tile), rng) * (opacity / 255), mode))
            told.append({"name": name.stem, "mode": mode, "opacity": opacity})
        corrupted, mask = aged_in_float64(gray, sigma, amplitudes, rng)
        pictures = [gray, corrupted]
        if self.channels == 3:
            pictures = [np.repeat(one[:, :, None], 3, axis=2) for one in pictures]
        return pictures[0], pictures[1], mask, {"sigma": sigma, "overlays": told}

    def _cut(self, path: Path, side: int, rng: Rng) -> Array:
        if path not in self.overlays:
            self.overlays[path] = np.array(Image.open(path).convert("L"))
        overlay = self.overlays[path]
        scale = rng.uniform(*self.texture["scale_range"])
        part = min(len(overlay), max(1, round(len(overlay) / scale)))
        top, left = rng.integers(0, len(overlay) - part + 1, 2)
        cut = cv2.resize(overlay[top : top + part, left : left + part], (side, side))
        cut = np.rot90(cut, int(rng.integers(4)))
        return cut[:, ::-1] if rng.integers(2) else cut


def aged_in_float64(
    gray: Array, sigma: float, amplitudes: Sequence[tuple[Array, str]], rng: Rng
) -> tuple[Array, Array]:
    """Grain, then overlays (0 to 1) blended; the mask is where those changed more than 4 levels."""
    grainy = np.clip(gray + rng.normal(0.0, sigma, gray.shape), 0, 255)
    out = grainy
    for amplitude, mode in amplitudes:
        if mode == "screen":
            out = out + amplitude * (255 - out)
        elif mode == "add":
            out = np.minimum(out + 255 * amplitude, 255)
        else:
            out = out * (1 - amplitude)
    mask = (np.abs(out - grainy) > VISIBLE).astype(np.uint8) * 255
    return np.rint(out).astype(np.uint8), mask
