"""Importance of the searched parameters for the objective, as far as the trials show any."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeRegressor

from tdmr_ray.records import TrialRecord
from tdmr_ray.space import Value

MIN_TRIALS, MAX_TRIALS = 8, 1000
NUM_TREES, MIN_LEAF = 24, 2
TREE_TRIALS, CHECKED_TRIALS = 100, 256
"""Most trials that a tree is fitted on, and that predictions are compared with; both limit the time."""
PERMUTED = 19
"""Number of permutations of the scores; a forest that is better than with each of them is so by chance in 1 of 20."""
HALVES = 8


@dataclass(frozen=True)
class Importance:
    """Share of the variance of accuracy between trials that depends on a parameter.

    Attributes:
        name: Parameter.
        mean: Share in 0..1 that predictions for other trials lose without the parameter; shares need not add up to 1.
        sd: Standard deviation of the share over random halves of the trials.
    """

    name: str
    mean: float
    sd: float


@dataclass(frozen=True)
class Table:
    """Searched values as numbers.

    Attributes:
        values: [N, D], float32; a parameter has one column if its values are numbers, else one for each value.
        columns: Columns of each parameter.
        known: Whether a trial searched a parameter, [N, parameters].
    """

    values: NDArray[np.float32]
    columns: dict[str, list[int]]
    known: NDArray[np.bool_]

    def rows(self, indices: NDArray[np.intp]) -> "Table":
        """Return the table of some trials."""
        return Table(self.values[indices], self.columns, self.known[indices])


@dataclass(frozen=True)
class Fit:
    """A forest's predictions for trials that its trees were not trained on.

    Attributes:
        r2: Share of the variance that they explain; below 0 if the mean of all trials predicts better.
        shares: Share of the variance that depends on each parameter, [parameters]; about 0 without an effect.
    """

    r2: float
    shares: NDArray[np.float64]


def importances_of(records: Sequence[TrialRecord]) -> list[Importance]:
    """Rank the parameters that evidently matter; empty with fewer than `MIN_TRIALS` trials or if nothing was learned.

    A random forest predicts the best score on val. Each trial is predicted by the trees that have not seen it. The
    forest must explain more than it does for each of `PERMUTED` permutations of the scores, and so must each
    parameter that is shown. A parameter's share is half of what the squared error gains when its values are permuted
    among the trials that searched it, relative to the variance, less the mean for permuted scores.

    Source: Breiman 2001, "Random forests"; Jansen 1999 (the half makes it the total effect of Sobol); Altmann et al.
    2010, "Permutation importance: a corrected feature importance measure".
    """
    shown = [record for record in records if record.phase == "search" and record.curve][-MAX_TRIALS:]
    if len(shown) < MIN_TRIALS:
        return []
    scores = np.array([max(record.curve) for record in shown])
    table = encode([record.values for record in shown])
    if not table.columns or np.ptp(scores) == 0:
        return []
    rng = np.random.default_rng(0)
    fit = fit_forest(table, scores, rng)
    if fit.r2 <= 0:
        return []
    chance = []
    for _ in range(PERMUTED):
        chance.append(fit_forest(table, rng.permutation(scores), rng))
        if chance[-1].r2 >= fit.r2:
            return []
    by_chance = np.stack([each.shares for each in chance])
    shares = np.clip(fit.shares - by_chance.mean(axis=0), 0, 1)
    deviations = _spread_over_halves(table, scores, rng)
    found = [
        Importance(name, float(shares[index]), float(deviations[index]))
        for index, name in enumerate(table.columns)
        if fit.shares[index] > max(0.0, by_chance[:, index].max())
    ]
    return sorted(found, key=lambda each: -each.mean)


def encode(trials: Sequence[dict[str, Value]]) -> Table:
    """Encode the values of trials, without the parameters that have one value.

    A conditional parameter has its median or most frequent value where it was not searched, so that it does not stand
    for the parameter that it depends on.
    """
    parts, columns, known = [], {}, []
    width = 0
    for name in dict.fromkeys(name for values in trials for name in values):
        searched = np.array([values.get(name) is not None for values in trials])
        numbers = _as_columns([values.get(name) for values in trials])
        if np.ptp(numbers, axis=0).max(initial=0) == 0:
            continue
        parts.append(numbers)
        known.append(searched)
        columns[name] = list(range(width, width + numbers.shape[1]))
        width += numbers.shape[1]
    if not parts:
        return Table(np.zeros((len(trials), 0), np.float32), {}, np.zeros((len(trials), 0), np.bool_))
    return Table(np.concatenate(parts, axis=1), columns, np.stack(known, axis=1))


def fit_forest(table: Table, scores: NDArray[np.float64], rng: np.random.Generator) -> Fit:
    """Fit a forest on resampled trials and predict each trial with the trees that have not seen it.

    The trees are fitted one by one, since scikit-learn's forest predicts no permuted values out of bag.
    """
    trials, size = len(scores), min(len(scores), TREE_TRIALS)
    checked = rng.permutation(trials)[:CHECKED_TRIALS]
    variants = np.concatenate(
        [table.values[checked], *(_permuted(table, name, checked, rng) for name in table.columns)]
    )
    sums, counts = np.zeros((1 + len(table.columns), len(checked))), np.zeros(len(checked))
    for seed in rng.integers(0, 2**31, NUM_TREES):
        drawn = rng.integers(0, trials, size)
        unseen = np.bincount(drawn, minlength=trials)[checked] == 0
        tree = DecisionTreeRegressor(min_samples_leaf=MIN_LEAF, random_state=int(seed))
        tree.fit(table.values[drawn], scores[drawn], check_input=False)
        sums += unseen * tree.predict(variants, check_input=False).reshape(len(sums), -1)
        counts += unseen
    predicted = counts > 0
    actual = scores[checked][predicted]
    variance = actual.var() if predicted.any() else 0.0
    if variance == 0:
        return Fit(0.0, np.zeros(len(table.columns)))
    errors = np.mean((sums[:, predicted] / counts[predicted] - actual) ** 2, axis=1) / variance
    return Fit(float(1 - errors[0]), (errors[1:] - errors[0]) / 2)


def _permuted(table: Table, name: str, rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return some trials with a parameter's values permuted among those that searched it."""
    values = table.values[rows].copy()
    searched = np.flatnonzero(table.known[rows, list(table.columns).index(name)])
    columns = table.columns[name]
    values[searched[:, np.newaxis], columns] = values[rng.permutation(searched)[:, np.newaxis], columns]
    return values


def _spread_over_halves(table: Table, scores: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the standard deviation of each share over random halves of the trials, [parameters].

    Halves of N independent values, drawn without replacement, have means that differ as those of N values do.
    """
    halves = [rng.permutation(len(scores))[: len(scores) // 2] for _ in range(HALVES)]
    shares = np.stack([fit_forest(table.rows(half), scores[half], rng).shares for half in halves])
    return np.asarray(shares.std(axis=0, ddof=1))


def _as_columns(values: list[Value | None]) -> NDArray[np.float32]:
    """Encode a parameter's values: one column of numbers, or one column of 0 and 1 for each other value."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float32)
        return np.where(np.isnan(numbers), np.nanmedian(numbers), numbers)[:, np.newaxis]
    labels = [None if value is None else str(value) for value in values]
    kinds = sorted(set(labels) - {None}, key=str)
    most = max(kinds, key=labels.count)
    return np.array([[(label or most) == kind for kind in kinds] for label in labels], dtype=np.float32)
