"""CIEDE2000 against scikit-image and the pairs that its authors published."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from pipeline.metrics import Ruler, ciede2000
from pipeline.seeds import rng
from tests.pipeline.metrics.pictures import pairs, photo, random_picture

# Sharma, Wu, Dalal 2005, table 1: L a b, L a b, ΔE00.
PUBLISHED = np.array([
    (50, 2.6772, -79.7751, 50, 0, -82.7485, 2.0425),
    (50, 3.1571, -77.2803, 50, 0, -82.7485, 2.8615),
    (50, 2.8361, -74.0200, 50, 0, -82.7485, 3.4412), (50, -1.3802, -84.2814, 50, 0, -82.7485, 1.0),
    (50, -1.1848, -84.8006, 50, 0, -82.7485, 1.0), (50, -0.9009, -85.5211, 50, 0, -82.7485, 1.0),
    (50, 0, 0, 50, -1, 2, 2.3669), (50, -1, 2, 50, 0, 0, 2.3669),
    (50, 2.49, -0.001, 50, -2.49, 0.0009, 7.1792), (50, 2.49, -0.001, 50, -2.49, 0.001, 7.1792),
    (50, 2.49, -0.001, 50, -2.49, 0.0011, 7.2195), (50, 2.49, -0.001, 50, -2.49, 0.0012, 7.2195),
    (50, -0.001, 2.49, 50, 0.0009, -2.49, 4.8045), (50, -0.001, 2.49, 50, 0.001, -2.49, 4.8045),
    (50, -0.001, 2.49, 50, 0.0011, -2.49, 4.7461), (50, 2.5, 0, 50, 0, -2.5, 4.3065),
    (50, 2.5, 0, 73, 25, -18, 27.1492), (50, 2.5, 0, 61, -5, 29, 22.8977),
    (50, 2.5, 0, 56, -27, -3, 31.9030), (50, 2.5, 0, 58, 24, 15, 19.4535),
    (50, 2.5, 0, 50, 3.1736, 0.5854, 1.0), (50, 2.5, 0, 50, 3.2972, 0, 1.0),
    (50, 2.5, 0, 50, 1.8634, 0.5757, 1.0), (50, 2.5, 0, 50, 3.2592, 0.3350, 1.0),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
])  # fmt: skip


def as_lab(columns, dtype):
    return ciede2000.lab(*(np.ascontiguousarray(column, dtype) for column in columns))


@pytest.mark.parametrize(("dtype", "slack"), [(np.float64, 5.1e-5), (np.float32, 1e-3)])
def test_the_published_pairs(dtype, slack):
    one, other = as_lab(PUBLISHED.T[:3], dtype), as_lab(PUBLISHED.T[3:6], dtype)
    np.testing.assert_allclose(ciede2000.differences(one, other), PUBLISHED[:, 6], atol=slack)


def test_differences_of_any_colors_are_scikit_image_s():
    low, high = np.array([0, -110, -110]), np.array([100, 110, 110])
    one = rng(0, "lab").uniform(low, high, (20_000, 3))
    near = one + rng(0, "near").normal(0, 2, one.shape)
    for other in (np.roll(one, 1, axis=0), near, one * (1, 0, 0)):
        expected = deltaE_ciede2000(one, other)
        found = ciede2000.differences(as_lab(one.T, np.float64), as_lab(other.T, np.float64))
        # scikit-image does not carry the bell around 275° on beyond 360°: exp(-85² / 25²) at most.
        np.testing.assert_allclose(found, expected, atol=2e-4)
        found = ciede2000.differences(as_lab(one.T, np.float32), as_lab(other.T, np.float32))
        np.testing.assert_allclose(found, expected, atol=0.02)  # where hues are nearly opposite
        assert np.quantile(np.abs(found - expected), 0.999) < 5e-4
        assert found.mean() == pytest.approx(expected.mean(), abs=1e-4)


def test_lab_is_scikit_image_s():
    every = np.stack(np.meshgrid(*[np.arange(0, 256, 5)] * 3), -1).astype(np.uint8)
    plain = every.reshape(1, -1, 3)
    found = ciede2000.lab_of(plain)
    expected = rgb2lab(plain)
    for plane, channel in zip((found.light, found.a, found.b), range(3), strict=True):
        np.testing.assert_allclose(plane, expected[..., channel], atol=2e-4)


def test_parity_with_scikit_image_on_photos():
    for prediction, target in [*pairs(), (random_picture("a"), random_picture("b"))]:
        expected = deltaE_ciede2000(rgb2lab(target), rgb2lab(prediction)).mean()
        found = Ruler(target, None, ["ciede2000"]).measure(prediction)["ciede2000"]
        assert found == pytest.approx(expected, abs=1e-4)


def test_of_gray_only_light_differs():
    clean = photo("camera", channels=1)
    darker = (clean * 0.8).astype(np.uint8)
    found = Ruler(clean, None, ["ciede2000"]).measure(darker)["ciede2000"]
    three = [np.repeat(one, 3, axis=2) for one in (clean, darker)]
    assert found == Ruler(three[0], None, ["ciede2000"]).measure(three[1])["ciede2000"]
    first, second = (rgb2lab(one)[..., 0] for one in three)
    middle = (first + second) / 2 - 50
    weight = 1 + 0.015 * middle**2 / np.sqrt(20 + middle**2)
    assert found == pytest.approx((abs(first - second) / weight).mean(), abs=1e-3)
    assert Ruler(clean, None, ["ciede2000"]).measure(clean)["ciede2000"] == 0
