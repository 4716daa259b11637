"""How much of a region's contrast is left: in closed form, against plain numpy, and on real defects
that a recipe draws."""

import cv2
import numpy as np
import pytest

from pipeline.corruptions import Recipe
from pipeline.images import to_gray
from pipeline.metrics import METRICS, Ruler
from pipeline.metrics.contrast import LEAST_WHOLE, SIDES
from pipeline.seeds import rng
from pipeline.statistics import has_direction
from tests.conftest import ROOT, load_yaml
from tests.pipeline.metrics.pictures import block, holes, noisy, pairs

NAME = "contrast_masked"


def marked(ground, defect, side=96):
    """A flat picture with a square of another gray, and the square's mask."""
    picture = np.full((side, side, 3), ground, np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[40:60, 40:60] = 255
    picture[mask > 0] = defect
    return picture, mask


@pytest.mark.parametrize(
    ("ground", "defect", "left"),
    [(100, 140, 1.0), (100, 120, 0.5), (100, 100, 0.0), (150, 190, 1.0), (100, 60, -1.0)],
)
def test_a_square_on_flat_ground_keeps_the_share_that_it_still_stands_out(ground, defect, left):
    target, mask = marked(100, 140)
    assert METRICS[NAME](marked(ground, defect)[0], target, mask) == pytest.approx(left, abs=1e-5)


def naive(prediction, target, mask):
    """Pixel by pixel, in float64."""
    tall, wide = mask.shape
    found = []
    for y, x in np.argwhere(mask > 0):
        for side in SIDES:
            top, left, reach = max(0, y - side // 2), max(0, x - side // 2), side // 2
            part = np.s_[top : min(tall, y + reach + 1), left : min(wide, x + reach + 1)]
            whole = mask[part] == 0
            if whole.sum() >= LEAST_WHOLE * side**2:
                lumas = (to_gray(one)[..., 0].astype(float) for one in (prediction, target))
                found.append([one[y, x] - one[part][whole].mean() for one in lumas])
                break
    d, t = np.array(found).T
    return (d * t).sum() / (t * t).sum()


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_slope_that_plain_numpy_finds(channels):
    pair = next(pairs(channels))
    small = [np.ascontiguousarray(one[60:130, 50:130]) for one in pair]
    for mask in (holes(small[0].shape), block(small[0].shape)):
        assert Ruler(small[1], mask, [NAME]).measure(small[0])[NAME] == pytest.approx(
            naive(*small, mask), abs=1e-4
        )


def test_noise_is_no_contrast():
    target, mask = marked(100, 110)
    rough = [noisy(target, 20, "contrast", number) for number in range(20)]
    found = [METRICS[NAME](one, target, mask) for one in rough]
    assert np.mean(found) == pytest.approx(1.0, abs=0.1)  # deviations would say 2.2


def test_it_is_undefined_where_nothing_stands_out_or_nothing_is_around():
    target, mask = marked(100, 140)
    assert METRICS[NAME](target, target) is None
    assert METRICS[NAME](target, target, np.zeros_like(mask)) is None
    assert METRICS[NAME](target, target, np.full_like(mask, 255)) is None
    flat, _ = marked(100, 100)
    assert METRICS[NAME](target, flat, mask) is None
    assert not has_direction(NAME) and not has_direction("contrast_keep")


def test_drawn_defects_stand_out_until_they_are_smoothed_away(astronaut):
    recipe = Recipe.load(load_yaml(ROOT / "params.yaml"), "defects", None)
    left = {"blurred": [], "without": []}
    for number in range(8):
        tile = np.ascontiguousarray(astronaut[number * 32 :][:256, :256])
        made = recipe.damage(tile, lambda *purpose, n=number: rng(1, "defects", n, *purpose))
        if not made.keep.any():
            continue
        ruler = Ruler(made.clean, made.keep, [NAME])
        blurred = cv2.GaussianBlur(made.clean, (0, 0), 3)
        for name, picture in {"blurred": blurred, "without": tile}.items():
            left[name].append(ruler.measure(picture)[NAME])
        assert ruler.measure(made.clean)[NAME] == pytest.approx(1)
    assert len(left["blurred"]) >= 4
    assert max(map(np.mean, left.values())) < 0.7
