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
from pipeline.textures.fine import draw_dust, draw_hair, draw_scratches
from pipeline.textures.folds import draw_folds
from pipeline.textures.scans import overlay_from_scan

__all__ = ["KINDS", "TexturesSection", "draw_bank", "draw_overlay", "overlay_from_scan"]

_DRAW: dict[str, Callable[[int, np.random.Generator], Gray]] = {
    "dust": draw_dust,
    "hair": draw_hair,
    "scratches": draw_scratches,
    "folds": draw_folds,
    "stains": draw_stains,
    "blotches": draw_blotches,
}
KINDS: tuple[str, ...] = (*_DRAW, "mixed")


class TexturesSection(Section):
    """How many overlays the bank holds, and the side of each in pixels."""

    num_overlays: int = Field(ge=1)
    size: int = Field(ge=64, le=4096)


def draw_overlay(kind: str, size: int, generator: np.random.Generator) -> Gray:
    """One overlay of a kind out of `KINDS`: uint8 (size, size), size ≥ 64.

    Marks keep their size relative to the map, so that a larger map is a finer scan of such wear.
    Operations: numpy's generator, integer and exact float arithmetic, cv2's fixed-point drawing,
    box blur, area resize and bit-exact linear resize.
    """
    if kind == "mixed":
        return _draw_mixed(size, generator)
    if kind not in _DRAW:
        raise ValueError(f"kind {kind!r} is none of {', '.join(KINDS)}")
    return _DRAW[kind](size, generator)


def draw_bank(section: TexturesSection, seed: int) -> Iterator[tuple[str, Gray]]:
    """Yield (name, overlay), kinds taking turns: ``dust-000``, ``hair-000``, ..., ``dust-001``.

    An overlay depends on (seed, kind, number, size) alone: a longer bank begins with a shorter one.
    """
    for place in range(section.num_overlays):
        number, turn = divmod(place, len(KINDS))
        kind = KINDS[turn]
        generator = seeds.rng(seed, "texture", kind, number)
        yield f"{kind}-{number:03d}", draw_overlay(kind, section.size, generator)


def _draw_mixed(size: int, generator: np.random.Generator) -> Gray:
    """Two kinds on one surface, one stronger than the other, as most real scans show them."""
    chosen = generator.permutation(len(_DRAW))[:2]
    names = tuple(_DRAW)
    overlay = np.zeros((size, size), np.uint8)
    for index in sorted(chosen.tolist()):
        strength = int(generator.integers(140, 256))
        overlay = screen(overlay, scaled(_DRAW[names[index]](size, generator), strength))
    return overlay
