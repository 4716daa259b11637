"""Fine wear: dust, hair and scratches. Drawn on a canvas twice as fine, then averaged down."""

import numpy as np
from numpy.typing import NDArray

from pipeline.textures.fields import (
    Floats,
    Gray,
    cloud,
    multiply,
    patches,
    scaled,
    screen,
    shrink,
    soften,
    tooth,
)
from pipeline.textures.strokes import (
    Paths,
    crack,
    draw_points,
    draw_specks,
    draw_strokes,
    fading,
    headings,
    heavy,
    pixel_unit,
    rotation,
    spots,
    visible,
    wander,
)


def draw_dust(size: int, generator: np.random.Generator) -> Gray:
    """Grains by the thousand in clusters, ragged specks of all sizes, fluffs, a faint veil."""
    amount = worn(generator)
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    count = int(20000 * amount)
    grains = spots(count, generator, int(generator.integers(0, 4)))
    draw_points(canvas, grains, 75 * heavy(count, generator, 14))
    _add_specks(canvas, int(1200 * amount), 1.2, 17.0, generator)
    _add_fibers(canvas, int(generator.integers(4, 50)), 0.02, generator)
    sharp = shrink(canvas, size)
    blurred = shrink(_out_of_focus(size, int(90 * amount), generator), size)
    dust = screen(multiply(sharp, tooth(size, 110, generator)), blurred)
    return screen(dust, veil(size, generator))


def draw_hair(size: int, generator: np.random.Generator) -> Gray:
    """Long curved hairs, short curled fibers, sometimes a tangle, always some dust between."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    _add_hairs(canvas, int(generator.integers(3, 13)), generator)
    _add_fibers(canvas, int(190 * worn(generator)), 0.03, generator)
    if generator.random() < 0.4:
        _add_tangle(canvas, int(generator.integers(30, 110)), generator)
    count = int(13000 * worn(generator))
    draw_points(canvas, spots(count, generator, 1), 55 * heavy(count, generator, 10))
    _add_specks(canvas, int(260 * worn(generator)), 1.1, 9.0, generator)
    hair = multiply(shrink(canvas, size), tooth(size, 150, generator))
    return screen(hair, veil(size, generator))


def draw_scratches(size: int, generator: np.random.Generator) -> Gray:
    """Single long scratches, bundles of parallel ones, scuffed areas, ticks and torn-out dashes."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    amount = worn(generator)
    _add_long_scratches(canvas, int(6 + 16 * amount), generator)
    for _ in range(int(generator.integers(2, 8))):
        _add_bundle(canvas, int(5 + 9 * heavy(1, generator, 8)[0]), generator)
    _add_ticks(canvas, int(450 * amount), generator)
    count = int(900 * amount)
    draw_points(canvas, spots(count, generator, 2), 70 * heavy(count, generator, 6))
    _add_specks(canvas, int(30 * amount), 1.1, 6.0, generator)
    marks = multiply(shrink(canvas, size), tooth(size, 130, generator))
    if generator.random() < 0.7:
        marks = screen(marks, _scuff(size, generator))
    return screen(marks, veil(size, generator))


def worn(generator: np.random.Generator) -> float:
    """How much wear there is, 0.55 to 2.6: mostly little, sometimes a lot."""
    chance = float(generator.random())
    return 0.55 + 2.05 * chance * chance


def veil(size: int, generator: np.random.Generator) -> Gray:
    """Next to nothing, somewhere: the haze that a scanner sees on any surface."""
    haze = patches(cloud(size, 2, 7, generator), generator.uniform(0.05, 0.4), 0.2)
    return multiply(scaled(haze, int(generator.integers(3, 12))), tooth(size, 0, generator))


def _widths(canvas: Gray, widths: Floats) -> NDArray[np.int64]:
    return np.maximum(1, np.rint(widths * pixel_unit(canvas.shape[0]))).astype(np.int64)


def _add_specks(
    canvas: Gray, count: int, least: float, most: float, generator: np.random.Generator
) -> None:
    count = visible(count, canvas.shape[0])
    places = spots(count, generator, int(generator.integers(1, 4)))
    radii = least * heavy(count, generator, most) * pixel_unit(canvas.shape[0])
    draw_specks(canvas, places, radii, generator.uniform(60, 320, count), generator)


