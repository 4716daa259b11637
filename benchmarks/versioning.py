"""What dvc pushes when one photo joins a thousand: bytes and shards, through the real commands.

Photos are windows of scikit-image's; shards are made, added to dvc and pushed to a folder, then a
photo is added, and all of it again. Bytes pushed are those that the remote grew by: shards, their
manifest and card, and dvc's own list of the folder.
"""

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ruamel.yaml import YAML
from skimage import data

from benchmarks._project import ROOT
from benchmarks._timing import row
from pipeline import png
from pipeline.config import load_params
from pipeline.files import write_bytes
from pipeline.seeds import rng
from pipeline.shards import read_manifest

RECIPE = "shapes"
FLOOR = 20.0
PICTURES = ("brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
            "immunohistochemistry", "retina", "rocket", "astronaut")  # fmt: skip


class Sizes(NamedTuple):
    """How much is measured. `photo_side` and `tile_side` in px."""

    photos: int = 1000
    added: int = 3  # one after the other
    photo_side: int = 96
    tile_side: int = 48
    per_photo: int = 8


class State(NamedTuple):
    """What stands after a push."""

    num_bytes: int  # of the shard set
    stored: int  # bytes in the remote
    shards: frozenset[str]  # by sha256


def main(sizes: Sizes = Sizes()) -> list[dict]:
    """Rows of the whole set against what a photo added costs."""
    with tempfile.TemporaryDirectory(prefix="patina-versioning-") as folder:
        states = list(_push_each(Path(folder), sizes))
    whole = states[0]
    steps = list(itertools.pairwise(states))
    pushed = [after.stored - before.stored for before, after in steps]
    redrawn = [len(after.shards - before.shards) for before, after in steps]
    told = f"of a shard set of {sizes.photos} photos, against"
    return [
        row("bytes-one-photo", f"bytes {told} bytes pushed after one photo more",
            whole.num_bytes, pushed[0], FLOOR),
        row("bytes-mean", f"bytes {told} bytes pushed for a photo, mean of {len(pushed)}",
            whole.num_bytes, float(np.mean(pushed)), FLOOR),
        row("shards-mean", f"shards {told} shards drawn again for a photo, mean of {len(pushed)}",
            len(whole.shards), float(np.mean(redrawn)), FLOOR),
    ]  # fmt: skip


def _push_each(home: Path, sizes: Sizes) -> Iterator[State]:
    """The shards of so many photos pushed, and pushed again after each photo more."""
    _begin(home, sizes)
    photos = _photos(sizes.photo_side)
    for number in range(sizes.photos + sizes.added):
        write_bytes(home / f"data/inbox/{number:05d}.png", png.encode(next(photos)))
        if number + 1 >= sizes.photos:
            for stage in (["fetch"], ["index"], ["synth", RECIPE]):
                _run(home, "-m", f"stages.{stage[0]}", *stage[1:])
            _run(home, "-m", "dvc", "add", "-q", f"data/shards/{RECIPE}")
            _run(home, "-m", "dvc", "push", "-q")
            rows = read_manifest(home / f"data/shards/{RECIPE}").shards
            yield State(
                _size(home / f"data/shards/{RECIPE}"),
                _size(home / "remote"),
                frozenset(one.sha256 for one in rows),
            )


def _begin(home: Path, sizes: Sizes) -> None:
    """A project of the repository's params, but for its photos and its tiles."""
    params = load_params(ROOT / "params.yaml")
    params["sources"] = {"folder": params["sources"]["folder"]}
    tiles = {"side": sizes.tile_side, "per_photo": sizes.per_photo, "variants": 1}
    held = dict.fromkeys(("train", "val", "test"), tiles)
    params["recipes"][RECIPE] |= {"sources": ["folder"], **held}
    with (home / "params.yaml").open("w", encoding="utf-8") as file:
        YAML().dump(params, file)
    _run(home, "-m", "dvc", "init", "-q", "--no-scm")
    _run(home, "-m", "dvc", "remote", "add", "-q", "-d", "near", str(home / "remote"))


def _photos(side: int) -> Iterator[np.ndarray]:
    """Windows of real photographs, uint8 side×side×3, without the empty ones."""
    random = rng(0, "versioning")
    pictures = [np.atleast_3d(getattr(data, name)()) for name in PICTURES]
    while True:
        picture = pictures[int(random.integers(len(pictures)))]
        top, left = (int(random.integers(length - side)) for length in picture.shape[:2])
        window = picture[top : top + side, left : left + side, :3]
        if window.std() > 8:
            yield np.ascontiguousarray(np.broadcast_to(window, (side, side, 3)))


def _run(home: Path, *words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DVC_NO_ANALYTICS": "1"}
    done = subprocess.run(
        [sys.executable, *words], cwd=home, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
