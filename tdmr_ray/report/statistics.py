"""Means, intervals and comparisons over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

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
    half = _t((1 + CONFIDENCE) / 2, n) * sd / n**0.5
    return Estimate(mean, sd, mean - half, mean + half, n)


def seed_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Ours minus theirs for each seed that both have."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """Ours minus theirs over the seeds that both have; None if there is none."""
    differences = seed_differences(ours, theirs)
    return estimate(differences) if differences else None


def paired_p_value(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Of a two-sided t test on the differences by seed; None with fewer than two seeds in common."""
    differences = seed_differences(ours, theirs)
    if len(differences) < 2:
        return None
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 0.0
    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for being several: of true null hypotheses, one below 0.05 comes in 5 % of all reports.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(adjusted[place]) for place in np.argsort(order)]


def not_significantly_beaten(scores: Sequence[Mapping[int, float]]) -> list[bool]:
    """For each of several rivals, whether no other is surely better: with 95 % confidence the best is among these.

    A rival is out if the lower end of a one-sided t interval of another's lead over it, paired by seed and at level
    0.05 / (rivals - 1), is above 0. The truly best is out only if one of rivals - 1 such intervals misses.

    Args:
        scores: Of each rival, by seed.

    Source: Hsu 1981, "Simultaneous confidence intervals for all distances from the best", with Bonferroni's bound.
    """
    level = 1 - (1 - CONFIDENCE) / max(1, len(scores) - 1)
    return [
        not any(_significantly_leads(other, own, level) for place, other in enumerate(scores) if place != index)
        for index, own in enumerate(scores)
    ]


def _significantly_leads(ours: Mapping[int, float], theirs: Mapping[int, float], level: float) -> bool:
    lead = seed_differences(ours, theirs)
    if len(lead) < 2:
        return False
    half = _t(level, len(lead)) * float(np.std(lead, ddof=1)) / len(lead) ** 0.5
    return bool(np.mean(lead) > half)


@cache
def _t(level: float, n: int) -> float:
    """Student's t quantile for the mean of n values."""
    return float(stats.t.ppf(level, n - 1))
