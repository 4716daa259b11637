"""Each kind of blur has the shape and the spread that its numbers say, at any size."""

import math

import numpy as np
import pytest

from pipeline import seeds
from pipeline.config import validate
from pipeline.corruptions.blur import KINDS, Blur
from pipeline.errors import SectionError
from tests.pipeline.corruptions.conftest import PARAMS, Array, apply, mse, real_photos

SIDES = [end for one in PARAMS["recipes"].values() for end in one["photo_side_range"]]
TURNED = [kind for kind in KINDS if kind == "motion" or kind.endswith("anisotropic")]
SMOOTH = [kind for kind in KINDS if kind != "sinc"]  # no negative weights


def numbers(kind: str, spread: float, angle: float = 0.0, ratio: float = 1.0) -> dict:
    """A story's: Gaussian where the shape allows, and cut far out."""
    drawn = {"kind": kind, "size": 0.01, "spread": spread, "angle": angle, "reach": 4 * spread}
    ratio = ratio if kind.endswith("anisotropic") else 1.0
    return drawn | {"ratio": ratio, "beta": 2.0 if "plateau" in kind else 1.0}


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
            out, _ = apply(Blur.at(0.5), tile, numbers(kind, spread, angle, ratio))
            total += out[down : down + side, right : right + side, 0]
    return total / total.sum()


def moments(kernel: Array) -> tuple[float, float]:
    """Deviations along and across its main direction."""
    y, x = np.mgrid[: kernel.shape[0], : kernel.shape[1]]
    points = np.stack([y.ravel(), x.ravel()])
    values = np.linalg.eigvalsh(np.cov(points, aweights=kernel.ravel(), ddof=0))
    return float(values[1] ** 0.5), float(max(values[0], 0) ** 0.5)


EVEN = ("gaussian", "defocus", "motion", "generalized")
MEASURABLE = [(kind, s) for kind in EVEN for s in (0.8, 1.5, 3.0)]
MEASURABLE += [(kind, s) for kind in ("anisotropic", "generalized_anisotropic") for s in (1.5, 3.0)]


@pytest.mark.parametrize(("kind", "spread"), [*MEASURABLE, ("motion", 5.0)])
def test_the_spread_is_the_deviation_of_the_kernel(kind: str, spread: float) -> None:
    long, short = moments(blurred_point(kind, spread))
    own = (9 - 1) / 12 if spread > 2.5 else 0.0  # of the dot itself
    assert abs((long**2 - own) ** 0.5 / spread - 1) < 0.15
    if kind == "motion":
        assert short < 1.3
    elif kind.endswith("anisotropic"):
        assert abs((short**2 - own) ** 0.5 / spread - 0.5) < 0.1
    else:
        assert short > 0.85 * long


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 135.0])
@pytest.mark.parametrize("kind", TURNED)
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
    return apply(Blur.at(0.5), tile, numbers(kind, spread))[0][4, :, 0] / 255


def deviation_of(kind: str) -> float:
    """Of a kernel of spread 1 as its formula says, cut where `numbers` cuts it."""
    if "plateau" not in kind:
        return 1.0
    y, x = np.mgrid[-4:4:401j, -4:4:401j]
    heights = 1 / (1 + (x * x + y * y) ** 2)
    return float(((heights * x * x).sum() / heights.sum()) ** 0.5)


@pytest.mark.parametrize("spread", [1.0, 2.5, 4.0, 7.0, 12.0, 25.0])
@pytest.mark.parametrize("kind", SMOOTH)
def test_an_edge_widens_with_the_spread_at_any_size(kind: str, spread: float) -> None:
    found = edge(kind, spread)
    assert (np.diff(found) >= -0.005).all()
    across = np.arange(len(found) - 1) + 0.5
    weights = np.clip(np.diff(found), 0, None)
    center = (weights * across).sum() / weights.sum()
    deviation = ((weights * (across - center) ** 2).sum() / weights.sum()) ** 0.5
    assert abs(center - 199.5) < 0.3 + 0.02 * spread
    assert abs(deviation / spread / deviation_of(kind) - 1) < 0.12


