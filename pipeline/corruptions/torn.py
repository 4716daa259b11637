"""Where paper tears: from border to border of a photo, along ragged lines."""

import math
from typing import Any

import numpy as np

from pipeline.corruptions import outlines
from pipeline.corruptions.base import Place
from pipeline.seeds import field

Array = np.ndarray
Points = list[tuple[float, float]]


def corner(place: Place, size: float, which: int, rng: np.random.Generator) -> Points:
    """From border to border round a corner of the photo (0 to 3): start, bend, end, and the corner
    itself; legs of `size` px on (geometric) average."""
    right, low = which % 2, which // 2
    x, y = (place.width if right else 0.0), (place.height if low else 0.0)
    inward = (-1.0 if right else 1.0, -1.0 if low else 1.0)
    longer = 2 ** rng.uniform(-0.7, 0.7)
    start, end = (x + inward[0] * size * longer, y), (x, y + inward[1] * size / longer)
    bulge = rng.uniform(-0.2, 0.2, 2) * size
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    bend = (middle[0] + inward[0] * bulge[0], middle[1] + inward[1] * bulge[1])
    return [start, (float(bend[0]), float(bend[1])), end, (x, y)]


def edge(place: Place, size: float, which: int, rng: np.random.Generator) -> Points:
    """From a border (0 to 3) into the photo and back: start, bend, end, and a point of the border;
    a shallow strip or a deep bite, as large in area as a corner's."""
    flat, far = which % 2, which // 2
    long, across = (place.width, place.height) if flat else (place.height, place.width)
    longer = 2 ** rng.uniform(-0.5, 1.1)
    half, depth = 0.75 * size * longer, size / longer
    middle, border = rng.uniform(0, long), float(across) * far
    skew = middle + rng.uniform(-0.7, 0.7) * half
    turned = [(middle - half, border), (skew, border + depth * (1 - 2 * far)),
              (middle + half, border), (middle, border)]  # fmt: skip
    return [(float(x), float(y)) if flat else (float(y), float(x)) for x, y in turned]


def outlines_of(tear: dict[str, Any]) -> tuple[Array, Array]:
    """Closed outlines (px of the tile) round what is missing, and round what has lost its picture:
    a parabola, in part made angular, displaced by a fractal; the paper reaches out from under the
    picture by another."""
    start, bend, end, outer = (np.array(point) for point in tear["points"])
    rng = field(tear["seed"])
    chord = math.sqrt(float(((end - start) ** 2).sum()))
    levels = outlines.levels_for(1.4 * chord, max(1.5, tear["step"]))
    base = outlines.bent(start, bend, end, 2**levels + 1, past=0.2)
    half = len(base) // 2
    middle = base[half]
    legs = [np.linspace(base[0], middle, half + 1)[:-1], np.linspace(middle, base[-1], half + 1)]
    base = base + tear["sharp"] * (np.concatenate(legs) - base)
    inward = outlines.normals(base)
    if float(((middle - outer) * inward[half]).sum()) < 0:
        inward = -inward
    deep = math.sqrt(float(((middle - outer) ** 2).sum()))
    stray = outlines.roughness(levels, 0.58, rng) * tear["rough"] * min(chord, 2 * deep)
    paper = base + inward * stray[:, None]
    width = 0.4 + 1.3 * outlines.roughness(levels, 0.75, rng) + 0.3 * rng.random(len(base))
    picture = paper + inward * (tear["rim"] * np.clip(width, 0.02, 1.5))[:, None]
    beyond = (outer + 2 * (outer - middle))[None]
    return np.concatenate([paper, beyond]), np.concatenate([picture, beyond])
