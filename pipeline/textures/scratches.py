"""Scratches: webs of hairlines, bundles, rubbed bands, cuts, film lines and nicks, one or a few
kinds to a surface. Drawn on a canvas twice as fine, then averaged down."""

from collections.abc import Callable

import cv2
import numpy as np

from pipeline.textures.fields import Gray, cloud, multiply, patches, shrink
from pipeline.textures.film import grit, worn
from pipeline.textures.strokes import (
    SHIFT,
    Paths,
    crack,
    draw_points,
    draw_strokes,
    fading,
    fixed_points,
    headings,
    heavy,
    pixel_widths,
    rotation,
    spots,
    wander,
)


def draw_scratches(size: int, generator: np.random.Generator) -> Gray:
    """One to four kinds of scratching, each on its own amount, over nicks and grains."""
    marks = np.zeros((size, size), np.uint8)
    for _ in range(int(generator.integers(1, 4))):
        canvas = np.zeros((2 * size, 2 * size), np.uint8)
        kind = _KINDS[int(generator.integers(len(_KINDS)))]
        kind(canvas, worn(generator), generator)
        layer = shrink(canvas, size)
        if generator.random() < 0.7:
            layer = multiply(layer, grit(size, generator))
        if generator.random() < 0.3:
            raised = patches(cloud(size, int(generator.integers(2, 7)), 7, generator), 0.7, 0.3)
            layer = multiply(layer, raised)
        np.maximum(marks, layer, out=marks)
    if generator.random() < 0.3:
        return marks
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    _add_nicks(canvas, worn(generator), generator)
    return np.maximum(marks, shrink(canvas, size))


def _add_web(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """Hairlines from years of handling: every way or mostly one or two ways, hardly bent."""
    count = _lines(260 * amount * heavy(1, generator, 6)[0], canvas)
    lengths = generator.uniform(0.03, 0.2) * heavy(count, generator, 10) * generator.random(count)
    starts = spots(count, generator, int(2 * generator.random()))
    toward = _ways(count, generator)
    bend = generator.uniform(0, 0.02) * heavy(count, generator, 5) * generator.random(count)
    paths = wander(starts - toward * lengths / 2, toward, lengths, bend, 8, generator)
    level = generator.uniform(30, 110) * heavy(count, generator, 7)[:, None]
    strengths = (0.25 + fading(count, 8, generator, generator.uniform(0, 0.2))) * level
    widths = generator.uniform(0.4, 0.8) * heavy(count, generator, 4)
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, widths))