@pytest.mark.parametrize("spread", [1.0, 2.5, 4.0, 7.0])
def test_a_sinc_cuts_waves_shorter_than_its_spread_says_at_any_size(spread: float) -> None:
    def kept(wave: float) -> float:
        row = 127.5 + 100 * np.sin(math.tau * np.arange(400) / wave)
        tile = np.broadcast_to(row[None, :, None], (90, 400, 1)).astype(np.uint8)
        out = apply(Blur.at(0.5), tile, numbers("sinc", spread) | {"reach": 20 * spread})[0]
        return float(out[45, 100:-100].std() / tile[45, 100:-100].std())

    assert kept(1.6 * math.tau * spread) > 0.8
    assert 0.25 < kept(math.tau * spread) < 0.75
    assert kept(0.6 * math.tau * spread) < 0.2


@pytest.mark.parametrize("spread", [700.0, 900.0])
def test_a_line_of_hundreds_of_pieces_keeps_the_light(spread: float) -> None:
    tile = np.full((6, 8, 1), 250, np.uint8)
    np.testing.assert_array_equal(apply(Blur.at(0.5), tile, numbers("motion", spread))[0], tile)


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
        drawn = numbers(kind, spread, 20.0, 0.5) | {"beta": 1.5}
        out = Blur.at(0.5).apply(photo, drawn)[0].astype(float)
        energy = float((np.diff(out, axis=1) ** 2).mean())
        assert energy < 0.9 * last
        last = energy


def test_enlarging_after_shrinking_hardly_shows() -> None:
    photo = real_photos(300)[0]
    for kind in KINDS:  # each is shrunk from a certain spread on
        drawn = {"kind": kind, "size": 0, "angle": 20.0, "ratio": 0.6, "beta": 1.5, "reach": 16}
        outs = [
            Blur.at(0.5).apply(photo, drawn | {"spread": spread})[0] for spread in (3.9, 4.0, 4.1)
        ]
        assert mse(outs[0], outs[1]) < 12 and mse(outs[1], outs[2]) < 12


def test_spreads_are_shares_of_the_photo() -> None:
    corruption = Blur.at(0.5)
    spreads = [corruption.draw((64, 64, side), seeds.rng(7))["spread"] for side in (500, 1000)]
    assert spreads == [3.0, 6.0]


def test_kinds_come_as_often_as_their_weights_say() -> None:
    kinds = {"gaussian": 0.45, "plateau": 0.12, "sinc": 0.43}
    corruption = Blur.model_validate(Blur.at(0.5).model_dump() | {"kinds": kinds})
    drawn = [corruption.draw((64, 64), seeds.rng(7, number))["kind"] for number in range(2000)]
    for kind, weight in kinds.items():
        assert abs(drawn.count(kind) / 2000 - weight) < 0.035


def test_weights_are_of_any_sum_and_may_be_zero() -> None:
    kinds = {"motion": 0, "gaussian": 45, "sinc": 55, "defocus": 0}
    corruption = with_kinds(kinds)
    drawn = [corruption.draw((64, 64), seeds.rng(7, number))["kind"] for number in range(1000)]
    assert set(drawn) == {"gaussian", "sinc"}
    assert abs(drawn.count("gaussian") / 1000 - 0.45) < 0.05


@pytest.mark.parametrize("kinds", [{"gaussian": 0.0}, {"gaussian": 0, "sinc": 0}])
def test_no_weight_at_all_is_told_in_one_line(kinds: dict) -> None:
    with pytest.raises(SectionError) as told:
        with_kinds(kinds)
    assert "blur.kinds must give a kind a weight above 0" in str(told.value)
    assert "\n" not in str(told.value)


def with_kinds(kinds: dict, **changes: object) -> Blur:
    return validate(Blur.at(0.5).model_dump() | {"kinds": kinds, **changes}, "blur", Blur)


