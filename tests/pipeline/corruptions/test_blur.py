"""Each kind of blur has the shape and the spread that its numbers say, at any size."""

import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.blur import Blur
from pipeline.corruptions.kernels import convolve, disc, ellipse, line
from tests.pipeline.corruptions.conftest import Array, apply, mse, real_photos

KINDS = ("gaussian", "anisotropic", "motion", "defocus")


def blurred_point(kind: str, spread: float, angle: float = 0.0, ratio: float = 0.5) -> Array:
    """What becomes of a single dot, as shares of its light (many dots' mean, to pass 8 bits)."""
    reach = max(12, int(6 * spread))
    side = 2 * reach + 1
    total = np.zeros((side, side))
    for down in range(0, 8, 2):
        for right in range(0, 8, 2):
            tile = np.zeros((side + 8, side + 8, 1), np.uint8)
            size = 3 if spread > 2.5 else 1
            tile[reach + down :, reach + right :][:size, :size] = 255
            drawn = {"kind": kind, "size": 0.01, "spread": spread, "angle": angle, "ratio": ratio}
            out, _ = apply(Blur.at(0.5), tile, drawn)
            total += out[down : down + side, right : right + side, 0]
    return total / total.sum()


def moments(kernel: Array) -> tuple[float, float]:
    """Deviations along and across its main direction."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]]
    points = np.stack([y.ravel(), x.ravel()])
    values = np.linalg.eigvalsh(np.cov(points, aweights=kernel.ravel(), ddof=0))
    return float(values[1] ** 0.5), float(max(values[0], 0) ** 0.5)


@pytest.mark.parametrize("spread", [0.8, 1.5, 3.0, 5.0])
@pytest.mark.parametrize("kind", ["gaussian", "defocus", "motion"])
def test_the_spread_is_the_deviation_of_the_kernel(kind: str, spread: float) -> None:
    if spread == 5.0 and kind != "motion":
        pytest.skip("too faint to measure in 8 bits")
    long, short = moments(blurred_point(kind, spread))
    own = (9 - 1) / 12 if spread > 2.5 else 0.0  # of the dot itself
    assert abs((long**2 - own) ** 0.5 / spread - 1) < 0.15
    if kind == "motion":
        assert short < 1.3
    else:
        assert short > 0.85 * long


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0])
@pytest.mark.parametrize("kind", ["motion", "anisotropic"])
def test_a_direction_is_kept(kind: str, angle: float) -> None:
    kernel = blurred_point(kind, 1.8, angle, 0.3)
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]].astype(float)
    y, x = y - (kernel * y).sum(), x - (kernel * x).sum()
    across = (kernel * x * y).sum() * 2, (kernel * (x * x - y * y)).sum()
    found = np.degrees(np.arctan2(*across)) / 2
    assert abs((found - angle + 90) % 180 - 90) < 6


def edge(kind: str, spread: float) -> Array:
    """A vertical edge after blur, 0 to 1."""
    tile = np.zeros((9, 400, 1), np.uint8)
    tile[:, 200:] = 255
    drawn = {"kind": kind, "size": 0.01, "spread": spread, "angle": 0.0, "ratio": 1.0}
    return apply(Blur.at(0.5), tile, drawn)[0][4, :, 0] / 255


@pytest.mark.parametrize("spread", [1.0, 2.5, 4.0, 7.0, 12.0, 25.0])
@pytest.mark.parametrize("kind", KINDS)
def test_an_edge_widens_with_the_spread_at_any_size(kind: str, spread: float) -> None:
    found = edge(kind, spread)
    assert (np.diff(found) >= -0.005).all()
    across = np.arange(len(found) - 1) + 0.5
    weights = np.clip(np.diff(found), 0, None)
    center = (weights * across).sum() / weights.sum()
    deviation = ((weights * (across - center) ** 2).sum() / weights.sum()) ** 0.5
    assert abs(center - 199.5) < 0.3 + 0.02 * spread
    assert abs(deviation / spread - 1) < 0.12


def test_a_disc_is_even_and_ends_while_a_gaussian_fades() -> None:
    slopes = {kind: np.diff(edge(kind, 12.0)) for kind in ("defocus", "gaussian")}
    reach = {kind: np.flatnonzero(slope > 0.0005) for kind, slope in slopes.items()}
    assert np.ptp(reach["defocus"]) < 4 * 12 + 8 < np.ptp(reach["gaussian"])


def test_the_mean_light_stays() -> None:
    corruption = Blur.at(0.8)
    for photo in real_photos(128):
        for number in range(12):
            drawn = corruption.draw(photo.shape[:2], seeds.rng(7, number))
            out, _ = apply(corruption, photo, drawn)
            assert abs(out.mean() - photo.mean()) < 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_fall_as_the_spread_grows(kind: str) -> None:
    photo, last = real_photos(200)[0], np.inf
    for spread in (0.5, 1.0, 2.0, 4.0, 6.0):
        drawn = {"kind": kind, "size": 0.01, "spread": spread, "angle": 20.0, "ratio": 0.5}
        out = Blur.at(0.5).apply(photo, drawn)[0].astype(float)
        energy = float((np.diff(out, axis=1) ** 2).mean())
        assert energy < 0.9 * last
        last = energy


def test_enlarging_after_shrinking_hardly_shows() -> None:
    photo = real_photos(300)[0]
    for kind in KINDS:  # each is shrunk from a certain spread on
        outs = [
            Blur.at(0.5).apply(
                photo, {"kind": kind, "size": 0, "spread": spread, "angle": 20.0, "ratio": 0.6}
            )[0]
            for spread in (3.9, 4.0, 4.1)
        ]
        assert mse(outs[0], outs[1]) < 12 and mse(outs[1], outs[2]) < 12


def test_spreads_are_shares_of_the_photo() -> None:
    corruption = Blur.at(0.5)
    spreads = [corruption.draw((64, 64, side), seeds.rng(7))["spread"] for side in (500, 1000)]
    assert spreads == [3.0, 6.0]


@pytest.mark.parametrize("weights", [disc(5), disc(1.3), line(9.5, 33.0), ellipse(2.0, 0.7, 60.0)])
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
    np.testing.assert_array_equal(convolve(tile, weights), (2 * exact + total) // (2 * total))


def test_kernels_are_round_or_straight_and_centered() -> None:
    for weights in (disc(4.2), ellipse(1.5, 1.5, 0.0)):
        np.testing.assert_array_equal(weights, weights.T)
        np.testing.assert_array_equal(weights, weights[::-1])
    upright = line(8, 90.0)
    assert np.count_nonzero(upright.sum(axis=0)) == 1
    np.testing.assert_array_equal(upright, upright[::-1])
    for angle in range(0, 180, 7):
        assert len(line(10, float(angle))) <= 11
