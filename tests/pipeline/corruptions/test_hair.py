"""Hairs are connected, thin and curled as told; dark ones cast a shadow, bright ones do not."""

from typing import Any

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions.canvas import View
from pipeline.corruptions.hair import Hair, _strands

Array = np.ndarray
GRAY = np.full((500, 600, 3), 128, np.uint8)


def drawn(number: int, shape: tuple[int, ...] = (500, 600), **changes: Any) -> dict[str, Any]:
    """What the family at full severity draws, with some fields changed."""
    fields = Hair.at(1.0).model_dump() | {"bright_range": (1.0, 1.0)} | changes
    return Hair(**fields).draw(shape, seeds.rng(7, "hair", number))


def mask_of(told: dict[str, Any]) -> Array:
    return Hair.at(1.0).apply(GRAY, told)[1]


def one_hair(number: int, **changes: Any) -> dict[str, Any]:
    """A single long strong hair that starts near the photo's middle."""
    whole = {"num_range": (1, 1), "length_range": (0.3, 0.3), "opacity_range": (1.0, 1.0)}
    told = drawn(number, **whole, **changes)
    told["photo"] = [1500, 1800, 500]
    start = _strands(told, View.of(told), seeds.field(told["seed"])).points[0]
    middle = start.mean(axis=0).astype(int)
    return {**told, "at": [int(middle[1]) - 250, int(middle[0]) - 300]}


def test_one_hair_is_one_thin_mark() -> None:
    for number in range(12):
        mask = mask_of(one_hair(number, width_range=(0.003, 0.003)))
        assert cv2.connectedComponents(mask)[0] == 2
        assert cv2.distanceTransform(mask, cv2.DIST_L2, 5).max() <= 0.003 * 500 + 2.5
        assert 150 * 0.8 < np.count_nonzero(mask) / 4.5 < 150 * 1.6  # about as long as told


def test_curl_bends_a_hair() -> None:
    def chords(curl: float) -> list[float]:
        """How far a hair gets, as a share of its length."""
        share = []
        for number in range(12):
            rows, columns = np.nonzero(mask_of(one_hair(number, curl_range=(curl, curl))))
            share.append(float(np.hypot(np.ptp(rows), np.ptp(columns)) / 150))
        return share

    assert min(chords(0.0)) > 0.97
    assert np.mean(chords(0.8)) < 0.7


def test_tangled_hairs_hang_together() -> None:
    for number in range(5):
        told = drawn(number, num_range=(30, 30), length_range=(0.03, 0.1))
        loose = cv2.connectedComponents(mask_of({**told, "tangled": 0.0}))[0]
        assert cv2.connectedComponents(mask_of({**told, "tangled": 1.0}))[0] < 0.8 * loose


@pytest.mark.parametrize(("bright", "sign"), [(1.0, 1), (0.0, -1)])
def test_hair_on_the_negative_is_bright(bright: float, sign: int) -> None:
    out, mask = Hair.at(1.0).apply(GRAY, drawn(3, bright_range=(bright, bright)))
    change = sign * (out.astype(int) - 128).mean(axis=2)
    assert change.min() >= 0 and np.mean(change[mask > 0] > 0) > 0.95


def test_a_dark_hair_casts_a_soft_shadow_aside() -> None:
    told = one_hair(1)
    bright, dark = mask_of(told), mask_of({**told, "bright": 0.0})
    assert not (bright & ~dark).any()
    assert np.count_nonzero(dark) > 1.3 * np.count_nonzero(bright)
    out = Hair.at(1.0).apply(GRAY, {**told, "bright": 0.0})[0]
    assert out[(dark & ~bright) > 0].mean() > out[bright > 0].mean() + 20


def test_a_tile_sees_its_part_of_the_photo() -> None:
    whole = seeds.field(1).integers(0, 256, (500, 600, 3), np.uint8)
    for number in range(6):
        told = drawn(number, bright_range=(0.5, 0.5))
        out, mask = Hair.at(1.0).apply(whole, told)
        tile = Hair.at(1.0).apply(whole[130:330, 211:511], {**told, "at": [130, 211]})
        np.testing.assert_array_equal(tile[0], out[130:330, 211:511])
        np.testing.assert_array_equal(tile[1], mask[130:330, 211:511])
