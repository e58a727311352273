"""Means, intervals and paired differences over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its spread.

    Attributes:
        mean: Over seeds.
        sd: Standard deviation between seeds; None with one seed.
        low: Lower end of the 95 % confidence interval of the mean; None with one seed.
        high: Upper end.
        n: Number of seeds.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Mean and Student's t interval of values that are independent but for the data.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("needs at least one value, but got none")
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return Estimate(mean, None, None, None, n)
    sd = float(np.std(values, ddof=1))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sd / n**0.5
    return Estimate(mean, sd, mean - half, mean + half, n)


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """Ours minus theirs over the seeds that both have; None if there is none."""
    shared = sorted(ours.keys() & theirs.keys())
    return estimate([ours[seed] - theirs[seed] for seed in shared]) if shared else None
