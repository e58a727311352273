"""Means, confidence intervals and comparisons over seeds."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its spread.

    Attributes:
        mean: Mean.
        sd: Standard deviation between seeds; None with one seed.
        low: Lower end of the 95 % confidence interval of the mean; None with one seed.
        high: Upper end of that interval; None with one seed.
        n: Number of seeds.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values with its Student t interval.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("needs at least one value, but got none")
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return Estimate(mean, None, None, None, n)
    sd = float(np.std(values, ddof=1))
    if np.ptp(values) == 0:
        return Estimate(mean, sd, mean, mean, n)
    interval = _t_test(values).confidence_interval(CONFIDENCE)
    return Estimate(mean, sd, float(interval.low), float(interval.high), n)


def seed_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return `ours` minus `theirs` for each seed in both."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """Estimate `ours` minus `theirs` over the seeds in both; None if there is no such seed."""
    differences = seed_differences(ours, theirs)
    return estimate(differences) if differences else None


def paired_p_value(ours: Mapping[int, float], theirs: Mapping[int, float]) -> float | None:
    """Return the p value of a two-sided t test paired by seed; None with fewer than two seeds in common."""
    differences = seed_differences(ours, theirs)
    if len(differences) < 2:
        return None
    if np.ptp(differences) == 0:
        return 1.0 if differences[0] == 0 else 0.0
    return float(_t_test(differences).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for multiple comparisons: the family-wise error rate stays below the level.

    scipy has no such correction (`stats.false_discovery_control` bounds the false discovery rate instead).

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(adjusted[rank]) for rank in np.argsort(order)]


def not_significantly_beaten(scores: Sequence[Mapping[int, float]]) -> list[bool]:
    """Return for each rival whether no other is significantly better; with 95 % confidence the best is among these.

    A rival is out if a one-sided t test, paired by seed and at level 0.05 / (rivals - 1), finds another rival better.
    The true best is out only if one of its rivals - 1 tests is wrong.

    Args:
        scores: Scores of each rival by seed.

    Source: Hsu 1981, "Simultaneous confidence intervals for all distances from the best", with Bonferroni's bound.
    """
    if not scores:
        return []
    seeds = sorted({seed for score in scores for seed in score})
    table = np.array([[score.get(seed, np.nan) for seed in seeds] for score in scores])
    leads = table[:, np.newaxis] - table[np.newaxis]  # [rival, other rival, seed]
    level = (1 - CONFIDENCE) / max(1, len(scores) - 1)
    beaten = np.any(_t_test(leads, alternative="greater").pvalue < level, axis=0)
    return [not each for each in beaten]


def _t_test(values: ArrayLike, *, alternative: Literal["two-sided", "greater"] = "two-sided") -> Any:
    """Test whether the mean over the last axis is 0, leaving out NaN.

    The p value is NaN with fewer than two values and where all are 0. scipy warns about both, and about values that
    are nearly equal. Seeds often agree here, so these warnings are suppressed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ttest_1samp(values, 0.0, axis=-1, nan_policy="omit", alternative=alternative)
