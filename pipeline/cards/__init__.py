"""The card of a shard set, for whoever finds it alone: README.md for people and hubs, Croissant for
programs. A function of params, photos and shards: no time, host or path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.cards.croissant import croissant
from pipeline.cards.readme import front_matter, readme
from pipeline.files import to_json
from pipeline.shards import SPLITS, ShardRow
from pipeline.splits import Photo

README, CROISSANT = "README.md", "croissant.json"
UNKNOWN = "unknown"
NUM_NAMED = 40  # photos of one source and licence that are told by name


@dataclass(frozen=True)
class Origin:
    """Photos of one source under one licence: how many a split, how many of them stand in the split
    that their source gives, and their names, if those are few."""

    source: str
    licence: str
    counts: Mapping[str, int]
    official: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """What is told of a recipe's shards. `params`: the blocks `seed`, `index`, `synthesis` and
    ``recipes: {<recipe>: …}`` of params.yaml; `fingerprint` covers them and the overlay bank.

    `keeps`: do samples have a `keep` mask? `given`: did the photos bring their damage?
    `mask_missing`: split → samples without a mask, where there are some. `versions`: of packages,
    by name.
    """

    recipe: str
    params: Mapping[str, Any]
    fingerprint: str
    versions: Mapping[str, str]
    origins: tuple[Origin, ...]
    keeps: bool = False
    given: bool = False
    mask_missing: Mapping[str, int] = field(default_factory=dict)

    def files(self, rows: Sequence[ShardRow]) -> dict[str, bytes]:
        """The card's files, by name, for the shards `rows`."""
        data = croissant(
            f"patina-{self.recipe}",
            f"{self.about(rows)} Records of the same key make one sample.",
            f"Patina, shard set {self.recipe}, params {self.fingerprint}",
            self.licences,
            rows,
            {split: self.ends(split, rows) for split in SPLITS},
        )
        text = f"{front_matter(self, rows)}\n{readme(self, rows)}"
        return {README: text.encode(), CROISSANT: (to_json(data, indent=1) + "\n").encode()}

    def ends(self, split: str, rows: Sequence[ShardRow]) -> dict[str, str]:
        """The files of a split's samples: kind → the end of the name, after ``<key>.``. There is no
        mask where all are missing."""
        profile = self.block["profile"] if split == "train" else "png"
        if profile == "story":
            return {"clean": "clean.png", "story": "json"}
        suffix = "jpg" if profile == "jpeg" else "png"
        pictures = {kind: f"{kind}.{suffix}" for kind in ("clean", "corrupted")}
        masks = ["mask"] if self.has_masks(rows, split) else []
        masks += ["keep"] if self.keeps else []
        return {**pictures, **{kind: f"{kind}.png" for kind in masks}, "story": "json"}

    @property
    def block(self) -> Mapping[str, Any]:
        """The recipe in params.yaml."""
        found: Mapping[str, Any] = self.params["recipes"][self.recipe]
        return found

    @property
    def licences(self) -> list[str]:
        """What the photos' sources tell of their licences."""
        return sorted({origin.licence for origin in self.origins})

    def has_masks(self, rows: Sequence[ShardRow], *splits: str) -> bool:
        """Has any sample of these splits a mask?"""
        total = sum(row.num_samples for row in rows if row.split in splits)
        missing = sum(self.mask_missing.get(split, 0) for split in splits)
        return not missing or missing < total

    def about(self, rows: Sequence[ShardRow]) -> str:
        """The shard set in a sentence."""
        how = "as their sources brought them" if self.given else "drawn by seed on real photos"
        masks = "with masks"
        if missing := sum(self.mask_missing.values()):
            masks = f"{missing:,} of them without a mask"
        if not self.has_masks(rows, *SPLITS):
            masks = "without masks"
        return f"Pairs of clean and damaged pictures ({how}), {masks}, to learn restoration from."


def origins_of(photos: Iterable[Photo]) -> tuple[Origin, ...]:
    """Where photos come from, sorted."""
    found: dict[tuple[str, str], list[Photo]] = {}
    for photo in photos:
        found.setdefault((photo.source, photo.licence or UNKNOWN), []).append(photo)
    return tuple(
        Origin(
            source,
            licence,
            {split: sum(photo.split == split for photo in group) for split in SPLITS},
            sum(photo.official for photo in group),
            tuple(sorted(photo.name for photo in group)) if len(group) <= NUM_NAMED else (),
        )
        for (source, licence), group in sorted(found.items())
    )
