"""The regression behind a ranking, against numbers worked out in other ways."""

import numpy as np
import pytest

from pipeline.mining.fit import Table, draws_of, fit
from pipeline.seeds import rng


def made(photos: int = 30, each: int = 10, between: float = 3.0) -> tuple[Table, np.ndarray]:
    """Two columns of coefficients 2 and −1, photos that differ, noise of 1."""
    dice, total = rng(3, "fit"), photos * each
    places = np.repeat(np.arange(photos), each)
    bound = dice.normal(size=(total, 2)) * [1.0, 5.0]
    errors = bound @ [2.0, -1.0] + dice.normal(size=total) + 7
    errors += dice.normal(0, between, photos)[places]
    return Table(places, np.ones((total, 1)), bound), errors


def test_it_agrees_with_least_squares_on_demeaned_rows() -> None:
    table, errors = made()
    means = np.stack([table.bound[table.places == n].mean(axis=0) for n in range(30)])
    answers = np.array([errors[table.places == n].mean() for n in range(30)])
    wanted = np.linalg.lstsq(
        table.bound - means[table.places], errors - answers[table.places], rcond=None
    )[0]
    found = fit(table, errors, 7)
    assert found.beta == pytest.approx(wanted, abs=0.02)
    assert found.beta == pytest.approx([2, -1], abs=0.15)
    assert found.photo_share == pytest.approx(0.9, abs=0.05)
    assert found.replicates.shape == (0, 2)


def test_without_differences_between_photos_it_is_plain_least_squares() -> None:
    table, errors = made(between=0.0)
    wanted = np.linalg.lstsq(table.both, errors, rcond=None)[0]
    found = fit(table, errors, 7)
    assert found.beta == pytest.approx(wanted[1:], abs=0.02) and found.photo_share < 0.05
    assert found.r2 == pytest.approx(1 - 1 / errors.var(), abs=0.02)


def test_a_constant_more_for_a_photo_changes_nothing() -> None:
    table, errors = made(photos=8)
    moved = errors + 100 * rng(1, "move").normal(size=8)[table.places]
    assert fit(table, moved, 7).beta == pytest.approx(fit(table, errors, 7).beta, abs=0.03)


def test_replicates_spread_as_fresh_samples_do() -> None:
    table, errors = made()
    draws = draws_of([f"{place:03d}" for place in table.places], 7)
    found = fit(table, errors, 7, draws)
    assert found.replicates.shape == (len(draws), 2)
    assert found.replicates.mean(axis=0) == pytest.approx(found.beta, abs=0.02)
    wanted = 1 / np.sqrt(270) / table.bound.std(axis=0)  # noise of 1, 300 samples less 30 means
    assert found.replicates.std(axis=0) == pytest.approx(wanted, rel=0.3)


def test_a_replicate_is_a_fit_to_the_photos_it_drew() -> None:
    table, errors = made(photos=12)
    once = np.ones((1, 12))
    assert fit(table, errors, 7, once).replicates[0] == pytest.approx(fit(table, errors, 7).beta)
    twice = fit(table, errors, 7, 2 * once).replicates[0]
    assert twice == pytest.approx(fit(table, errors, 7).beta)


def test_one_photo_has_no_replicates() -> None:
    assert draws_of(["a", "a"], 7) is None
    table, errors = made(photos=1, each=40)
    found = fit(table, errors, 7)
    assert found.r2 is None and found.photo_share == 0
    assert found.beta == pytest.approx([2, -1], abs=0.4)
