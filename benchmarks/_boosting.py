"""Two classifiers in numpy, and the area under the ROC curve: enough to ask whether two piles of
feature rows can be told apart."""

import numpy as np

Array = np.ndarray
BINS = 24


def auc(scores: Array, labels: Array) -> float:
    """Chance that a row of label 1 outscores one of label 0; ties count half."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    ones = int(labels.sum())
    zeros = len(labels) - ones
    return float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def boosted_trees(
    train: Array, labels: Array, weights: Array, test: Array, rng: np.random.Generator,
    rounds: int = 150, depth: int = 3, rate: float = 0.08,
) -> Array:  # fmt: skip
    """Log-odds of the rows of `test` after gradient boosting on the logistic loss.

    Histogram trees of full depth; each sees 60 % of the rows and 40 % of the features. Second order
    leaf values with an L2 penalty, as in Chen & Guestrin, "XGBoost" (2016).
    """
    cuts = np.quantile(train, np.linspace(0, 1, BINS + 1)[1:-1], axis=0)
    seen, unseen = (_binned(part, cuts) for part in (train, test))
    score, answer = np.zeros(len(train)), np.zeros(len(test))
    for _ in range(rounds):
        chance = 1 / (1 + np.exp(-score))
        used = weights * (rng.random(len(train)) < 0.6)
        features = rng.permutation(train.shape[1])[: max(1, int(train.shape[1] * 0.4))]
        leaf, test_leaf = np.zeros(len(train), int), np.zeros(len(test), int)
        gradient, curve = used * (labels - chance), used * chance * (1 - chance)
        for level in range(depth):
            which, cut = _best_splits(seen[:, features], leaf, gradient, curve, 1 << level)
            which = features[which]
            leaf = 2 * leaf + (seen[np.arange(len(seen)), which[leaf]] > cut[leaf])
            test_leaf = 2 * test_leaf + (
                unseen[np.arange(len(unseen)), which[test_leaf]] > cut[test_leaf]
            )
        top = np.bincount(leaf, gradient, 1 << depth)
        bottom = np.bincount(leaf, curve, 1 << depth)
        values = rate * top / (bottom + 1.0)
        score += values[leaf]
        answer += values[test_leaf]
    return answer


def _binned(rows: Array, cuts: Array) -> Array:
    columns = [np.searchsorted(cuts[:, place], rows[:, place]) for place in range(rows.shape[1])]
    return np.stack(columns, axis=1)


def _best_splits(
    rows: Array, leaf: Array, gradient: Array, curve: Array, leaves: int
) -> tuple[Array, Array]:
    """For each leaf the feature and the bin after which to split."""
    features = rows.shape[1]
    index = ((leaf[:, None] * features + np.arange(features)) * BINS + rows).ravel()
    shape = (leaves, features, BINS)
    size = leaves * features * BINS
    top = np.bincount(index, np.repeat(gradient, features), size).reshape(shape).cumsum(axis=2)
    bottom = np.bincount(index, np.repeat(curve, features), size).reshape(shape).cumsum(axis=2)
    gain = top**2 / (bottom + 1.0)
    gain += (top[:, :, -1:] - top) ** 2 / (bottom[:, :, -1:] - bottom + 1.0)
    best = gain.reshape(leaves, -1).argmax(axis=1)
    return best // BINS, best % BINS


def quadratic_logistic(
    train: Array, labels: Array, weights: Array, test: Array, rng: np.random.Generator,
    penalty: float = 3.0,
) -> Array:  # fmt: skip
    """Log-odds by logistic regression on standardised features, their squares and 300 products of
    two of them, with an L2 penalty; Newton's method."""
    middle, spread = train.mean(axis=0), train.std(axis=0) + 1e-9
    pairs = rng.integers(0, train.shape[1], (300, 2))

    def lifted(rows: Array) -> Array:
        plain = np.clip((rows - middle) / spread, -4, 4)
        products = plain[:, pairs[:, 0]] * plain[:, pairs[:, 1]]
        return np.concatenate([plain, plain**2 / 2, products / 2, np.ones((len(rows), 1))], axis=1)

    inside = lifted(train)
    scale = weights / weights.mean()
    slope = np.zeros(inside.shape[1])
    ridge = np.full(len(slope), penalty * 10)
    for _ in range(8):
        chance = 1 / (1 + np.exp(-np.clip(inside @ slope, -30, 30)))
        pull = inside.T @ (scale * (labels - chance)) - ridge * slope
        bend = (inside * (scale * chance * (1 - chance) + 1e-6)[:, None]).T @ inside
        slope += np.linalg.solve(bend + np.diag(ridge), pull)
    return lifted(test) @ slope
