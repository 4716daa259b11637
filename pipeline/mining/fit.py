"""Ridge regression of errors with an intercept of each photo's own, and how sure its coefficients
are.

Photos differ more than damage does, so every photo has a random intercept: `rho`, the ratio of
variances between and within photos, is estimated by ANOVA moments, and rows are quasi-demeaned by
it, which turns the model into an ordinary one (Fuller, Battese 1974, "Estimation of linear models
with crossed-error structure"). The penalty is chosen by cross-validation over photos. A ridge
shrinks what it estimates; intervals around that would miss the truth, so the first order of its
bias is added back (the almost unbiased ridge: Singh, Chaubey, Dwivedi 1986): a coefficient that the
ridge takes a tenth of keeps 99 in 100. For intervals, whole photos are resampled and the model is
fitted again, with the same penalty and `rho`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.seeds import rng
from pipeline.statistics import Bootstrap, Floats

PENALTIES = 10.0 ** np.arange(-4, -0.5, 0.5)  # of a standardised column, a sample
DEFAULT_PENALTY = 0.1  # where there are too few photos to choose one
FOLDS = 10
ROUNDS = 3  # between coefficients and `rho`, which need each other
BLOCK = 2**21  # numbers of the replicates' matrices that are in memory at once
TINY = 1e-9


class Table(NamedTuple):
    """Samples × columns. `places`: the photo of each sample, counted from 0; `free` columns are not
    penalised (an intercept first), `bound` ones are."""

    places: NDArray[np.intp]
    free: Floats
    bound: Floats

    @property
    def both(self) -> Floats:
        """All columns, free ones first."""
        return np.hstack([self.free, self.bound])

    @property
    def num_photos(self) -> int:
        """How many photos there are."""
        return int(self.places.max()) + 1


@dataclass(frozen=True)
class Fit:
    """`beta` of the bound columns and `replicates` × columns of it; `r2`: the share of the variance
    between samples of unseen photos that is foretold (cross-validated), None with one photo;
    `photo_share`: of what columns do not explain, the share that a photo's samples have in
    common."""

    beta: Floats
    replicates: Floats
    penalty: float
    r2: float | None
    photo_share: float


def fit(table: Table, errors: Floats, seed: int, draws: Floats | None = None) -> Fit:
    """Fit the errors of samples; `draws`: replicates × photos, how often each drew each photo."""
    scale = table.bound.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    table = table._replace(bound=table.bound / scale)
    penalty, rho = DEFAULT_PENALTY, 0.0
    for _ in range(ROUNDS):
        penalty = _choose(table, errors, rho, seed)
        (beta,) = _solve(table, errors, rho, penalty)
        rho = _variances(table.places, errors - table.both @ beta)
    (beta,) = _solve(table, errors, rho, penalty)
    first = table.free.shape[1]
    drawn = np.empty((0, len(scale)))
    if draws is not None:
        drawn = _replicates(table, errors, rho, penalty, draws)[:, first:]
    r2 = _explained(table, errors, rho, penalty, seed)
    return Fit(beta[first:] / scale, drawn / scale, penalty, r2, rho / (1 + rho))


def draws_of(photos: list[str], seed: int) -> Floats | None:
    """Replicates × photos (sorted by name); None with one photo, which tells nothing of others."""
    return Bootstrap(photos, seed).draws.astype(np.float64) if len(set(photos)) > 1 else None


def _whiten(places: NDArray[np.intp], values: Floats, rho: float) -> Floats:
    """Rows less a part of their photo's mean: all of it where photos differ much."""
    counts = np.bincount(places)
    part = 1 - np.sqrt(1 / (1 + counts * rho))
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, places, values)
    return values - ((part / np.maximum(counts, 1))[:, None] * sums)[places]


def _penalties(table: Table, penalty: float, count: float) -> Floats:
    """The diagonal that is added for `count` samples."""
    free, bound = table.free.shape[1], table.bound.shape[1]
    return np.array([TINY * count] * free + [(penalty + TINY) * count] * bound)


