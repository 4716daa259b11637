"""Which residual blocks should the restorer be built of? Networks of about equal size learn the
recipe `everything` for equal CPU time, taking turns; what they gain on held-out photos decides.

`python -m benchmarks blocks SECONDS`: CPU seconds of training steps each. Drawing damage is not in
the time: it is the same for all, and seeded, so that the n-th batch is the same for all as well.
"""

import math
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks._project import MEGAPIXELS, Project, make_project
from benchmarks._timing import cpu_seconds, one_thread, row
from pipeline import seeds
from pipeline.corruptions import Recipe
from pipeline.images import resize
from pipeline.photos import decode_rgb
from pipeline.sources.sample import PHOTOS
from pipeline.stream import Batch, to_batch
from pipeline.systems import System, count_parameters, make_system

SEED = 7
OURS = "drunet"
WARM_UP, CLIP_NORM, LEAST_RATE = 0.05, 1.0, 0.01  # shares of the time, of the rate
Array = np.ndarray
CPU = torch.device("cpu")


class Contender(NamedTuple):
    """What differs from `systems.restorer` of params.yaml, and AdamW's rate at its top: of 0.001,
    0.002 and 0.003 the best one in short runs."""

    changes: dict
    rate: float


# Ours unfolded; NAFNet's blocks folded and not, with more of them further down, or one a level on
# wider levels.
FLAT = {"fold": 1, "widths": [16, 32, 48, 64, 96, 128], "num_blocks": [1, 1, 1, 1, 1, 1]}
NAF = FLAT | {"blocks": "naf"}
CONTENDERS = {
    OURS: Contender({"blocks": "drunet"}, 0.002),
    "drunet-unfolded": Contender(FLAT, 0.002),
    "naf-folded": Contender({"blocks": "naf", "num_blocks": [2, 2, 3, 3, 2]}, 0.003),
    "naf-deep": Contender(NAF | {"num_blocks": [1, 1, 2, 3, 3, 2]}, 0.003),
    "naf-wide": Contender(NAF | {"widths": [20, 40, 64, 96, 128, 176]}, 0.003),
}


class Sizes(NamedTuple):
    """`side` px of a crop, `held_out` tiles of `held_out_side` px; `turn`: CPU seconds until the
    next one's turn."""

    side: int = 96
    batch: int = 8
    held_out: int = 96
    held_out_side: int = 160
    photo_side: int = 320
    turn: float = 3.0
    overlays: tuple[int, int] = (14, 512)


class Pupil:
    """A system in training: it learns for as long as it is told to, in CPU time."""

    def __init__(self, contender: Contender, params: dict, seconds: float) -> None:
        block = params["systems"]["restorer"] | contender.changes
        self.system = make_system("restorer", {"systems": {"restorer": block}}, SEED)[0]
        self.system.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.AdamW(self.system.parameters(), contender.rate)
        self.rate, self.seconds, self.spent, self.crops = contender.rate, seconds, 0.0, 0

    def learn(self, batches: Iterator[Batch], turn: float) -> None:
        """One turn."""
        self.system.train()
        until = min(self.seconds, self.spent + turn)
        while self.spent < until:
            batch = next(batches)
            self.spent += cpu_seconds(lambda batch=batch: self._step(batch))
            self.crops += len(batch.clean)

    def _step(self, batch: Batch) -> None:
        share = self.spent / self.seconds
        falling = 0.5 * (1 + math.cos(math.pi * share))
        rate = self.rate * min(1, share / WARM_UP, LEAST_RATE + falling)
        for group in self.optimizer.param_groups:
            group["lr"] = max(rate, 1e-3 * self.rate)
        with torch.autocast("cpu", torch.bfloat16):
            ((_, terms),) = self.system.updates("fit", batch)
        self.optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(self.system.parameters(), CLIP_NORM)
        self.optimizer.step()


