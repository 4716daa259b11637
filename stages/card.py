"""What the card of a recipe's shards tells: gathered from params, the plan and the packages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.recipes import inputs_of

if TYPE_CHECKING:
    from pipeline.cards import Card
    from pipeline.corruptions import Recipe
    from pipeline.tiling import ShardSpec

# Code that draws nothing: a card told otherwise is no other shard.
CODE = ("pipeline/cards/", "stages/card.py")
PACKAGES = ("isal", "numpy", "opencv-python-headless", "pillow")


def card_of(root: Path, params: dict[str, Any], recipe: Recipe, specs: Sequence[ShardSpec]) -> Card:
    """The card of the shards that `specs` plan."""
    from pipeline.cards import Card, origins_of
    from pipeline.files import sha256_bytes, to_json
    from pipeline.given import GIVEN

    steps = list(recipe.flat_steps())
    names = ["seed", "index", "synthesis"]
    names += ["textures"] if any(step.family == "texture" for step in steps) else []
    photos = {tile.photo.id: tile.photo for spec in specs for tile in spec.tiles}
    missing = Counter(
        spec.split for spec in specs for tile in spec.tiles if tile.photo.mask is None
    )
    both = (step for step in steps if step.on == "both")
    blocks = {name: params[name] for name in names}
    return Card(
        recipe=recipe.name,
        params={**blocks, "recipes": {recipe.name: params["recipes"][recipe.name]}},
        fingerprint=sha256_bytes(to_json(inputs_of(root, params, recipe.name)).encode())[:16],
        versions={name: version(name) for name in PACKAGES},
        origins=origins_of(photos.values()),
        keeps=any(step.corruption.extent == "local" for step in both),
        given=recipe.name == GIVEN,
        mask_missing=dict(missing) if recipe.name == GIVEN else {},
    )
