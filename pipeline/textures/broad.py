"""Broad wear: water stains with tide lines and foxing, cloudy blotches with dirt and bare spots."""

import numpy as np

from pipeline.textures.fields import (
    FULL,
    Field,
    Gray,
    cloud,
    multiply,
    noise,
    patches,
    ramp,
    rank,
    scaled,
    screen,
    soften,
    tooth,
)
from pipeline.textures.film import worn
from pipeline.textures.strokes import draw_points, draw_specks, heavy, pixel_unit, spots


def draw_stains(size: int, generator: np.random.Generator) -> Gray:
    """Dried water with dark tide lines, splashes, and foxing: rusty spots in clusters."""
    stains = np.zeros((size, size), np.uint8)
    for _ in range(int(generator.integers(1, 5))):
        reach = min(0.95, 0.25 * heavy(1, generator, 7)[0])
        window = _tide(max(16, int(2 * reach * size)), generator)
        stains = _paste(stains, window, generator)
    if generator.random() < 0.75:
        stains = screen(stains, _foxing(size, generator))
    return stains


def draw_blotches(size: int, generator: np.random.Generator) -> Gray:
    """Cloudy patches, mottled inside; dirt that thickens in them; now and then bare or wiped."""
    ground = cloud(size, int(generator.integers(2, 5)), 8, generator)
    share = 0.1 + 0.4 * generator.random() * generator.random()
    soft = patches(ground, share, generator.uniform(0.02, 0.3))
    soft = multiply(soft, patches(cloud(size, 12, 6, generator), 0.9, 0.1))
    blotches = multiply(scaled(soft, int(generator.integers(60, 190))), tooth(size, 90, generator))
    blotches = screen(blotches, _dirt(size, ground, generator))
    if generator.random() < 0.5:
        blotches = screen(blotches, _bare(size, generator))
    if generator.random() < 0.25:
        blotches = screen(blotches, _wiped(size, generator))
    return blotches


def _tide(side: int, generator: np.random.Generator) -> Gray:
    """One dried puddle on its own (side, side) map: tide lines, each with its inner fall-off."""
    level = _puddle(side, generator)
    uneven = patches(cloud(side, 4, 5, generator), 0.95, 0.25)
    body = scaled(ramp(level, 0, 26000), int(generator.integers(4, 34)))
    stain = multiply(body, patches(cloud(side, 5, 7, generator), 0.95, 0.1))
    low = 0
    lines = 1 + int(generator.random() < 0.4) + int(generator.random() < 0.15)
    for _ in range(lines):  # as often as it dried anew: mostly once
        width = int(generator.integers(500, 2600))
        edge = _edge(level, low, width, int(generator.integers(4, 9)))
        strength = int(generator.integers(60, 235)) * (2 if low == 0 else 1) // 2
        stain = screen(stain, scaled(multiply(edge, uneven), strength))
        low += int(generator.integers(2500, 9000))
    return multiply(stain, tooth(side, 130, generator))


def _puddle(side: int, generator: np.random.Generator) -> Field:
    """Height over the water line, int32: a paraboloid that a cloud dents; below 0 is dry."""
    line = (np.arange(side, dtype=np.int64) * 2 - side) * 256 // side
    square = (line * line).astype(np.int32)
    tall = int(generator.integers(400, 1100))
    bump = 65536 - (square[:, None] * np.int32(400) + square[None, :] * np.int32(tall)) // 256
    dents = cloud(side, 3, 7, generator)
    dents = dents - np.int32(rank(dents, 0.35))
    return (bump - np.int32(24000)) // 3 + dents // int(generator.integers(2, 5))


