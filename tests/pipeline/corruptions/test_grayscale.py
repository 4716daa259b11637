"""Color goes by the share that was drawn; all of it gone is one channel of luma."""

import numpy as np
import pytest

from pipeline.corruptions.grayscale import Grayscale
from tests.pipeline.corruptions.conftest import apply, photo_tile

LUMA = np.array([0.299, 0.587, 0.114])


def test_all_of_the_color_gone_is_one_channel_of_luma() -> None:
    tile = photo_tile(40, 50)
    out, _ = apply(Grayscale.at(1), tile, {"strength": 1.0})
    assert out.shape == (40, 50, 1)
    assert np.abs(out[:, :, 0] - tile @ LUMA).max() <= 1
    np.testing.assert_array_equal(apply(Grayscale.at(1), out, {"strength": 1.0})[0], out)


@pytest.mark.parametrize("strength", [0.2, 0.5, 0.93])
def test_a_part_of_the_color_gone_leaves_the_rest_and_the_luma(strength: float) -> None:
    tile = photo_tile(40, 50)
    out, _ = apply(Grayscale.at(1), tile, {"strength": strength})
    wanted = (1 - strength) * tile + strength * (tile @ LUMA)[:, :, None]
    assert out.shape == tile.shape
    assert np.abs(out - wanted).max() <= 1.6
    assert np.abs(out @ LUMA - tile @ LUMA).max() <= 1.6


def test_a_gray_tile_stays_as_it_is() -> None:
    tile = photo_tile(40, 50, 1)
    for strength in (0.0, 0.4, 1.0):
        out, _ = apply(Grayscale.at(1), tile, {"strength": strength})
        np.testing.assert_array_equal(out, tile)
