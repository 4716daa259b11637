"""A net of cracks: islands of about one size, T-shaped junctions, and windows that agree."""

import cv2
import numpy as np

from pipeline.corruptions import geometry, islands

Array = np.ndarray
SIDE, UNIT = 40, 20  # islands; px


def runs(seed: int, low: float = -SIDE / 2, high: float = SIDE / 2, along: int = 0) -> list:
    limits = np.array([low, low]), np.array([high, high])
    return islands.net(99.0, limits, geometry.compass()[along], seed)


def drawn(seed: int, along: int = 0) -> Array:
    """The net's lines, thin, 20 px to an island."""
    canvas = np.zeros((SIDE * UNIT, SIDE * UNIT), np.uint8)
    for paths, _ in runs(seed, along=along):
        for path in np.rint((paths + SIDE / 2) * UNIT).astype(np.int32):
            cv2.polylines(canvas, [path], False, 255)
    return canvas


def cells(seed: int, along: int = 0) -> Array:
    """Areas and boxes of the islands (cv2's statistics), those at the border left out."""
    found = cv2.connectedComponentsWithStats(255 - drawn(seed, along), connectivity=4)[2][1:]
    ends = found[:, :2] + found[:, 2:4]
    return found[(found[:, :2].min(axis=1) > 0) & (ends.max(axis=1) < SIDE * UNIT)]


def test_most_of_the_plane_is_islands_of_about_one_size() -> None:
    for seed in range(4):
        areas = cells(seed)[:, cv2.CC_STAT_AREA] / UNIT**2
        areas = areas[areas > 0.05]  # specks between two lines that meet
        assert 0.35 < np.median(areas) < 1.2
        small = areas[areas < 4]  # a gap joins a few
        assert small.sum() > 0.6 * SIDE**2 * 0.7 and np.percentile(small, 90) < 2.6


def test_islands_are_longer_along_the_grain() -> None:
    shapes = []
    for along in (0, geometry.DIRECTIONS // 4):
        found = np.concatenate([cells(seed, along) for seed in range(4)])
        shapes.append(np.median(found[:, cv2.CC_STAT_WIDTH] / found[:, cv2.CC_STAT_HEIGHT]))
    assert shapes[0] > 1.1 and shapes[1] < 0.9


def test_cracks_end_at_older_ones_and_younger_ones_are_finer() -> None:
    every = np.concatenate([paths.reshape(-1, 2) for paths, _ in runs(1)])
    joined = []
    for path in runs(1)[1].paths[:150]:
        if np.abs(path).max() < SIDE / 2 - 2:
            near = [(np.abs(every - end).max(axis=1) < 0.3).sum() for end in path[[0, -1]]]
            joined.append(min(near) > 1)  # of another than the end itself
    assert len(joined) > 60 and np.mean(joined) > 0.8
    shortest, longest = runs(1)[0], runs(1)[-1]
    assert np.median(longest.widths) > 1.2 * np.median(shortest.widths)


def test_windows_of_one_net_agree() -> None:
    whole = {path.tobytes() for paths, _ in runs(3) for path in paths}
    window = [path for paths, _ in runs(3, -4.0, 6.0) for path in paths]
    inside = [path for path in window if path.min() > -4 and path.max() < 6]
    assert len(inside) > 60
    assert np.mean([path.tobytes() in whole for path in inside]) == 1.0


def test_a_disk_ends_raggedly() -> None:
    limits = np.array([-30.0, -30.0]), np.array([30.0, 30.0])
    found = islands.net(10.0, limits, geometry.compass()[100], 5)
    middles = np.concatenate([paths.mean(axis=1) for paths, _ in found])
    away = np.hypot(*middles.T)
    assert np.mean(away < 12) > 0.95 and away.max() < 18
    inner, outer = (away < 7).sum() / 7**2, (away > 9).sum() / (12**2 - 9**2)
    assert outer < 0.7 * inner
