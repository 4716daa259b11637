"""Pictures get as small as a page needs, and no smaller."""

import numpy as np
import pytest

from pipeline.images import decode_jpeg
from pipeline.pages.shots import SHOWN_SIDE, encode_all, shrink
from pipeline.seeds import rng


def noise(height, width, channels=3):
    return rng(0, height, width).integers(0, 256, (height, width, channels), np.uint8)


def sizes(files):
    return [decode_jpeg(data).shape for data in files]


@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_stay_as_they_are(channels):
    picture = noise(40, 60, channels)
    assert shrink(picture) is picture
    assert sizes(encode_all([picture], 88, 10**9)) == [(40, 60, channels)]


def test_large_ones_keep_their_form():
    assert shrink(noise(768, 384)).shape == (SHOWN_SIDE, SHOWN_SIDE // 2, 3)


def test_all_get_smaller_until_they_fit():
    pictures = [noise(400, 300), noise(300, 400)]
    free = encode_all(pictures, 88, 10**9)
    assert sizes(free)[0] == (384, 288, 3)
    most = sum(map(len, free)) // 2
    fitted = encode_all(pictures, 88, most)
    assert sum(map(len, fitted)) <= most
    assert sizes(fitted)[0][0] < 384 and sizes(fitted)[0] == (*sizes(fitted)[1][1::-1], 3)


def test_half_the_side_is_the_least():
    assert sizes(encode_all([noise(400, 400)], 88, 1)) == [(192, 192, 3)]


def test_no_pictures_are_no_files():
    assert encode_all([], 88, 1) == []
