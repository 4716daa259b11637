"""Evaluations made by hand, for the tests of comparisons: real pixels, really measured."""

import functools

import cv2
import numpy as np

from pipeline import fidelity
from pipeline.comparison import Comparison, compare
from pipeline.comparison.sides import Side
from pipeline.files import sha256_bytes, write_bytes, write_json, write_tar, write_text
from pipeline.images import encode_jpeg
from pipeline.report import to_csv
from pipeline.samples import Sample, pack
from pipeline.seeds import rng
from pipeline.shards import ShardRow, fingerprint_of_test, read_manifest, write_manifest
from tests.conftest import small_params, write_params

SIDE = 32
FAMILIES = ("dust", "folds", "undamaged")
SYSTEMS = {"one": 20, "two": 10}  # how much noise they leave
SUBJECT = {"recipe": "shapes", "test_sha256": "0" * 64, "system": "one", "lpips": None}


@functools.cache
def samples(num_photos=8, tiles=3):
    """Tiles of smooth photos under noise; every third is undamaged."""
    return [_sample(photo, tile) for photo in range(num_photos) for tile in range(tiles)]


def _sample(photo, tile):
    random, family = rng(4, "photo", photo, tile), FAMILIES[tile % 3]
    coarse = random.integers(60, 200, (5, 5, 3), np.uint8)
    clean = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    sigma = 0 if family == "undamaged" else 25
    steps = [{"family": family, "on": "input", "severity": 0.5}] if sigma else []
    story = {"photo": {"name": f"{photo}.png", "source": "sample"}, "steps": steps}
    mask = np.full((SIDE, SIDE), 255 if sigma else 0, np.uint8)
    return Sample(f"{photo:064x}_{tile:04d}_00", clean, noisy(clean, sigma, random), mask, story)


def noisy(picture, sigma, random):
    """The picture under Gaussian noise of this σ (levels of 255)."""
    changed = picture + random.normal(0, sigma, picture.shape) if sigma else picture
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def family_of(sample):
    steps = sample.story["steps"]
    return steps[0]["family"] if steps else "undamaged"


def restore(strength, **own):
    """What a system makes of each sample: noise of σ `strength`, or that of `own` on a family; what
    is undamaged stays."""
    return {
        one.key: noisy(one.clean, own.get(family_of(one), strength), rng(6, "out", one.key, *own))
        if one.story["steps"]
        else one.clean
        for one in samples()
    }


def rows_of(pictures):
    """Rows as an evaluation leaves them."""
    rows = []
    for one in samples():
        row = {"key": one.key, "photo": one.story["photo"]["name"], "source": "sample",
               "families": family_of(one), "covered": 0.0, "severity": 0.5}  # fmt: skip
        shown = {"input": one.corrupted, "prediction": pictures[one.key]}
        for name, picture in (shown | {"composite": pictures[one.key]}).items():
            found = fidelity.measure(picture, one.clean, one.mask)
            found["psnr"] = min(found["psnr"], fidelity.PSNR_CLIP)
            row |= {f"{name}.{metric}": found[metric] for metric in ("mse", "psnr", "ssim")}
        rows.append(row)
    return rows


def write_test_shards(folder, recipe="shapes", chosen=None):
    """A shard folder whose test split holds the samples; returns its fingerprint."""
    data, count, content = pack(chosen or samples())
    write_bytes(folder / "test-00000.tar", data)
    row = ShardRow(name="test-00000.tar", split="test", num_samples=count, num_bytes=len(data),
                   sha256=sha256_bytes(data), content_sha256=content)  # fmt: skip
    write_manifest(folder, recipe, "0", [row])
    return fingerprint_of_test(read_manifest(folder))


def write_evaluation(folder, pictures, fingerprint, **told):
    """``rows.csv``, ``subject.json`` and ``restored.tar``."""
    files = ((f"{key}.jpg", encode_jpeg(one, 95)) for key, one in sorted(pictures.items()))
    write_tar(folder / "restored.tar", files)
    write_text(folder / "rows.csv", to_csv(rows_of(pictures)))
    subject = {"system": folder.name, "recipe": "shapes", "test_sha256": fingerprint, "lpips": None}
    write_json(folder / "subject.json", subject | told)


def project_of(folder, reports="reports/systems"):
    """A project whose two systems are evaluated on the same shards."""
    params = small_params()
    block = {"kind": "aged_unet", "recipe": "shapes", "baselines": []}
    params["evaluate"] = {f"{name}-shapes": {"system": name, **block} for name in SYSTEMS}
    params["evaluate"]["two-again"] = {"system": "two", **block}
    write_params(folder, params)
    fingerprint = write_test_shards(folder / "data/shards/shapes")
    for name, strength in SYSTEMS.items():
        write_evaluation(folder / reports / f"{name}-shapes", restore(strength), fingerprint)
    return folder


def side(label="a", rows=None, strength=20, told=None, **own) -> Side:
    """A side of a system that leaves noise of this strength; `own`: by family."""
    rows = rows or rows_of(restore(strength, **own))
    return Side(label, label, None, SUBJECT | (told or {}), rows)


def compared(a, b, picture="composite", metric="psnr") -> Comparison:
    """B against A."""
    return compare(a, b, picture, metric, 7)