def main(seconds: str = "75", sizes: Sizes = Sizes()) -> list[dict]:
    """Rows, each the blocks of the default beside others: parameters, training crops per CPU
    second, and dB gained per minute."""
    one_thread()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            project = make_project(Path(folder), *sizes.overlays)
            pupils = school(project, float(seconds), sizes)
            gained = {name: gain(one.system, project, sizes) for name, one in pupils.items()}
    finally:
        torch.set_num_threads(before)
    ours = pupils[OURS]
    rows = []
    for name, one in pupils.items():
        if one is ours:
            continue
        counts = [float(count_parameters(each.system)) for each in (ours, one)]
        speeds = [each.crops / each.spent for each in (ours, one)]
        dbs = [60 * gained[key] / pupils[key].spent for key in (OURS, name)]
        crop, time = f"{sizes.side}²", f"a CPU minute, over {seconds} s each"
        rows += [
            row(f"{name}-size", f"parameters: {OURS} blocks, {name}", *counts, None),
            row(f"{name}-speed", f"training crops of {crop} a CPU second, bf16", *speeds, None),
            row(f"{name}-gain", f"held-out dB gained {time}; ratio: difference", *dbs, 0.0,
                ratio=dbs[0] - dbs[1]),
        ]  # fmt: skip
    return rows


def school(project: Project, seconds: float, sizes: Sizes) -> dict[str, Pupil]:
    """All contenders, trained in turns."""
    pupils = {name: Pupil(one, project.params, seconds) for name, one in CONTENDERS.items()}
    photos = load("train", sizes.photo_side)
    lessons = {name: train_batches(project, photos, sizes) for name in pupils}
    while any(one.spent < seconds for one in pupils.values()):
        for name, one in pupils.items():
            one.learn(lessons[name], sizes.turn)
    return pupils


def train_batches(project: Project, photos: list[Array], sizes: Sizes) -> Iterator[Batch]:
    """Damaged crops without end."""
    recipe = Recipe.load(project.params, "everything", project.textures)
    number = 0
    while True:
        places = range(number, number + sizes.batch)
        samples = [damaged(recipe, photos, sizes.side, "train", place) for place in places]
        yield to_batch(samples).to(CPU)
        number += sizes.batch


def gain(system: System, project: Project, sizes: Sizes) -> float:
    """How many dB less the squared error of the predictions is than that of the inputs, over all
    held-out pixels. (A mean over tiles would be ruled by those that lack next to nothing.)"""
    recipe = Recipe.load(project.params, "everything", project.textures)
    photos = load("test", sizes.photo_side)
    system.eval()
    before = after = 0.0
    for place in range(sizes.held_out):
        batch = to_batch([damaged(recipe, photos, sizes.held_out_side, "test", place)]).to(CPU)
        with torch.no_grad():
            picture = system.restore(batch.corrupted).prediction
        before += float((batch.corrupted - batch.clean).square().mean())
        after += float((picture - batch.clean).square().mean())
    return 10 * math.log10(before / after)


def damaged(recipe: Recipe, photos: list[Array], side: int, split: str, place: int) -> tuple:
    """The sample at `place`: clean, corrupted, mask; gray as three equal channels."""
    pick = seeds.rng(SEED, "blocks", split, place)
    photo = photos[int(pick.integers(len(photos)))]
    top, left = (int(pick.integers(size - side + 1)) for size in photo.shape[:2])
    tile = np.ascontiguousarray(photo[top : top + side, left : left + side])
    made = recipe.damage(tile, lambda *purpose: seeds.rng(SEED, "blocks", place, split, *purpose))
    pictures = [np.repeat(one, 3 // one.shape[2], 2) for one in (made.clean, made.corrupted)]
    return *pictures, made.mask


def load(split: str, short_side: int) -> list[Array]:
    """The embedded photos of a split at one size."""
    found = []
    for name in PHOTOS[split]:
        photo = decode_rgb((files("skimage") / "data" / name).read_bytes(), MEGAPIXELS)
        scale = short_side / min(photo.shape[:2])
        found.append(resize(photo, *(round(size * scale) for size in photo.shape[:2])))
    return found
