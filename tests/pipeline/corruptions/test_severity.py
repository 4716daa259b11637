"""Every damage family does as much damage as it is asked for, from none to its worst."""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pipeline import seeds
from pipeline.corruptions import CORRUPTIONS
from tests.pipeline.corruptions.conftest import FAMILIES, mse, owes, real_photos

SEVERITIES = (0.0, 0.25, 0.5, 0.75, 1.0)
NUM_SEEDS = 200

each_family = pytest.mark.parametrize("name", FAMILIES)


@cache
def damage_at(name: str, bank: Path, severity: float) -> tuple[list[float], float]:
    """Severities of 200 draws, each for a whole photo, and the mean squared error that they do."""
    corruption, photos = CORRUPTIONS[name].at(severity).bind(bank), real_photos(96)
    found, total = [], 0.0
    for number in range(NUM_SEEDS):
        photo = photos[number % len(photos)]
        drawn = corruption.draw(photo.shape[:2], seeds.rng(7, name, number))
        found.append(corruption.severity(drawn))
        total += mse(photo, owes(corruption, photo, drawn)[0])
    return found, total / NUM_SEEDS


@each_family
def test_no_severity_changes_nothing(name: str, bank: Path) -> None:
    found, error = damage_at(name, bank, 0.0)
    assert set(found) == {0.0} and error == 0.0
    corruption, photo = CORRUPTIONS[name].at(0.0).bind(bank), real_photos(96)[0]
    for number in range(5):
        drawn = corruption.draw((*photo.shape[:2], 400), seeds.rng(7, name, number))
        out, mask = corruption.apply(photo, drawn)
        np.testing.assert_array_equal(out, photo)
        assert not mask.any()


@pytest.mark.parametrize("severity", SEVERITIES)
@each_family
def test_every_draw_has_about_the_severity_asked_for(
    name: str, severity: float, bank: Path
) -> None:
    found, _ = damage_at(name, bank, severity)
    assert max(abs(one - severity) for one in found) <= 0.12
    assert min(found) >= 0 and max(found) <= 1


@each_family
def test_more_severity_is_more_damage(name: str, bank: Path) -> None:
    errors = [damage_at(name, bank, severity)[1] for severity in SEVERITIES]
    assert all(math.isfinite(error) for error in errors)
    assert errors == sorted(set(errors)), errors
    assert errors[-1] > 2
