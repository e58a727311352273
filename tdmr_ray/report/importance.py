"""Importance of the searched parameters for the objective, and its uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from tdmr_ray.records import TrialRecord

MIN_TRIALS, MAX_TRIALS = 8, 1000
RESAMPLED = 10
NUM_TREES = 32


@dataclass(frozen=True)
class Importance:
    """Share of a parameter in the importance of all; mean and standard deviation over resampled trials.

    Attributes:
        name: Parameter.
        mean: Mean share, in 0..1; the shares of all parameters add up to 1.
        sd: Standard deviation of the share.
    """

    name: str
    mean: float
    sd: float


def importances_of(records: Sequence[TrialRecord]) -> list[Importance]:
    """Rank the searched parameters by importance; empty with fewer than `MIN_TRIALS` trials or if nothing varied.

    A random forest predicts the best score on val from the searched values. Its impurity importance is averaged
    over resampled trials; with few trials, the standard deviation is large.

    Source: Breiman 2001, "Random forests"; for hyperparameters Hutter et al. 2014 (fANOVA).
    """
    shown = [record for record in records if record.phase == "search" and record.curve][-MAX_TRIALS:]
    names = list(dict.fromkeys(name for record in shown for name in record.values))
    if len(shown) < MIN_TRIALS or not names:
        return []
    values = np.stack([_as_numbers([record.values.get(name) for record in shown]) for name in names], axis=1)
    scores = np.array([max(record.curve) for record in shown])
    if np.ptp(scores) == 0:
        return []
    rng = np.random.default_rng(0)
    shares = []
    for seed in range(RESAMPLED):
        drawn = rng.integers(0, len(scores), len(scores))
        forest = RandomForestRegressor(NUM_TREES, min_samples_leaf=2, random_state=seed)
        shares.append(forest.fit(values[drawn], scores[drawn]).feature_importances_)
    means, deviations = np.mean(shares, axis=0), np.std(shares, axis=0, ddof=1)
    found = [Importance(name, float(mean), float(sd)) for name, mean, sd in zip(names, means, deviations, strict=True)]
    return sorted(found, key=lambda each: -each.mean)


def _as_numbers(values: list[Any]) -> NDArray[np.float64]:
    """Encode values as numbers, texts by alphabetical order; a value that was not searched lies below all others."""
    if all(isinstance(value, int | float) for value in values if value is not None):
        known = [value for value in values if value is not None]
        missing = min(known, default=0) - 1
        return np.array([missing if value is None else value for value in values], dtype=np.float64)
    labels = sorted({str(value) for value in values if value is not None})
    return np.array([-1 if value is None else labels.index(str(value)) for value in values], dtype=np.float64)