def _add_bundles(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """What grains of sand do in one wipe: almost parallel, unequal in length and strength."""
    for _ in range(int(3 + 7 * amount)):
        count = int(4 + 12 * heavy(1, generator, 8)[0])
        toward = headings(1, generator)[0]
        middle = generator.uniform(0, 1) + 1j * generator.uniform(0, 1)
        length, spread = 0.1 * heavy(1, generator, 8)[0], 0.008 * heavy(1, generator, 10)[0]
        aside = generator.normal(size=count) * spread
        slip = generator.normal(size=count) * length * 0.3
        lengths = length * generator.uniform(0.15, 1.0, count)
        starts = middle + toward * (1j * aside + slip - length / 2)
        fan = toward * rotation(generator.normal(size=count) * generator.uniform(0.003, 0.08))
        paths = wander(starts, fan, lengths, np.full(count, 0.004), 12, generator)
        level = generator.uniform(40, 150) * heavy(count, generator, 4)[:, None]
        strengths = fading(count, 12, generator, 0.15) * level
        draw_strokes(
            canvas, paths, strengths, pixel_widths(canvas, 0.6 * heavy(count, generator, 3))
        )


def _add_rubbing(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """Faint lines by the thousand, one way or in a few wipes: what a dry cloth leaves."""
    for _ in range(int(generator.integers(1, 5))):
        count = _lines(300 * amount * heavy(1, generator, 4)[0], canvas)
        toward = headings(1, generator)[0] * rotation(
            generator.normal(size=count) * generator.uniform(0.01, 0.15)
        )
        lengths = generator.uniform(0.02, 0.12) * heavy(count, generator, 8)
        lengths *= generator.random(count)
        starts = spots(count, generator, int(generator.integers(0, 4))) - toward * lengths / 2
        paths = wander(starts, toward, lengths, np.full(count, 0.008), 4, generator)
        level = generator.uniform(15, 80) * heavy(count, generator, 7)[:, None]
        strengths = level * generator.uniform(0.2, 1, (count, 4))
        draw_strokes(canvas, paths, strengths, pixel_widths(canvas, np.ones(count)))


def _add_bands(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """A hard edge dragged along: a narrow or broad band of points where it caught."""
    for _ in range(int(3 + 8 * amount)):
        start = generator.uniform(-0.1, 1.1) + 1j * generator.uniform(-0.1, 1.1)
        reach = 0.12 * heavy(1, generator, 8)[0]
        spine = wander(
            np.atleast_1d(start), headings(1, generator), np.atleast_1d(reach),
            np.array([generator.uniform(0, 0.01)]), 60, generator,
        )[0]  # fmt: skip
        broad = 0.0006 * heavy(1, generator, 25)[0]
        count = int(min(9000, reach * (900 + 300000 * broad) * generator.uniform(0.5, 2.5)))
        along = generator.random(count) * 59.99
        step = along.astype(np.int64)
        places = spine[step] + (spine[step + 1] - spine[step]) * (along - step)
        aside = generator.normal(size=count) + 1j * generator.normal(size=count)
        places = places + aside * broad
        inside = (places.real > 0) & (places.real < 1) & (places.imag > 0) & (places.imag < 1)
        level = generator.uniform(40, 120) * heavy(count, generator, 5)
        draw_points(canvas, places[inside], level[inside], generator.uniform(1, 2.5))


def _add_cuts(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """Gouges, each a flat wedge that ends in a point, in heaps that run one way and single."""
    count = int(40 * amount * heavy(1, generator, 5)[0])
    heap = generator.random() < 0.7
    lengths = 0.05 * heavy(count, generator, 9) * generator.random(count)
    starts = spots(count, generator, 4 if heap else 1)
    toward = _ways(count, generator)
    widths = generator.uniform(0.3, 1.5) * heavy(count, generator, 7) / 1024
    level = int(generator.integers(110, 256))
    bulge = generator.uniform(0.2, 0.8, count)
    sides = []
    for side in (1, -1):
        part = generator.uniform(0.2, 1.0, (2, count))
        sides.append(starts + toward * (lengths * bulge + 1j * side * widths * part[0]))
        sides.append(
            starts + toward * (lengths * (bulge + 1) / 2 + 1j * side * widths * part[1] / 2)
        )
    outline = np.stack(
        [starts, sides[0], sides[1], starts + toward * lengths, sides[3], sides[2]], 1
    )
    fixed = fixed_points(outline, canvas.shape[0])
    grays = np.clip(level * generator.uniform(0.5, 1.1, count), 0, 255).astype(np.int64)
    for row in np.argsort(grays, kind="stable").tolist():
        cv2.fillPoly(canvas, [fixed[row]], int(grays[row]), cv2.LINE_AA, SHIFT)


def _add_film_lines(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """Lines along the way that film runs, from a grain in the gate: long, straight, broken."""
    count = int(1 + 5 * amount)
    along = 1j if generator.random() < 0.8 else 1
    toward = along * rotation(generator.normal(size=count) * 0.004)
    lengths = 0.25 * heavy(count, generator, 6)
    starts = (generator.random(count) + 1j * generator.random(count)) - toward * lengths / 2
    ends = starts + toward * lengths
    rough = generator.uniform(0.0002, 0.004)
    paths = crack(starts, ends, rough, 6, generator)
    level = generator.uniform(60, 160) * heavy(count, generator, 3)[:, None]
    steady = generator.uniform(0, 0.6)
    strengths = (steady + fading(count, 64, generator, generator.uniform(0, 0.4))) * level
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, 0.7 * heavy(count, generator, 3)))
    if generator.random() < 0.5:  # the burr beside the groove
        draw_strokes(canvas, paths + 1.2 / 1024, strengths * fading(count, 64, generator, 0.4),
                     pixel_widths(canvas, np.ones(count)))  # fmt: skip


def _add_nicks(canvas: Gray, amount: float, generator: np.random.Generator) -> None:
    """Short nicks, about half of them the way the rest of the wear went, and single grains."""
    count = int(300 * amount)
    starts = spots(count, generator, 2)
    common = np.full(count, headings(1, generator)[0]) * rotation(
        generator.normal(size=count) * 0.12
    )
    toward = np.where(generator.random(count) < 0.5, common, headings(count, generator))
    ends = starts + toward * 0.003 * heavy(count, generator, 12)
    paths = crack(starts, ends, 0.04, 2, generator)
    strengths = 60 * heavy(count, generator, 6)[:, None] * generator.uniform(0.3, 1, (count, 4))
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, 0.6 * heavy(count, generator, 3)))
    count = int(2500 * amount)
    draw_points(
        canvas,
        spots(count, generator, int(generator.integers(0, 3))),
        50 * heavy(count, generator, 7),
    )


def _lines(count: float, canvas: Gray) -> int:
    """How many lines a small canvas shows, where each still takes a whole pixel."""
    return int(count * min(1.0, canvas.shape[0] / 1024))


def _ways(count: int, generator: np.random.Generator) -> Paths:
    """Directions: all around, or for a part of them one or two common ones."""
    free = headings(count, generator)
    tight = generator.uniform(0.02, 0.25)
    common = headings(2, generator)[generator.integers(0, 2, count)]
    common = common * rotation(generator.normal(size=count) * tight)
    share = generator.choice([0.0, 0.4, 0.8, 1.0])
    return np.where(generator.random(count) < share, common, free)


_KINDS: tuple[Callable[[Gray, float, np.random.Generator], None], ...] = (
    _add_web, _add_web, _add_bundles, _add_rubbing, _add_bands, _add_cuts, _add_film_lines,
)  # fmt: skip
