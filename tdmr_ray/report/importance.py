"""Which parameters moved accuracy, and how sure that is."""

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
    """A parameter's share of the differences that all explain together; mean and standard deviation over resamples."""

    name: str
    mean: float
    sd: float


def importances_of(records: Sequence[TrialRecord]) -> list[Importance]:
    """The parameters of some trials by importance; empty with fewer than `MIN_TRIALS` or if nothing varied.

    Impurity importance of a random forest from the searched values to the best accuracy on val, of resampled trials:
    with few trials the standard deviation is large, and says so.

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
    """Numbers as they are, others by their place in the alphabet; what was not searched stands apart, below all."""
    if all(isinstance(value, int | float) for value in values if value is not None):
        known = [value for value in values if value is not None]
        apart = min(known, default=0) - 1
        return np.array([apart if value is None else value for value in values], dtype=np.float64)
    labels = sorted({str(value) for value in values if value is not None})
    return np.array([-1 if value is None else labels.index(str(value)) for value in values], dtype=np.float64)