def _solve(table: Table, errors: Floats, rho: float, *penalties: float) -> list[Floats]:
    """The coefficients under each penalty."""
    whole = _whiten(table.places, np.column_stack([table.both, errors]), rho)
    gram = whole.T @ whole
    counts = np.full(len(penalties), len(errors))
    diagonals = [_penalties(table, *one) for one in zip(penalties, counts, strict=True)]
    return list(_ridge(np.broadcast_to(gram, (len(penalties), *gram.shape)), np.stack(diagonals)))


def _ridge(grams: Floats, diagonals: Floats) -> Floats:
    """Almost unbiased ridge coefficients: stacked Gram matrices, errors last, and the diagonals
    that are added → stacked coefficients."""
    left = grams[:, :-1, :-1] + diagonals[:, :, None] * np.eye(diagonals.shape[1])
    first = np.linalg.solve(left, grams[:, :-1, -1:])
    bias = np.linalg.solve(left, diagonals[:, :, None] * first)
    return np.asarray((first + bias)[:, :, 0])


def _replicates(table: Table, errors: Floats, rho: float, penalty: float, draws: Floats) -> Floats:
    """The coefficients of every resampling, out of sums that each photo brings once."""
    whole = _whiten(table.places, np.column_stack([table.both, errors]), rho)
    width, counts = whole.shape[1], np.bincount(table.places)
    sums = np.zeros((len(counts), width, width))
    for place in range(len(counts)):
        own = whole[table.places == place]
        sums[place] = own.T @ own
    step, found = max(1, BLOCK // width**2), []
    for start in range(0, len(draws), step):
        drawn = draws[start : start + step]
        grams = np.tensordot(drawn, sums, axes=1)
        diagonal = np.stack([_penalties(table, penalty, count) for count in drawn @ counts])
        found.append(_ridge(grams, diagonal))
    return np.concatenate(found)


def _variances(places: NDArray[np.intp], rest: Floats) -> float:
    """The variance between photos by that within them, of what the columns leave (one-way ANOVA's
    moments); 0 where it cannot be told."""
    counts, total = np.bincount(places), len(rest)
    photos = len(counts)
    if photos < 2 or total <= photos:
        return 0.0
    means = np.bincount(places, weights=rest) / counts
    within = ((rest - means[places]) ** 2).sum() / (total - photos)
    between = (counts * (means - rest.mean()) ** 2).sum() / (photos - 1)
    size = (total - (counts**2).sum() / total) / (photos - 1)
    return float(max(0.0, (between - within) / size) / max(within, TINY))


def _folds(table: Table, seed: int) -> list[NDArray[np.bool_]]:
    """Which samples are held out in turn: whole photos."""
    count = table.num_photos
    dealt = rng(seed, "mining", "folds").permutation(count) % min(count, FOLDS)
    return [dealt[table.places] == fold for fold in range(min(count, FOLDS))] if count > 1 else []


def _part(table: Table, chosen: NDArray[np.bool_]) -> Table:
    _, places = np.unique(table.places[chosen], return_inverse=True)
    return Table(places, table.free[chosen], table.bound[chosen])


def _choose(table: Table, errors: Floats, rho: float, seed: int) -> float:
    """The penalty that foretells photos held out best, their own intercepts apart."""
    folds = _folds(table, seed)
    if not folds or not table.bound.shape[1]:
        return DEFAULT_PENALTY
    losses = np.zeros(len(PENALTIES))
    for held in folds:
        kept, own = _part(table, ~held), _part(table, held)
        for number, beta in enumerate(_solve(kept, errors[~held], rho, *PENALTIES)):
            rest = errors[held] - own.both @ beta
            losses[number] += (_whiten(own.places, rest[:, None], rho) ** 2).sum()
    return float(PENALTIES[int(losses.argmin())])


def _explained(table: Table, errors: Floats, rho: float, penalty: float, seed: int) -> float | None:
    """Cross-validated R² over photos that the model never saw: nothing is known of their
    intercepts."""
    rest = total = 0.0
    for held in _folds(table, seed):
        (beta,) = _solve(_part(table, ~held), errors[~held], rho, penalty)
        rest += float(((errors[held] - table.both[held] @ beta) ** 2).sum())
        total += float(((errors[held] - errors[~held].mean()) ** 2).sum())
    return 1 - rest / total if total else None
