"""Evaluations made by hand, for the tests of comparisons: real pixels, really measured."""

import functools
import io
import tarfile

import cv2
import numpy as np

from pipeline import fidelity, shards
from pipeline.files import sha256_bytes, write_bytes, write_json, write_text
from pipeline.images import encode_jpeg
from pipeline.report import to_csv
from pipeline.samples import Sample, pack
from pipeline.seeds import rng
from pipeline.shards import ShardRow, read_manifest, write_manifest

SIDE = 32
FAMILIES = ("dust", "folds", "undamaged")


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
    return shards.test_fingerprint(read_manifest(folder))


def write_evaluation(folder, pictures, fingerprint, **told):
    """``rows.csv``, ``metrics.json`` and ``restored.tar``."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as file:
        for key, picture in sorted(pictures.items()):
            data = encode_jpeg(picture, 95)
            member = tarfile.TarInfo(f"{key}.jpg")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    write_bytes(folder / "restored.tar", tar.getvalue())
    write_text(folder / "rows.csv", to_csv(rows_of(pictures)))
    metrics = {"system": folder.name, "recipe": "shapes", "test_sha256": fingerprint}
    write_json(folder / "metrics.json", metrics | told)
