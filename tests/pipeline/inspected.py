"""Samples, shards and splits as the data report sees them, for the tests of its parts."""

import numpy as np

from pipeline import inspection, shards
from pipeline.files import sha256_bytes
from pipeline.inspection.columns import SplitData
from pipeline.inspection.plan import PlannedStep
from pipeline.samples import Sample, pack
from pipeline.seeds import rng

SHAPES = PlannedStep((0,), "shapes", "shapes", "input", 0.5, True, (0.05, 0.3))
GRAIN = PlannedStep((1,), "grain", "grain", "input", 1.0, False, None)
GRAY = PlannedStep((2, 1), "grayscale", "grayscale", "both", 1.0, False, None)
STEPS = (SHAPES, GRAIN, GRAY)


def told(step, severity=0.5, turn=0):
    path = [step.path[0], *(part for number in step.path[1:] for part in (turn, number))]
    return {"step": path, "family": step.family, "on": step.on, "severity": severity}


def sample(photo, tile=0, variant=0, steps=(), rows=2, side=16, salt=""):
    """A tile of noise whose first `rows` rows are white in the input and in the mask."""
    clean = rng(0, photo, tile, salt).integers(40, 200, (side, side, 3), np.uint8)
    corrupted, mask = clean.copy(), np.zeros((side, side), np.uint8)
    corrupted[:rows], mask[:rows] = 255, 255
    story = {"steps": list(steps), "photo_side": 300 + tile,
             "photo": {"source": "sample", "name": f"{photo}.png"}}  # fmt: skip
    return Sample(f"{photo}_{tile:04d}_{variant:02d}", clean, corrupted, mask, story)


def good(split, count=48):
    """Samples with nothing wrong: every second one has shapes, all have grain and gray."""
    made = []
    for number in range(count):
        steps = [told(GRAY, 1.0), told(GRAIN, number / count)]
        steps += [told(SHAPES, 0.25 + number / count / 2)] if number % 2 else []
        photo = f"{split}{number % 4}"
        made.append(sample(photo, number, steps=steps, rows=2 if number % 2 else 0))
    return made


def measured(samples, split="train", steps=STEPS, lossless=True):
    data = SplitData(split, steps, lossless)
    for one in samples:
        data.add(one)
    return data


def write(folder, samples_of, per_shard=5, profile="png"):
    """Shards as synth writes them."""
    rows = []
    for split, samples in samples_of.items():
        for start in range(0, len(samples), per_shard):
            data, count, content = pack(samples[start : start + per_shard], profile)
            name = f"{split}-{start // per_shard:05d}.tar"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            rows.append(
                shards.ShardRow(
                    name=name, split=split, num_samples=count, num_bytes=len(data),
                    sha256=sha256_bytes(data), content_sha256=content,
                )
            )  # fmt: skip
    return shards.write_manifest(folder, "made", "5", rows, profile)


def read(folder, manifest, split, steps=STEPS, redraw=None):
    return inspection.read_split(folder, manifest, split, steps, redraw, lambda: None)