def _out_of_focus(size: int, count: int, generator: np.random.Generator) -> Gray:
    """Dust on the other side of the glass."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    radii = 3.0 * heavy(count, generator, 7) * pixel_unit(canvas.shape[0])
    places = spots(count, generator, 1)
    draw_specks(canvas, places, radii, generator.uniform(20, 130, count), generator)
    return soften(canvas, int(5 * pixel_unit(canvas.shape[0])))


def _add_fibers(canvas: Gray, count: int, length: float, generator: np.random.Generator) -> None:
    starts = spots(count, generator, 1)
    lengths = length * generator.uniform(0.3, 1.0, count) * heavy(count, generator, 3)
    bend = generator.uniform(0.02, 0.22, count)
    paths = wander(starts, headings(count, generator), lengths, bend, 14, generator)
    strengths = fading(count, 14, generator, 0.1) * generator.uniform(50, 300, (count, 1))
    draw_strokes(canvas, paths, strengths, _widths(canvas, generator.uniform(0.6, 3.4, count)))


def _add_hairs(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    lengths = 0.12 * heavy(count, generator, 7)
    starts = generator.random(count) + 1j * generator.random(count)
    bend = generator.uniform(0.004, 0.06, count)
    paths = wander(starts, headings(count, generator), lengths, bend, 48, generator)
    strengths = (0.35 + fading(count, 48, generator, 0.0)) * generator.uniform(70, 250, (count, 1))
    draw_strokes(canvas, paths, strengths, _widths(canvas, generator.uniform(1.2, 4.2, count)))


def _add_tangle(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    """Lint: hairs that spring from one spine, tight at its middle, loose at its ends."""
    place = np.atleast_1d(generator.random() + 1j * generator.random())
    reach = np.atleast_1d(generator.uniform(0.1, 0.6))
    spine = wander(place, headings(1, generator), reach, np.array([0.012]), 40, generator)[0]
    middling = generator.integers(0, 21, count) + generator.integers(0, 21, count)
    loose = generator.normal(size=count) + 1j * generator.normal(size=count)
    starts = spine[middling] + 0.01 * loose
    lengths = 0.045 * heavy(count, generator, 9)
    bend = generator.uniform(0.015, 0.12, count)
    tangent = spine[middling] - spine[np.maximum(0, middling - 1)] + 1e-9
    tangent /= np.sqrt(tangent.real * tangent.real + tangent.imag * tangent.imag)
    along = tangent * rotation(generator.normal(size=count) * 0.5)
    along = np.where(generator.random(count) < 0.5, along, -along)
    paths = wander(starts, along, lengths, bend, 26, generator)
    strengths = (0.3 + fading(count, 26, generator, 0.0)) * generator.uniform(40, 220, (count, 1))
    draw_strokes(canvas, paths, strengths, _widths(canvas, generator.uniform(0.6, 2.4, count)))


def _add_long_scratches(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    lengths = 0.1 * heavy(count, generator, 14)
    starts = generator.random(count) + 1j * generator.random(count)
    bend = generator.uniform(0, 0.004, count) * heavy(count, generator, 4)
    paths = wander(starts, headings(count, generator), lengths, bend, 40, generator)
    strengths = fading(count, 40, generator, 0.2) * generator.uniform(90, 520, (count, 1))
    _stroke_twice(canvas, paths, strengths, generator)


def _stroke_twice(
    canvas: Gray, paths: Paths, strengths: Floats, generator: np.random.Generator
) -> None:
    """A groove and, beside it here and there, the burr it threw up."""
    count = len(paths)
    draw_strokes(canvas, paths, strengths, _widths(canvas, 0.8 * heavy(count, generator, 4)))
    aside = headings(count, generator)[:, None] * (1.1 / 1024)
    burr = strengths * fading(count, strengths.shape[1], generator, 0.5) * 0.8
    draw_strokes(canvas, paths + aside, burr, _widths(canvas, np.ones(count)))


def _add_bundle(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    """What grains of sand do in one wipe: almost parallel, unequal in length and strength."""
    toward = headings(1, generator)[0]
    middle = generator.uniform(0, 1) + 1j * generator.uniform(0, 1)
    length, spread = 0.12 * heavy(1, generator, 6)[0], 0.012 * heavy(1, generator, 8)[0]
    aside = generator.normal(size=count) * spread
    slip = generator.normal(size=count) * length * 0.3
    lengths = length * generator.uniform(0.2, 1.0, count)
    starts = middle + toward * (1j * aside + slip - length / 2)
    fan = toward * rotation(generator.normal(size=count) * 0.012)
    paths = wander(starts, fan, lengths, np.full(count, 0.003), 24, generator)
    strengths = fading(count, 24, generator, 0.25) * generator.uniform(60, 480, (count, 1))
    draw_strokes(canvas, paths, strengths, _widths(canvas, 0.7 * heavy(count, generator, 3)))


def _add_ticks(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    """Short nicks: about half of them lie the way the rest of the wear went."""
    starts = spots(count, generator, 2)
    common = np.full(count, headings(1, generator)[0]) * rotation(
        generator.normal(size=count) * 0.12
    )
    toward = np.where(generator.random(count) < 0.5, common, headings(count, generator))
    ends = starts + toward * 0.006 * heavy(count, generator, 12)
    paths = crack(starts, ends, 0.03, 2, generator)
    strengths = generator.uniform(40, 460, (count, 1)) * generator.uniform(0.3, 1, (count, 4))
    draw_strokes(canvas, paths, strengths, _widths(canvas, 0.8 * heavy(count, generator, 3)))


def _scuff(size: int, generator: np.random.Generator) -> Gray:
    """A rubbed area: hundreds of faint lines one way, seen only where the surface stood out."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    count = int(generator.integers(150, 700))
    toward = headings(1, generator)[0] * rotation(generator.normal(size=count) * 0.05)
    starts = spots(count, generator, 3) - toward * 0.08
    lengths = 0.06 * heavy(count, generator, 5)
    paths = wander(starts, toward, lengths, np.full(count, 0.004), 5, generator)
    strengths = generator.uniform(40, 300, (count, 1)) * generator.uniform(0.3, 1, (count, 5))
    draw_strokes(canvas, paths, strengths, _widths(canvas, np.ones(count)))
    raised = patches(cloud(size, 4, 7, generator), 0.6, 0.2)
    return multiply(multiply(shrink(canvas, size), raised), tooth(size, 110, generator))
