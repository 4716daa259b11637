"""Rings are dark at the rim, foxing is many spots, blotches are soft, fingerprints have ridges."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.stains import Stains
from pipeline.corruptions.surfaces import enlarge, fractal

SIDE = 256
KINDS = ("ring", "foxing", "blotch", "fingerprint")
Array = np.ndarray
WHITE = np.full((SIDE, SIDE, 3), 255, np.uint8)


def stain(kind: str, seed: int, **changes: Any) -> dict[str, Any]:
    """One brown stain over nearly the whole tile."""
    numbers = {
        "kind": kind, "y": 8, "x": 8, "height": 240, "width": 240, "reach": 0.94, "angle": 30,
        "strength": 1.0, "white": [150, 110, 60], "black": [20, 12, 6], "seed": seed,
    }  # fmt: skip
    return numbers | changes


def family(kind: str = "ring", **changes: Any) -> Stains:
    """Four stains of one kind."""
    fields = {
        "num_range": (4, 4), "size_range": (0.3, 0.4), "strength_range": (1.0, 1.0),
        "kinds": (kind,),
    }  # fmt: skip
    return Stains(**(fields | changes))


def lost(kind: str, seed: int, **changes: Any) -> tuple[Array, Array]:
    """Light lost on white paper (float, blue channel), and the mask as bool."""
    out, mask = family(kind).apply(WHITE, {"stains": [stain(kind, seed, **changes)]})
    return 255.0 - out[:, :, 2], mask > 0


@pytest.mark.parametrize("seed", range(6))
def test_a_ring_is_one_closed_area_with_its_rim_darkest(seed: int) -> None:
    dark, mask = lost("ring", seed)
    outline, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(outline, key=cv2.contourArea)
    filled = cv2.drawContours(np.zeros((SIDE, SIDE), np.uint8), [largest], -1, 1, cv2.FILLED) > 0
    assert filled.sum() >= 0.85 * mask.sum() and mask[filled].mean() > 0.97
    depth = cv2.distanceTransform(filled.astype(np.uint8), cv2.DIST_L2, 5)
    rim, inner = dark[(depth > 2) & (depth < 5)].mean(), dark[depth > 0.6 * depth.max()].mean()
    assert rim > 1.7 * inner > 10
    assert dark[(depth > 9) & (depth < 14)].mean() < 0.75 * rim
    length, area = cv2.arcLength(largest, True), cv2.contourArea(largest)
    assert length**2 / area > 1.15 * 4 * np.pi  # no circle, which has 4π


@pytest.mark.parametrize("seed", range(6))
def test_foxing_is_many_small_spots_redder_than_the_paper(seed: int) -> None:
    out, mask = family().apply(WHITE, {"stains": [stain("foxing", seed)]})
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = stats[1:, cv2.CC_STAT_AREA]
    assert count > 12
    assert np.median(areas) < 0.004 * SIDE**2 and areas.max() > 4 * np.median(areas)
    spot = out[mask > 0].mean(axis=0)
    assert spot[0] > spot[1] > spot[2]


@pytest.mark.parametrize("seed", range(4))
def test_a_spot_has_a_core_and_a_halo(seed: int) -> None:
    dark, mask = lost("foxing", seed)
    largest = dark[mask]
    assert np.percentile(largest, 25) < 0.4 * np.percentile(largest, 99)


def test_a_blotch_is_soft_where_a_ring_is_sharp() -> None:
    steps = {kind: [] for kind in ("ring", "blotch")}
    for kind, found in steps.items():
        for seed in range(6):
            dark, _ = lost(kind, seed)
            found.append(np.percentile(np.abs(np.diff(dark, axis=0)), 99.5))
    assert np.mean(steps["ring"]) > 2 * np.mean(steps["blotch"])


@pytest.mark.parametrize("seed", range(6))
def test_a_fingerprint_has_34_ridges_over_its_length(seed: int) -> None:
    dark, _ = lost("fingerprint", seed)
    middle = dark[72:184, 72:184]  # 112 px of a print of 240 px
    window = np.hanning(112)[:, None] * np.hanning(112)[None]
    power = np.abs(np.fft.fftshift(np.fft.fft2((middle - middle.mean()) * window))) ** 2
    y, x = np.mgrid[-56:56, -56:56]
    radius = np.hypot(y, x) * 240 / 112  # cycles over the print
    rings = [power[(radius >= r) & (radius < r + 4)].sum() for r in range(12, 80, 4)]
    assert abs(12 + 4 * int(np.argmax(rings)) + 2 - 34) <= 8


def test_ridges_run_around_a_core() -> None:
    """Stripes would have one direction; around a core there is each."""
    flat = 0
    for seed in range(8):
        dark, _ = lost("fingerprint", seed)
        middle = cv2.GaussianBlur(dark[48:208, 48:208], (0, 0), 1.5)
        down, along = np.gradient(middle)
        turns, weights = np.degrees(np.arctan2(down, along)) % 180, np.hypot(down, along)
        shares = np.histogram(turns, 6, (0, 180), weights=weights)[0] / weights.sum()
        flat += shares.min() > 0.06 and shares.max() < 0.45
    assert flat >= 7


def test_a_fingerprint_too_small_for_its_ridges_is_a_smudge() -> None:
    for side, ridged in ((240, True), (44, False)):
        dark, _ = lost("fingerprint", 3, height=side, width=side)
        inner = dark[8 + side // 3 : 8 + 2 * side // 3, 8 + side // 3 : 8 + 2 * side // 3]
        assert bool(np.percentile(inner, 10) < 0.3 * inner.max()) is ridged


@pytest.mark.parametrize("kind", KINDS)
def test_the_photo_shows_through(kind: str) -> None:
    tile = seeds.field(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    out, mask = family(kind).apply(tile, {"stains": [stain(kind, 2)]})
    seen, clean = out[mask > 0].ravel(), tile[mask > 0].ravel()
    assert np.corrcoef(seen, clean)[0, 1] > 0.75
    assert np.abs(seen.astype(int) - clean).mean() > 4


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_what_changed_on_white_and_the_same_on_gray(kind: str) -> None:
    drawn = {"stains": [stain(kind, 5)]}
    out, mask = family(kind).apply(WHITE, drawn)
    np.testing.assert_array_equal((out != WHITE).any(axis=2), mask > 0)
    gray, same = family(kind).apply(np.ascontiguousarray(WHITE[:, :, :1]), drawn)
    np.testing.assert_array_equal(mask, same)
    luma = cv2.cvtColor(out, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(luma - gray[:, :, 0]).max() <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_stain_ends_inside_its_box(kind: str) -> None:
    for seed in range(12):
        _, mask = lost(kind, seed)
        rim = mask[8:248, 8:248].copy()
        rim[1:-1, 1:-1] = False
        assert not rim.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", [200, 900])
def test_a_tile_shows_its_part_of_the_stain(kind: str, side: int) -> None:
    photo = seeds.field(2).integers(0, 256, (1000, 1000, 3), np.uint8)
    whole = stain(kind, 4, y=40, x=30, height=side, width=side)
    out, mask = family(kind).apply(photo, {"stains": [whole]})
    rows, columns = slice(103, 231), slice(57, 250)
    part = whole | {"y": 40 - 103, "x": 30 - 57}
    cut, cut_mask = family(kind).apply(photo[rows, columns], {"stains": [part]})
    np.testing.assert_array_equal(cut, out[rows, columns])
    np.testing.assert_array_equal(cut_mask, mask[rows, columns])


def test_counts_are_of_the_photo_and_sizes_of_its_short_side() -> None:
    many = family("blotch", num_range=(40, 40), size_range=(0.1, 0.1))
    whole = many.draw((1000, 1000), seeds.rng(1))["stains"]
    assert len(whole) == 40
    assert {max(one["height"], one["width"]) for one in whole} == {100}
    parts = [many.draw((100, 100, 1000), seeds.rng(2, n))["stains"] for n in range(200)]
    assert all(max(one["height"], one["width"]) == 100 for part in parts for one in part)
    # (100 px tile + 80 to 100 px stain)² of 1000²: some 3.3 % of the stains touch
    assert 0.8 < np.mean([len(part) for part in parts]) < 2.0


def test_water_often_comes_from_a_border() -> None:
    def on_border(kind: str) -> float:
        found = [
            one
            for n in range(60)
            for one in family(kind).draw((400, 400), seeds.rng(3, n))["stains"]
        ]
        middles = [(o["y"] + o["height"] // 2, o["x"] + o["width"] // 2) for o in found]
        return float(np.mean([bool({*middle} & {0, 400}) for middle in middles]))

    assert 0.35 < on_border("ring") < 0.65
    assert on_border("blotch") < 0.05


def test_strength_scales_the_tint() -> None:
    full, _ = lost("blotch", 1)
    half, _ = lost("blotch", 1, strength=0.5)
    deep = full > 60
    assert np.abs(half[deep] / full[deep] - 0.5).max() < 0.03


def test_a_field_is_smooth_and_the_finer_the_rougher() -> None:
    soft, rough = (fractal(seeds.field(1), 200, 200, 3, share) for share in (0.2, 0.9))
    steps = [np.abs(np.diff(one.astype(int), axis=1)).mean() for one in (soft, rough)]
    assert steps[1] > 2 * steps[0] and soft.shape == (200, 200)
    assert 90 < soft.mean() < 166 and soft.std() > 15


def test_enlarged_cells_keep_their_mean_and_continue() -> None:
    small = seeds.field(3).integers(0, 256, (20, 30), np.uint8)
    whole = enlarge(small, 7, (slice(0, 140), slice(0, 210)))
    assert abs(float(whole.mean()) - float(small.mean())) < 2
    for top, left in ((0, 0), (33, 71), (101, 180)):
        box = slice(top, top + 39), slice(left, left + 30)
        np.testing.assert_array_equal(enlarge(small, 7, box), whole[box])
