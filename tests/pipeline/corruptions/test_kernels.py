"""Kernels are what their formulas say: of unit sum, round, Gaussian at beta 1, sharp in
frequency."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

from pipeline import seeds
from pipeline.corruptions.kernels import bell, bessel, convolve, disc, line, odd, plateau, sinc

Array = np.ndarray
ROUND = [bell(2.0, 2.0, 0.0, 0.5, 8), bell(2.0, 2.0, 0.0, 3.0, 8), plateau(1.5, 1.5, 0.0, 2.0, 8),
         sinc(4.0, 10), sinc(9.0, 10)]  # fmt: skip


def shares(weights: Array) -> Array:
    return weights / weights.sum()


def along(omega: float, direction: float, weights: Array) -> float:
    """What is left of a wave with so many radians a pixel in a direction."""
    reach = len(weights) // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    phase = omega * (x * math.cos(direction) + y * math.sin(direction))
    return float((shares(weights) * np.cos(phase)).sum())


@pytest.mark.parametrize("weights", ROUND)
def test_kernels_are_odd_sums_of_about_a_thousand_and_round(weights: Array) -> None:
    assert abs(int(weights.sum()) - 1000) < 60
    assert odd(weights).sum() % 2 == 1 and shares(odd(weights)).sum() == pytest.approx(1)
    for turned in (weights.T, weights[::-1], np.rot90(weights)):
        np.testing.assert_array_equal(weights, turned)


@pytest.mark.parametrize("angle", [0.0, 30.0, 115.0])
def test_a_bell_of_beta_one_is_gaussian(angle: float) -> None:
    turn = math.radians(angle)
    y, x = np.mgrid[-8:9, -8:9]
    q = ((x * math.cos(turn) + y * math.sin(turn)) / 2) ** 2
    q += ((y * math.cos(turn) - x * math.sin(turn)) / 1.2) ** 2
    wanted = np.exp(-q / 2) / (math.tau * 2 * 1.2)
    found = bell(2.0, 1.2, angle, 1.0, 8)
    rim = (17 - len(found)) // 2
    np.testing.assert_allclose(np.pad(shares(found), rim), wanted, atol=0.0015)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize(
    ("shape", "formula"),
    [(bell, lambda q, b: np.exp(-0.5 * q**b)), (plateau, lambda q, b: 1 / (1 + q**b))],
)
def test_shapes_are_their_published_formulas(shape: Any, formula: Any, beta: float) -> None:
    long, short, turn = 2.0, 1.3, math.radians(25.0)
    y, x = np.mgrid[-6:7, -6:7].astype(float)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    wanted = formula((along / long) ** 2 + (across / short) ** 2, beta)
    found = shape(long, short, 25.0, beta, 6)
    rim = (13 - len(found)) // 2
    shown = np.pad(found, rim) / 1000  # weights are whole thousandths
    np.testing.assert_allclose(shown, wanted / wanted.sum(), atol=0.00051)


@pytest.mark.parametrize("shape", [bell, plateau])
def test_a_larger_beta_is_flatter_with_a_steeper_rim(shape: object) -> None:
    middles, beyonds = [], []
    for beta in (0.5, 1.0, 2.0, 4.0):
        kernel = shape(3.0, 3.0, 0.0, beta, 8)  # type: ignore[operator]
        kernel = np.pad(kernel, (17 - len(kernel)) // 2)
        middles.append(kernel[8, 8 + 2] / kernel[8, 8])
        beyonds.append(kernel[8, 8 + 6] / kernel[8, 8])
    assert middles == sorted(middles) and beyonds == sorted(beyonds, reverse=True)


def test_a_plateau_is_half_as_high_at_its_deviation() -> None:
    for beta in (0.5, 1.0, 2.0):
        kernel = plateau(3.0, 2.0, 0.0, beta, 8)
        middle = len(kernel) // 2
        assert kernel[middle, middle + 3] / kernel[middle, middle] == pytest.approx(0.5, abs=0.05)
        assert kernel[middle + 2, middle] / kernel[middle, middle] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("wave", [4.0, 6.0, 9.0])
def test_a_sinc_cuts_at_its_frequency_in_all_directions(wave: float) -> None:
    kernel, cut = sinc(wave, 10), math.tau / wave
    for direction in np.linspace(0, math.pi / 2, 5):
        assert along(0.5 * cut, direction, kernel) > 0.85
        assert 0.3 < along(cut, direction, kernel) < 0.7
        assert abs(along(min(1.7 * cut, math.pi), direction, kernel)) < 0.13


def test_bessel_is_that_of_scipy() -> None:
    places = np.linspace(0, 60, 300)
    found = [bessel(place) for place in places.tolist()]
    np.testing.assert_allclose(found, special.j1(places), atol=1e-12)


@pytest.mark.parametrize(
    "weights", [disc(5), disc(1.3), line(9.5, 33.0), bell(2.0, 0.7, 60.0, 1.0), sinc(5.0, 10)]
)
def test_a_kernel_gives_the_exact_sum_rounded(weights: Array) -> None:
    tile = seeds.field(3).integers(0, 256, (70, 90, 3), np.uint8)
    total, reach = int(weights.sum()), len(weights) // 2
    if total % 2 == 0:
        weights = weights.copy()
        weights[reach, reach] += 1
        total += 1
    wide = np.pad(tile.astype(np.int64), ((reach, reach), (reach, reach), (0, 0)), "reflect")
    exact = sum(
        int(weights[y, x]) * wide[y : y + 70, x : x + 90]
        for y in range(len(weights))
        for x in range(len(weights))
    )
    rounded = np.clip((2 * exact + total) // (2 * total), 0, 255)
    np.testing.assert_array_equal(convolve(tile, weights), rounded)


def test_kernels_are_round_or_straight_and_centered() -> None:
    for weights in (disc(4.2), bell(1.5, 1.5, 0.0, 1.0)):
        np.testing.assert_array_equal(weights, weights.T)
        np.testing.assert_array_equal(weights, weights[::-1])
    upright = line(8, 90.0)
    assert np.count_nonzero(upright.sum(axis=0)) == 1
    np.testing.assert_array_equal(upright, upright[::-1])
    for angle in range(0, 180, 7):
        assert len(line(10, float(angle))) <= 11
