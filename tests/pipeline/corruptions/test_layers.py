"""Blending alphas into tiles: exact at both ends, and masked wherever a pixel may change."""

import numpy as np
import pytest

from pipeline.corruptions import layers
from tests.pipeline.corruptions.conftest import Array, photo_tile

BOX = (slice(4, 20), slice(2, 18))
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def covered(channels: int, over: Array | tuple[int, ...]) -> tuple[Array, Array, Array]:
    """A tile, the same with a ramp of alphas on `BOX`, and the mask."""
    tile = photo_tile(24, 21, channels)
    out, mask = tile.copy(), np.zeros((24, 21), np.uint8)
    layers.cover(out, mask, BOX, over, RAMP)
    return tile, out, mask


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("over", [layers.WHITE, layers.BLACK, (9, 200, 77), "picture"])
def test_a_cover_changes_its_box_by_alpha_and_masks_it(
    channels: int, over: tuple[int, ...] | str
) -> None:
    laid = photo_tile(16, 16, channels)[::-1].copy() if isinstance(over, str) else over
    tile, out, mask = covered(channels, laid)
    part, under = out[BOX].astype(float), tile[BOX].astype(float)
    alpha = np.where(RAMP > layers.FAINT, RAMP, 0)[..., None] / 255
    toward = laid if isinstance(laid, np.ndarray) else np.array(laid[:channels])
    np.testing.assert_allclose(part, under * (1 - alpha) + toward * alpha, atol=1.01)
    np.testing.assert_array_equal(part[RAMP <= layers.FAINT], under[RAMP <= layers.FAINT])
    np.testing.assert_array_equal(part[-1, -1], np.broadcast_to(toward, part.shape)[-1, -1])
    np.testing.assert_array_equal(mask[BOX] > 0, RAMP > layers.FAINT)
    rest = np.ones(mask.shape, bool)
    rest[BOX] = False
    assert not mask[rest].any()
    np.testing.assert_array_equal(out[rest], tile[rest])


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_put_toward_a_color_and_masked(channels: int) -> None:
    tile = photo_tile(16, 16, channels)
    out, mask = tile.copy(), np.zeros((16, 16), np.uint8)
    layers.put(out, mask, np.arange(256), RAMP.ravel(), (200, 100, 50))
    alpha = np.where(RAMP >= layers.FAINT, RAMP, 0)[..., None] / 255
    toward = np.array((200, 100, 50)[:channels])
    np.testing.assert_allclose(out, tile * (1 - alpha) + toward * alpha, atol=0.51)
    np.testing.assert_array_equal(mask > 0, RAMP >= layers.FAINT)


def test_fillings_are_what_stories_name() -> None:
    told = {"color": [1, 2, 3], "seed": 7}
    assert tuple(layers.filling({**told, "fill": "black"}, (2, 2, 3))) == (0, 0, 0)
    assert tuple(layers.filling({**told, "fill": "white"}, (2, 2, 3))) == (255, 255, 255)
    assert layers.filling({**told, "fill": "color"}, (2, 2, 3)) == [1, 2, 3]
    noise = layers.filling({**told, "fill": "noise"}, (40, 50, 1))
    assert isinstance(noise, np.ndarray) and noise.shape == (40, 50, 1)
    assert abs(float(noise.mean()) - 127.5) < 6 and float(noise.std()) > 65


def test_soft_edges_reach_no_farther_than_they_say() -> None:
    dot = np.zeros((61, 61), np.uint8)
    dot[30, 30] = 255
    wide = np.zeros_like(dot)
    wide[20:41, 20:41] = 255
    assert layers.soften(dot, 0.3) is dot
    soft = layers.soften(wide, 100.0)
    reach = 10 + layers.SOFTEST
    assert soft.any() and not soft[: 30 - reach].any() and not soft[:, 31 + reach :].any()
    np.testing.assert_array_equal(layers.soft(dot, 0), dot)
    boxed = layers.soft(wide, 4)
    assert boxed[:30].any() and not boxed[: 20 - 4].any()
