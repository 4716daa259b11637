"""Fine wear: dust and hair. Drawn on a canvas twice as fine, then averaged down."""

import numpy as np

from pipeline.textures.fields import Gray, multiply, screen, shrink, soften, tooth
from pipeline.textures.film import worn
from pipeline.textures.strokes import (
    draw_points,
    draw_specks,
    draw_strokes,
    fading,
    headings,
    heavy,
    pixel_unit,
    pixel_widths,
    rotation,
    spots,
    visible,
    wander,
)


def draw_dust(size: int, generator: np.random.Generator) -> Gray:
    """Grains by the thousand in clusters, ragged specks, a few large ones, fluffs, blurred dust."""
    amount = worn(generator)
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    count = int(5000 * amount * heavy(1, generator, 10)[0])
    grains = spots(count, generator, int(3 * generator.random() * generator.random()))
    level = generator.uniform(40, 110)
    draw_points(canvas, grains, level * heavy(count, generator, 10), generator.uniform(1, 2))
    _add_specks(
        canvas,
        int(1000 * amount * heavy(1, generator, 6)[0]),
        generator.uniform(0.6, 1.0),
        6.0,
        generator,
    )
    _add_specks(canvas, int(110 * amount), 2.0, 9.0, generator)
    _add_fibers(canvas, int(20 * heavy(1, generator, 15)[0]), 0.012, generator)
    sharp = multiply(shrink(canvas, size), tooth(size, 150, generator))
    return screen(sharp, shrink(_out_of_focus(size, int(60 * amount), generator), size))


def draw_hair(size: int, generator: np.random.Generator) -> Gray:
    """Long curved hairs, short curled fibers, sometimes a tangle, always some dust between."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    _add_hairs(canvas, int(generator.integers(1, 12)), generator)
    _add_fibers(canvas, int(400 * worn(generator)), 0.014, generator)
    if generator.random() < 0.5:
        _add_tangle(canvas, int(generator.integers(30, 260)), generator)
    count = int(12000 * worn(generator))
    draw_points(canvas, spots(count, generator, 1), 45 * heavy(count, generator, 10))
    _add_specks(canvas, int(500 * worn(generator)), 0.7, 7.0, generator)
    return multiply(shrink(canvas, size), tooth(size, 150, generator))


def _add_specks(
    canvas: Gray, count: int, least: float, most: float, generator: np.random.Generator
) -> None:
    count = visible(count, canvas.shape[0])
    places = spots(count, generator, int(3 * generator.random()))
    radii = least * heavy(count, generator, most) * pixel_unit(canvas.shape[0])
    draw_specks(canvas, places, radii, generator.uniform(60, 320, count), generator)


def _out_of_focus(size: int, count: int, generator: np.random.Generator) -> Gray:
    """Dust on the other side of the glass."""
    canvas = np.zeros((2 * size, 2 * size), np.uint8)
    radii = 2.0 * heavy(count, generator, 10) * pixel_unit(canvas.shape[0])
    places = spots(count, generator, 1)
    draw_specks(canvas, places, radii, 16 * heavy(count, generator, 8), generator)
    return soften(canvas, int(generator.uniform(2, 6) * pixel_unit(canvas.shape[0])))


def _add_fibers(canvas: Gray, count: int, length: float, generator: np.random.Generator) -> None:
    starts = spots(count, generator, int(generator.integers(0, 3)))
    lengths = length * generator.uniform(0.3, 1.0, count) * heavy(count, generator, 4)
    bend = generator.uniform(0.02, 0.22, count)
    paths = wander(starts, headings(count, generator), lengths, bend, 14, generator)
    level = generator.uniform(40, 110) * heavy(count, generator, 4)[:, None]
    strengths = (0.2 + fading(count, 14, generator, 0.05)) * level
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, 0.7 * heavy(count, generator, 3)))


def _add_hairs(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    lengths = 0.1 * heavy(count, generator, 7)
    starts = generator.random(count) + 1j * generator.random(count)
    bend = generator.uniform(0.004, 0.06, count)
    paths = wander(starts, headings(count, generator), lengths, bend, 48, generator)
    strengths = (0.35 + fading(count, 48, generator, 0.0)) * generator.uniform(60, 250, (count, 1))
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, 0.8 * heavy(count, generator, 4)))


def _add_tangle(canvas: Gray, count: int, generator: np.random.Generator) -> None:
    """Lint: hairs that spring from one spine, tight at its middle, loose at its ends."""
    place = np.atleast_1d(generator.random() + 1j * generator.random())
    reach = np.atleast_1d(generator.uniform(0.1, 0.6))
    spine = wander(place, headings(1, generator), reach, np.array([0.012]), 40, generator)[0]
    middling = generator.integers(0, 21, count) + generator.integers(0, 21, count)
    loose = generator.normal(size=count) + 1j * generator.normal(size=count)
    starts = spine[middling] + 0.008 * loose
    lengths = 0.035 * heavy(count, generator, 9)
    bend = generator.uniform(0.015, 0.14, count)
    tangent = spine[middling] - spine[np.maximum(0, middling - 1)] + 1e-9
    tangent /= np.sqrt(tangent.real * tangent.real + tangent.imag * tangent.imag)
    along = tangent * rotation(generator.normal(size=count) * 0.5)
    along = np.where(generator.random(count) < 0.5, along, -along)
    paths = wander(starts, along, lengths, bend, 26, generator)
    strengths = (0.3 + fading(count, 26, generator, 0.0)) * generator.uniform(40, 220, (count, 1))
    draw_strokes(canvas, paths, strengths, pixel_widths(canvas, 0.7 * heavy(count, generator, 3)))
