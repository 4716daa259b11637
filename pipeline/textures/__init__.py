"""The bank of overlay textures: wear drawn from a seed, and wear lifted out of a user's scans.

An overlay is an amplitude map, uint8 (height, width): 0 leaves a photo alone, 255 is a full mark.
Screen it over a photo for light marks, multiply a photo by 255 minus it for dark ones.
"""

from collections.abc import Callable, Iterator

import numpy as np
from pydantic import Field

from pipeline import seeds
from pipeline.config import Section
from pipeline.textures.broad import draw_blotches, draw_stains
from pipeline.textures.fields import Gray, scaled, screen
from pipeline.textures.film import blank_frame, exposed, scanned
from pipeline.textures.fine import draw_dust, draw_hair
from pipeline.textures.folds import draw_folds
from pipeline.textures.scans import misfit, overlay_from_scan, overlay_with_alpha
from pipeline.textures.scratches import draw_scratches

__all__ = [
    "KINDS", "TexturesSection", "draw_bank", "draw_overlay", "misfit", "overlay_from_scan",
    "overlay_with_alpha",
]  # fmt: skip

_DRAW: dict[str, Callable[[int, np.random.Generator], Gray]] = {
    "dust": draw_dust,
    "hair": draw_hair,
    "scratches": draw_scratches,
    "folds": draw_folds,
    "stains": draw_stains,
    "blotches": draw_blotches,
}
_FINE = ("dust", "hair", "scratches", "scratches")
KINDS: tuple[str, ...] = (*_DRAW, "mixed")


class TexturesSection(Section):
    """How many overlays the bank holds, and the side of each in pixels."""

    num_overlays: int = Field(ge=1, le=10_000)
    size: int = Field(ge=64, le=4096)


def draw_overlay(kind: str, size: int, generator: np.random.Generator) -> Gray:
    """One overlay of a kind out of `KINDS`: uint8 (size, size), size ≥ 64.

    Marks keep their size relative to the map, so that a larger map is a finer scan of such wear.
    Operations: numpy's generator, integer and exact float arithmetic, cv2's fixed-point drawing,
    box blur, area resize and bit-exact linear resize.
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    names = _two_kinds(generator) if kind == "mixed" else [kind]
    marks = np.zeros((size, size), np.uint8)
    for name in names:
        layer = _DRAW[name](size, generator)
        layer = exposed(layer, generator) if name in _FINE else layer
        strength = int(generator.integers(140 if kind == "mixed" else 190, 256))
        marks = screen(marks, scaled(layer, strength))
    if not set(names) & set(_FINE):  # nothing is creased or soaked and yet free of dust
        layer = _DRAW[_FINE[int(generator.integers(len(_FINE)))]](size, generator)
        strength = int(generator.integers(70, 220))
        marks = screen(marks, scaled(exposed(layer, generator), strength))
    return scanned(marks, blank_frame(size, generator), generator)


def draw_bank(section: TexturesSection, seed: int) -> Iterator[tuple[str, Gray]]:
    """Yield (name, overlay), kinds taking turns: ``dust-000``, ``hair-000``, ..., ``dust-001``.

    An overlay depends on (seed, kind, number, size) alone: a longer bank begins with a shorter one.
    """
    for place in range(section.num_overlays):
        number, turn = divmod(place, len(KINDS))
        kind = KINDS[turn]
        generator = seeds.rng(seed, "texture", kind, number)
        yield f"{kind}-{number:03d}", draw_overlay(kind, section.size, generator)


def _two_kinds(generator: np.random.Generator) -> list[str]:
    """Most real scans show more than one kind."""
    chosen = generator.permutation(len(_DRAW))[:2]
    return [tuple(_DRAW)[index] for index in sorted(chosen.tolist())]
