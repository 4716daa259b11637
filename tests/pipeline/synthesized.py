"""Shards of a small project made, planned and looked into, for the tests of synthesis."""

import shutil

from pipeline.corruptions import Tiles
from pipeline.executors import run_here
from pipeline.files import sha256_bytes
from pipeline.images import encode_png
from pipeline.samples import unpack
from pipeline.splits import Photo, pixel_id, read_index
from pipeline.synthesis import Store, make_shard, synthesize
from pipeline.tiling import SynthesisSection, plan_split
from tests.conftest import run_stage, small_params, tree
from tests.pipeline.test_shards import webdataset_members

PARAMS = small_params()
PARAMS["synthesis"]["samples_per_shard"] = 2  # many shards, so that a kill falls between some
PARAMS["recipes"]["everything"]["train"]["per_photo"] = 8  # every family is drawn
SECTION = SynthesisSection(**PARAMS["synthesis"])
MEGAPIXELS = PARAMS["index"]["max_megapixels"]


def synth(home, out, *words, recipe="aged", cwd=None, keep_work=False, **environment):
    """Every file of a fresh `synth` of the recipe: name → bytes."""
    if not keep_work:
        shutil.rmtree(home / ".work", ignore_errors=True)
    run_stage(cwd or home, "synth", recipe, "--out", out, *words, **environment)
    return tree(out)


def cut(**changes):
    return Tiles(**{"side": 48, "per_photo": 3, "variants": 2} | changes)


def train_photos(home):
    return [photo for photo in read_index(home / "data/index.json") if photo.split == "train"]


def plan(home, photos, tiles, section=SECTION):
    return plan_split("train", photos, tiles, section, 7, home / "data/raw", MEGAPIXELS)


def new_photo(folder, pixels, name="new.png"):
    """A row for pixels that lie in a file of `folder`."""
    data = encode_png(pixels)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    identity = pixel_id(pixels)
    return Photo(
        id=identity, source="folder", name=name, path=name, sha256=sha256_bytes(data), gray=False,
        width=pixels.shape[1], height=pixels.shape[0], group=identity, split="train",
    )  # fmt: skip


def samples_of(specs, make):
    """Key → sample, of all shards."""
    made = [webdataset_members(make_shard(spec, make)[0]) for spec in specs]
    return {one["__key__"]: unpack(one) for members in made for one in members}


def fill(specs, make, folder, seen: list | None = None) -> None:
    """Make the shards of some specs here, noting the progress told."""
    note = (lambda done, total: None) if seen is None else lambda *told: seen.append(told)
    synthesize("aged", specs, make, Store(folder, "png"), run_here, note)
