"""A project to measure in: the embedded photos, an overlay bank, recipes of params.yaml."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import png
from pipeline.candidates import Candidate
from pipeline.config import load_params, section
from pipeline.corruptions import Recipe, Tiles
from pipeline.corruptions.texture import BANK_LIST
from pipeline.files import sha256_bytes, write_bytes, write_json
from pipeline.indexing import build_index
from pipeline.sources import make_source
from pipeline.splits import IndexSection, Photo
from pipeline.synthesis import SampleMaker
from pipeline.textures import TexturesSection, draw_bank
from pipeline.tiling import ShardSpec, SynthesisSection, plan_split

ROOT = Path(__file__).resolve().parent.parent
MEGAPIXELS = 80.0  # a photo at most
SEED = 7


class Project(NamedTuple):
    """Photos in `raw`, overlays in `textures`, and params.yaml of the repository."""

    raw: Path
    textures: Path
    photos: list[Photo]
    params: dict

    def recipe(self, name: str, side: int) -> Recipe:
        """A recipe with the overlays at hand, for tiles that are whole photos."""
        recipe = Recipe.load(self.params, name, self.textures)
        section = recipe.section.model_copy(update={"photo_side_range": (side, side)})
        return replace(recipe, section=section)

    def maker(self, name: str, side: int) -> SampleMaker:
        """What draws a recipe's samples."""
        return SampleMaker(name, SEED, self.recipe(name, side).damage)

    def ranges(self, recipe: str, family: str) -> dict[str, Any]:
        """A family's fields in a recipe."""
        steps = Recipe.load(self.params, recipe, self.textures).flat_steps()
        return next(step.corruption for step in steps if step.family == family).model_dump()

    def specs(self, side: int, per_photo: int, samples_per_shard: int) -> list[ShardSpec]:
        """Shards of tiles of all photos."""
        cut = Tiles(side=side, per_photo=per_photo, variants=1)
        section = SynthesisSection(
            photos_per_group=len(self.photos), samples_per_shard=samples_per_shard
        )
        return plan_split("train", self.photos, cut, section, SEED, self.raw, MEGAPIXELS)


def make_project(folder: Path, num_overlays: int = 14, size: int = 512) -> Project:
    """Bring the photos of the train split into `folder`, and draw the overlays."""
    raw, textures = folder / "raw", folder / "textures"
    listed, _ = make_source("sample", {}).fetch(ROOT, raw / "sample", lambda done, total: None)
    found = [
        Candidate("sample", one.name, f"sample/{one.file}", one.split, one.group, one.sha256)
        for one in listed
        if one.split == "train"
    ]
    params = load_params(ROOT / "params.yaml")
    block = section(params, "index", IndexSection)
    index = build_index(raw, found, block, SEED, lambda done, total: None)
    bank = {}
    for name, overlay in draw_bank(TexturesSection(num_overlays=num_overlays, size=size), SEED):
        data = png.encode(overlay[:, :, None])
        write_bytes(textures / f"{name}.png", data)
        bank[name] = sha256_bytes(data)
    write_json(textures / BANK_LIST, {"overlays": bank})
    photos = [Photo.model_validate(one) for one in index["photos"]]
    return Project(raw, textures, photos, params)