def _edge(level: Field, low: int, width: int, fall: int) -> Gray:
    """A line where `level` passes `low`: sharp outside, then a fall-off `fall` times as wide."""
    outer = ramp(level, low - width // 4, low)
    inner = FULL - ramp(level, low, low + width * fall)
    line = FULL - ramp(level, low, low + width)
    pale = scaled(multiply(inner, inner), 90)
    return multiply(outer, screen(line, pale))


def _paste(under: Gray, window: Gray, generator: np.random.Generator) -> Gray:
    """Screen a window onto the map, at a place that may lie partly outside."""
    size, side = under.shape[0], window.shape[0]
    top, left = (int(generator.integers(-side * 5 // 8, size - side * 3 // 8)) for _ in range(2))
    rows = slice(max(0, top), min(size, top + side))
    columns = slice(max(0, left), min(size, left + side))
    part = window[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    out = under.copy()
    out[rows, columns] = screen(out[rows, columns], part)
    return out


def _foxing(size: int, generator: np.random.Generator) -> Gray:
    """Rusty spots: a pale halo, a darker ragged heart, many small and a few large."""
    canvas = np.zeros((size, size), np.uint8)
    hearts = np.zeros((size, size), np.uint8)
    count = int(160 * worn(generator))
    unit = pixel_unit(2 * size)
    places = spots(count, generator, int(generator.integers(1, 4)))
    radii = 1.1 * heavy(count, generator, 12) * unit
    strengths = generator.uniform(20, 190, count)
    draw_specks(canvas, places, 1.5 * radii, strengths * 0.7, generator)
    drift = (generator.normal(size=count) + 1j * generator.normal(size=count)) * (0.3 / size)
    draw_specks(hearts, places + drift * radii, 0.6 * radii, strengths, generator)
    halo = screen(soften(canvas, int(3 * unit)), scaled(soften(canvas, int(9 * unit)), 110))
    ragged = patches(cloud(size, 40, 4, generator), 0.9, 0.2)
    return multiply(screen(halo, soften(hearts, int(unit))), ragged)


def _dirt(size: int, ground: Field, generator: np.random.Generator) -> Gray:
    """Single dirty pixels and crumbs, denser where the ground's cloud is thick."""
    fine = noise(size, (size // 2, size // 2), generator)
    fine += noise(size, (size // 5, size // 5), generator)
    score = fine + ground * np.int32(generator.integers(1, 4))
    low = rank(score, generator.uniform(0.004, 0.05))
    canvas = np.zeros((size, size), np.uint8)
    count = int(3600 * worn(generator))
    draw_points(canvas, spots(count, generator, 2), 30 * heavy(count, generator, 7))
    crumbs = scaled(ramp(score, low, low + 30000), int(generator.integers(110, 256)))
    return screen(crumbs, canvas)


def _bare(size: int, generator: np.random.Generator) -> Gray:
    """Hard-edged islands where the picture layer came off, with crumbs of the same shape around."""
    ground = cloud(size, int(generator.integers(3, 9)), 8, generator)
    share = 0.002 + 0.03 * generator.random() * generator.random()
    islands = patches(ground, share, 0.8)
    inside = patches(cloud(size, 20, 5, generator), 0.97, 0.4)
    return scaled(multiply(islands, inside), int(generator.integers(120, 256)))


def _wiped(size: int, generator: np.random.Generator) -> Gray:
    """Streaks of a wipe: noise that is long one way, sheared by whole pixels, in a cloudy area."""
    streaks = noise(size, (3, size // 3), generator) + noise(size, (9, size // 8), generator)
    slope = int(generator.integers(-90, 91))
    rows = np.arange(size)
    sway = (noise(size, (3, 3), generator) * np.int32(size // 8)) >> 16
    columns = (rows[None, :] + rows[:, None] * slope // 128 + sway) % size
    streaks = np.take_along_axis(streaks, columns, axis=1)
    if generator.random() < 0.5:
        streaks = np.ascontiguousarray(streaks.T)
    area = patches(cloud(size, 3, 6, generator), generator.uniform(0.1, 0.4), 0.1)
    lines = patches(streaks, 0.4, 0.1)
    return multiply(
        scaled(multiply(lines, area), int(generator.integers(50, 150))), tooth(size, 40, generator)
    )
