"""The surface under the marks and the scan over them: grain, fine dust and haze of a blank frame;
then the lens, the tone curve and the uneven wear that one scan lays over all its marks."""

import cv2
import numpy as np

from pipeline.textures.fields import (
    FULL,
    Floats,
    Gray,
    cloud,
    multiply,
    noise,
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
    draw_points,
    draw_strokes,
    fading,
    headings,
    heavy,
    pixel_widths,
    spots,
    wander,
)


def worn(generator: np.random.Generator) -> float:
    """How much wear there is, 0.3 to 3: mostly little, sometimes a lot."""
    chance = float(generator.random())
    return 0.3 + 2.7 * chance * chance


def blank_frame(size: int, generator: np.random.Generator) -> Gray:
    """What a scanner sees on any old frame: haze, fine dust, speckle, hairlines and grain."""
    frame = _haze(size, generator)
    if generator.random() < 0.25:
        return frame
    if generator.random() < 0.75:
        frame = screen(frame, _fine_dust(size, generator))
    if generator.random() < 0.3:
        frame = screen(frame, _speckle(size, generator))
    if generator.random() < 0.55:
        frame = screen(frame, _grain(size, generator))
    return frame


def exposed(marks: Gray, generator: np.random.Generator) -> Gray:
    """Fine marks as a scan's software sets their levels: from soft and faint to hard and flat.

    Worn here more than there, too, on every other surface.
    """
    if generator.random() < 0.5:
        cells = int(generator.integers(2, 9))
        lowest = float(generator.uniform(0.0, 0.5))
        uneven = patches(cloud(marks.shape[0], cells, 6, generator), 0.9, lowest)
        marks = multiply(marks, screen(uneven, np.full_like(uneven, generator.integers(20, 160))))
    share, full = generator.uniform(0.002, 0.02), generator.uniform(70, 255)
    top = max(24, rank(marks.astype(np.int32), share))
    place = np.arange(256) / top
    curve: Floats = place
    chance = generator.random()
    if chance < 0.3:  # contrast raised until the marks are flat
        toe = generator.uniform(0.0, 0.3)
        curve = np.clip((place - toe) * generator.uniform(1.5, 4.0), 0, 1)
    elif chance < 0.6:  # faint marks held back
        bend = generator.uniform(0, 1)
        curve = place * (1 - bend) + place * place * bend
    ceiling = generator.uniform(full, FULL)
    return np.rint(np.clip(curve * full, 0, ceiling)).astype(np.uint8)[marks]


def scanned(marks: Gray, frame: Gray, generator: np.random.Generator) -> Gray:
    """Marks and frame through one lens: from crisp to a little out of focus."""
    whole = screen(marks, frame)
    chance = generator.random()
    if chance < 0.6:
        return whole
    unit = max(1, round(whole.shape[0] / 800))
    blurred = cv2.blur(whole, (2 * unit + 1, 2 * unit + 1)).astype(np.uint8)
    if chance > 0.95:
        blurred = soften(whole, 2 * unit + 1)
    share = int(generator.integers(20, 200))
    mixed = whole.astype(np.uint16) * np.uint16(256 - share) + blurred * np.uint16(share)
    return (mixed >> 8).astype(np.uint8)


def grit(size: int, generator: np.random.Generator) -> Gray:
    """What breaks a line into dots: the surface touched only where it stood out."""
    chance = float(generator.random())
    if chance < 0.35:
        return tooth(size, int(generator.integers(60, 200)), generator)
    cells = int(size / generator.uniform(1.0, 3.5))
    rough = noise(size, (cells, cells), generator)
    rough += noise(size, (size // 7, size // 7), generator) >> int(generator.integers(0, 3))
    touched = float(generator.uniform(0.35, 1.0))
    return patches(rough, touched, float(generator.uniform(0.1, 0.8)))


def _haze(size: int, generator: np.random.Generator) -> Gray:
    """A base that is not even: next to nothing mostly, sometimes a mottled veil."""
    cells = int(generator.integers(2, 9))
    haze = patches(cloud(size, cells, 8, generator), generator.uniform(0.05, 0.5), 0.1)
    level = min(48, int(generator.uniform(2, 8) * heavy(1, generator, 8)[0]))
    return multiply(scaled(haze, level), tooth(size, int(generator.integers(0, 160)), generator))


def _fine_dust(size: int, generator: np.random.Generator) -> Gray:
    """Points of a pixel, all over, and hairlines as faint as they are."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    count = int(2500 * heavy(1, generator, 16)[0])
    places = spots(count, generator, int(generator.integers(0, 3)))
    level = generator.uniform(12, 70)
    draw_points(canvas, places, level * heavy(count, generator, 12))
    lines = int(12 * heavy(1, generator, 16)[0]) - 12
    lengths = 0.03 * heavy(lines, generator, 25)
    starts = generator.random(lines) + 1j * generator.random(lines)
    bend = generator.uniform(0, 0.02, lines)
    paths = wander(starts, headings(lines, generator), lengths, bend, 12, generator)
    strengths = fading(lines, 12, generator, 0.1) * level * heavy(lines, generator, 4)[:, None]
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, np.ones(lines)))
    return shrink(canvas, size)


def _speckle(size: int, generator: np.random.Generator) -> Gray:
    """A dense field of crumbs, thick here and thin there."""
    cells = int(size / generator.uniform(1.2, 4.0))
    field = noise(size, (cells, cells), generator)
    field += cloud(size, int(generator.integers(2, 8)), 5, generator) >> int(generator.integers(4))
    low = rank(field, generator.uniform(0.01, 0.16))
    high = rank(field, 0.001)
    return scaled(ramp(field, low, high), int(20 * heavy(1, generator, 8)[0]))


def _grain(size: int, generator: np.random.Generator) -> Gray:
    """Noise of the film and of the scanner; the lower half of it is lost in the black."""
    fine = generator.integers(0, 64, (4, size, size), dtype=np.uint8).sum(axis=0, dtype=np.uint8)
    clump = int(generator.integers(0, 4))  # 0: every pixel on its own
    if clump:
        fine = cv2.blur(fine, (1 + clump // 2, 1 + (clump + 1) // 2)).astype(np.uint8)
    level = float(generator.uniform(0.4, 1.0)) * heavy(1, generator, 6)[0]
    wide = fine.astype(np.int32)
    middle, spread = rank(wide, 0.5), max(1, rank(wide, 0.16) - rank(wide, 0.5))
    table = np.clip((np.arange(256) - float(middle)) * (level / spread), 0, FULL)
    grain: Gray = np.rint(table).astype(np.uint8)[fine]
    return grain
