"""Folds: creases with cracks that branch off them, flaked emulsion along them and soft flanks."""

import cv2
import numpy as np

from pipeline.textures.fields import (
    FULL,
    Gray,
    cloud,
    multiply,
    patches,
    ramp,
    rank,
    scaled,
    screen,
    shrink,
    soften,
    tooth,
)
from pipeline.textures.strokes import (
    SHIFT,
    Paths,
    crack,
    draw_strokes,
    fading,
    fixed_points,
    headings,
    heavy,
    pixel_unit,
    rotation,
)


def draw_folds(size: int, generator: np.random.Generator) -> Gray:
    """Creases across the map, cracks that branch off them, flakes gone beside them, soft flanks."""
    creases = _creases(generator)
    core = np.zeros((2 * size, 2 * size), np.uint8)
    _draw_ridges(core, creases, generator.uniform(0.6, 1.6), generator)
    _draw_ridges(
        core, _branches(creases, int(generator.integers(6, 50)), generator), 0.6, generator
    )
    if generator.random() < 0.6:
        _draw_ridges(core, _crackle(generator), generator.uniform(0.5, 1.0), generator)
    lines = shrink(core, size)
    flaked = np.zeros((size, size), np.uint8)
    if generator.random() < 0.65:
        near = np.zeros((size, size), np.uint8)
        _draw_ridges(near, creases, 4.0, generator)
        flaked = multiply(_flakes(size, near, generator), tooth(size, 150, generator))
        flaked = scaled(flaked, int(generator.integers(70, 256)))
    eaten = multiply(tooth(size, 60, generator), patches(cloud(size, 60, 3, generator), 0.85, 0.5))
    folds = screen(multiply(lines, eaten), flaked)
    folds = screen(folds, _flanks(size, creases, generator))
    return folds


def _creases(generator: np.random.Generator) -> Paths:
    """One to four long folds; a second one tends to cross the first at a right angle."""
    count = int(generator.integers(1, 5))
    toward = headings(1, generator)[0] * rotation(generator.normal(size=count) * 0.06)
    toward = toward * np.where(generator.random(count) < 0.4, 1j, 1)
    middle = generator.uniform(0.1, 0.9, count) + 1j * generator.uniform(0.1, 0.9, count)
    before, after = generator.uniform(0.4, 1.5, (2, count))
    return crack(middle - toward * before, middle + toward * after, 0.012, 9, generator)


def _branches(creases: Paths, count: int, generator: np.random.Generator) -> Paths:
    """Cracks that leave a crease at an angle and soon end."""
    rows = generator.integers(0, len(creases), count)
    columns = generator.integers(0, creases.shape[1], count)
    starts = creases[rows, columns]
    lengths = np.minimum(0.35, 0.02 * heavy(count, generator, 12))
    return crack(starts, starts + headings(count, generator) * lengths, 0.13, 6, generator)


def _crackle(generator: np.random.Generator) -> Paths:
    """A web of fine cracks: most go on where one ended, some leave one midway."""
    count, roots = int(generator.integers(20, 140)), int(generator.integers(1, 5))
    starts = generator.random(count) + 1j * generator.random(count)
    toward = headings(count, generator)
    lengths = 0.025 * heavy(count, generator, 6)
    turns = rotation(generator.normal(size=count) * 0.35)
    for row in range(roots, count):
        parent = int(generator.integers(max(0, row - 12), row))
        onward = generator.random() < 0.7
        part = 1.0 if onward else generator.random()
        starts[row] = starts[parent] + toward[parent] * lengths[parent] * part
        toward[row] = toward[parent] * turns[row] * (1 if onward else generator.choice([1j, -1j]))
    return crack(starts, starts + toward * lengths, 0.1, 5, generator)


def _draw_ridges(canvas: Gray, paths: Paths, width: float, generator: np.random.Generator) -> None:
    """A line that thins, swells and breaks: drawn three times, each a little off and with gaps."""
    count, pieces = len(paths), paths.shape[1] - 1
    unit = pixel_unit(canvas.shape[0])
    for part, gaps in ((0.5, 0.15), (1.0, 0.4), (2.0, 0.55)):
        strengths = fading(count, pieces, generator, gaps) * generator.uniform(90, 300, (count, 1))
        widths = width * part * unit * heavy(count, generator, 3)
        jitter = generator.normal(size=paths.shape) + 1j * generator.normal(size=paths.shape)
        moved = paths + jitter * (0.5 * width * part / 1024)
        draw_strokes(canvas, moved, strengths, np.maximum(1, np.rint(widths)).astype(np.int64))


def _flakes(size: int, core: Gray, generator: np.random.Generator) -> Gray:
    """Emulsion gone: islands of a rough cloud, dense at the crease and none away from it."""
    side = max(8, size // 4)
    small = cv2.resize(core, (side, side), interpolation=cv2.INTER_AREA).astype(np.uint8)
    window = max(1, int(generator.uniform(0.003, 0.014) * side))
    near = np.minimum(soften(small, 2 * window).astype(np.int32) * 5, FULL).astype(np.uint8)
    near = cv2.resize(near, (size, size), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.uint8)
    ground = cloud(size, 9, 6, generator) + 2 * cloud(
        size, int(generator.integers(60, 160)), 4, generator
    )
    chance = generator.random()
    bare = rank(ground, 0.01 + 0.3 * chance * chance)
    never = rank(ground, 0.001)
    score = ground + ((near.astype(np.int32) - FULL) * np.int32((never - bare) // FULL))
    return multiply(
        ramp(score, bare, bare + (never - bare) // 6), ramp(near.astype(np.int32), 8, 40)
    )


def _flanks(size: int, creases: Paths, generator: np.random.Generator) -> Gray:
    """The paper beside a crease stands up: a faint shade on one side that dies away from it."""
    side = max(8, size // 2)
    shade = np.zeros((side, side), np.uint8)
    place = np.arange(creases.shape[1]) / (creases.shape[1] - 1)
    taper = (4 * place * (1 - place))[::-1]
    for path in creases:
        across = (path[-1] - path[0]) * 1j
        across = across / np.sqrt(across.real * across.real + across.imag * across.imag)
        width = generator.uniform(0.01, 0.05) * (1 if generator.random() < 0.5 else -1)
        gray = int(generator.integers(4, 12))
        for part in (1.0, 0.7, 0.45, 0.25, 0.1):
            layer = np.zeros((side, side), np.uint8)
            outline = np.concatenate([path, path[::-1] + across * (width * part) * taper])
            cv2.fillPoly(layer, [fixed_points(outline, side)], gray, cv2.LINE_AA, SHIFT)
            shade = shade + layer
    shade = soften(shade, max(1, side // 200))
    shade = cv2.resize(shade, (size, size), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.uint8)
    return multiply(shade, patches(cloud(size, 5, 5, generator), 0.95, 0.15))