def test_betas_are_half_peaked_and_half_flat() -> None:
    changes = {"kinds": {"generalized": 1.0, "plateau": 1.0}, "beta_range": (0.5, 4.0)}
    corruption = Blur.model_validate(Blur.at(0.5).model_dump() | changes)
    draws = [corruption.draw((64, 64), seeds.rng(7, number)) for number in range(1000)]
    betas = {kind: np.array([d["beta"] for d in draws if d["kind"] == kind]) for kind in
             ("generalized", "plateau")}  # fmt: skip
    assert abs((betas["generalized"] < 1).mean() - 0.5) < 0.07
    assert betas["generalized"].min() < 0.55 and betas["generalized"].max() > 3.8
    assert abs((betas["plateau"] == 1).mean() - 0.5) < 0.07 and betas["plateau"].max() <= 2


def test_kernels_and_their_waves_are_those_published() -> None:
    ranges = {"wave_range": (0.005, 0.025), "reach_range": (0.0075, 0.025)}
    corruption = with_kinds({"sinc": 1.0}, **ranges)
    draws = [corruption.draw((400, 400), seeds.rng(7, number)) for number in range(4000)]
    reaches = [one["reach"] for one in draws]
    assert set(reaches) == set(range(3, 11))  # 7×7 to 21×21, each as often
    assert all(abs(reaches.count(reach) / 4000 - 1 / 8) < 0.02 for reach in set(reaches))
    for reach in range(3, 11):
        omegas = [1 / one["spread"] for one in draws if one["reach"] == reach]
        lowest = math.pi / 3 if reach < 6 else math.pi / 5  # below 13×13, and from there on
        assert lowest - 0.01 < min(omegas) < lowest + 0.04
        assert math.pi - 0.04 < max(omegas) < math.pi + 0.01


@pytest.mark.parametrize("side", sorted({*SIDES, *range(min(SIDES), max(SIDES), 64)}))
def test_no_sinc_amplifies_the_finest_lines_on_photos_of_any_size(side: int) -> None:
    """Waves shorter than two pixels would."""
    corruption = with_kinds({"sinc": 1.0}, wave_range=(0.005, 0.025), reach_range=(0.0075, 0.025))
    lines = np.full((48, 48, 1), 100, np.uint8)
    lines[:, ::2] = 156
    for number in range(20):
        drawn = corruption.draw((48, 48, side), seeds.rng(7, number))
        for told in (drawn, drawn | {"spread": 0.005 * side / math.tau}):
            out = apply(corruption, lines, told)[0].astype(float)
            assert abs(np.diff(out[24, :, 0])).max() < 1.1 * 56
        assert drawn["spread"] >= 2 / math.tau - 0.001


def test_waves_are_even_in_frequency_and_fit_their_kernel() -> None:
    changes = {"kinds": {"sinc": 1.0}, "wave_range": (0.005, 0.025), "reach_range": (0.0075, 0.025)}
    corruption = Blur.model_validate(Blur.at(0.5).model_dump() | changes)
    draws = [corruption.draw((400, 400), seeds.rng(7, number)) for number in range(2000)]
    omegas = np.array([1 / one["spread"] for one in draws])
    assert math.pi / 5 - 0.01 < omegas.min() < math.pi / 4 and 3.0 < omegas.max() < math.pi + 0.02
    assert all(math.tau * one["spread"] <= 2 * one["reach"] + 0.05 for one in draws)
    counts = np.histogram(omegas[omegas > math.pi / 3], 4, (math.pi / 3, math.pi))[0]
    assert counts.min() > 0.8 * counts.max()


def test_a_sinc_rings_beside_an_edge() -> None:
    tile = np.full((40, 80, 1), 60, np.uint8)
    tile[:, 40:] = 190
    row = apply(Blur.at(0.5), tile, numbers("sinc", 1.0) | {"reach": 10})[0][20, :, 0]
    assert row.max() > 198 and row.min() < 52
