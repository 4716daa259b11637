"""The measurements of one split's samples, as columns."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from pipeline.files import sha256_bytes
from pipeline.images import to_gray
from pipeline.inspection.plan import PlannedStep, planned_path
from pipeline.samples import Array, Sample

# Quantity → the upper end of its histogram; contrast is a standard deviation, at most 127.5.
RANGES = {
    "covered": 1.0, "severity": 1.0,
    "brightness_clean": 255.0, "brightness_corrupted": 255.0,
    "contrast_clean": 127.5, "contrast_corrupted": 127.5,
}  # fmt: skip
FAINT = 4  # gray levels: a step may leave fainter changes out of its mask


class SplitData:
    """One split, measured: a few dozen bytes a sample, so that millions of samples fit in memory.

    `columns`: quantity → a number a sample, in the order of the shards, nan where it is not known;
    `severities`: the same for each step of the recipe, nan where it does not occur. `photos`,
    `tiles` and `pictures` hold a 64-bit hash a sample: of the photo, of the tile's place, and of
    the clean pixels.
    """

    def __init__(self, split: str, steps: Sequence[PlannedStep], lossless: bool = True) -> None:
        self.split, self.steps, self.lossless = split, steps, lossless
        self.num_samples = 0
        self.num_strangers = 0  # stories with a step that the recipe does not have
        self.sizes: Counter[tuple[int, ...]] = Counter()
        self.sources: Counter[str] = Counter()
        self._numbers = {(step.path, step.family, step.on): n for n, step in enumerate(steps)}
        names = [*RANGES, "kept", "photo_side", "num_input", "undamaged", "num_local", "outside",
                 "given", "mask_missing"]  # fmt: skip
        self._columns = {name: array("d") for name in names}
        self._severities = [array("d") for _ in steps]
        self._hashes = {name: array("Q") for name in ("photo", "tile", "picture")}

    def add(self, sample: Sample) -> None:
        """Measure one sample."""
        told = sample.story["steps"]
        known = [(number, one) for one in told if (number := self._number_of(one)) is not None]
        self.num_samples += 1
        self.num_strangers += len(known) < len(told)
        self.sizes[sample.clean.shape] += 1
        self.sources[str(sample.story.get("photo", {}).get("source", "unknown"))] += 1
        for name, value in self._measure(sample, known).items():
            self._columns[name].append(value)
        worst: dict[int, float] = {}
        for number, one in known:
            worst[number] = max(worst.get(number, 0.0), float(one["severity"]))
        for number, column in enumerate(self._severities):
            column.append(worst.get(number, math.nan))
        photo, tile = split_key(sample.key)
        pixels = repr(sample.clean.shape).encode() + sample.clean.tobytes()
        hashed = {"photo": photo.encode(), "tile": f"{photo}_{tile}".encode(), "picture": pixels}
        for name, data in hashed.items():
            self._hashes[name].append(hash_of(data))

    def __getitem__(self, name: str) -> Array:
        """A column."""
        return np.array(self._columns[name])

    def known(self, name: str) -> Array:
        """A column without the samples of which the quantity is not known."""
        column = self[name]
        found: Array = column[~np.isnan(column)]
        return found

    @property
    def num_missing(self) -> int:
        """Samples whose mask is missing."""
        return int(self["mask_missing"].sum())

    def severities(self, number: int) -> Array:
        """The severities of a step where it occurs."""
        column: Array = np.array(self._severities[number])[self.occurs(number)]
        return column

    def occurs(self, number: int) -> Array:
        """In which samples a step occurs."""
        found: Array = ~np.isnan(np.array(self._severities[number]))
        return found

    def distinct(self, name: str, where: Array | None = None) -> Array:
        """The distinct hashes of ``photo``, ``tile`` or ``picture``, sorted."""
        hashes = np.array(self._hashes[name])
        return np.unique(hashes if where is None else hashes[where])

    def _number_of(self, told: Mapping[str, Any]) -> int | None:
        return self._numbers.get((planned_path(told["step"]), told["family"], told["on"]))

    def _measure(
        self, sample: Sample, known: Sequence[tuple[int, Mapping[str, Any]]]
    ) -> dict[str, float]:
        on_input = [(self.steps[number].is_local, one) for number, one in known
                    if one["on"] == "input"]  # fmt: skip
        clean, corrupted = (_tone(picture) for picture in (sample.clean, sample.corrupted))
        num_local = sum(is_local for is_local, _ in on_input)
        order = [one["on"] for _, one in known]
        told_whole = 0 < num_local == len(on_input) and "both" not in order[order.index("input") :]
        given = bool(sample.story.get("given"))  # then no step tells what is damaged
        worst = max((float(one["severity"]) for _, one in on_input), default=0.0)
        return {
            "given": given,
            "mask_missing": sample.mask_missing,
            "covered": math.nan if sample.mask_missing else _share(sample.mask),
            "kept": 0.0 if sample.keep is None else _share(sample.keep),
            "severity": math.nan if given else worst,
            "brightness_clean": clean[0],
            "brightness_corrupted": corrupted[0],
            "contrast_clean": clean[1],
            "contrast_corrupted": corrupted[1],
            "photo_side": float(sample.story.get("photo_side", min(sample.mask.shape))),
            "num_input": len(on_input),
            "undamaged": _is_whole(sample) if given else not on_input,
            "num_local": num_local,
            # What is done to both pictures later may carry damage across the border of its mask.
            "outside": self.lossless
            and told_whole
            and _changed_outside(sample) > FAINT * num_local,
        }


def split_key(key: str) -> tuple[str, str]:
    """Photo and tile of ``<photo id>_<tile>_<variant>``; any other key is a photo of its own."""
    parts = key.rsplit("_", 2)
    return (parts[0], parts[1]) if len(parts) == 3 else (key, "")


def hash_of(data: bytes) -> int:
    """64 bits of sha256."""
    return int(sha256_bytes(data)[:16], 16)


def _tone(picture: Array) -> tuple[float, float]:
    """Mean and standard deviation of the luma, in gray levels."""
    mean, deviation = cv2.meanStdDev(to_gray(picture))
    return float(mean[0, 0]), float(deviation[0, 0])


def _is_whole(sample: Sample) -> bool:
    """Did the photo bring two equal pictures?"""
    return not sample.mask_missing and np.array_equal(sample.clean, sample.corrupted)


def _share(mask: Array) -> float:
    return np.count_nonzero(mask) / mask.size


def _changed_outside(sample: Sample) -> int:
    """The largest change where the mask is 0, in gray levels."""
    changed = cv2.absdiff(sample.clean, sample.corrupted).reshape(sample.clean.shape).max(axis=2)
    return int(changed[sample.mask == 0].max(initial=0))
