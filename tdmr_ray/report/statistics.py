"""Means, confidence intervals and comparisons over seeds."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Alternative = Literal["two-sided", "greater"]
CONFIDENCE = 0.95
MIN_SEEDS = 3
"""Number of seeds below which there is no interval, no p value and no significant difference."""
SAME = 1e-9
"""Range of values that are equal up to rounding."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its spread.

    Attributes:
        mean: Mean.
        sd: Standard deviation between seeds; None with one seed.
        low: Lower end of the 95 % confidence interval of the mean; None if the seeds do not allow one.
        high: Upper end of that interval; None if the seeds do not allow one.
        n: Number of seeds.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of independent values with its Student t interval.

    There is no interval with fewer than three values, or if all are equal: a variance of 0 says nothing.

    Raises:
        ValueError: If there are no values.
    """
    if not values:
        raise ValueError("needs at least one value, but got none")
    mean, n = float(np.mean(values)), len(values)
    sd = float(np.std(values, ddof=1)) if n > 1 else None
    if n < MIN_SEEDS or np.ptp(values) <= SAME:
        return Estimate(mean, sd, None, None, n)
    interval = _t_test(values).confidence_interval(CONFIDENCE)
    return Estimate(mean, sd, float(interval.low), float(interval.high), n)


def seed_differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return `ours` minus `theirs` for each seed in both."""
    return [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Estimate | None:
    """Estimate `ours` minus `theirs` over the seeds in both; None if there is no such seed."""
    differences = seed_differences(ours, theirs)
    return estimate(differences) if differences else None


def paired_p_value(
    ours: Mapping[int, float], theirs: Mapping[int, float], num_images: int | None = None
) -> float | None:
    """Return the p value of a two-sided t test paired by seed.

    Args:
        ours: Scores of one method by seed, in 0..1.
        theirs: Scores of the other.
        num_images: Number of images that each score counts; the p value is then at least what counting them allows.

    Returns:
        None with fewer than three seeds in common, or if all differences are equal and `num_images` is None.
    """
    differences = np.array(seed_differences(ours, theirs))
    p_value = _p_values(differences, num_images) if len(differences) else np.array(np.nan)
    return None if np.isnan(p_value) else float(p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for multiple comparisons: the family-wise error rate stays below the level.

    scipy has no such correction (`stats.false_discovery_control` bounds the false discovery rate instead).

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(1.0, np.maximum.accumulate(np.asarray(p_values)[order] * factors))
    return [float(adjusted[rank]) for rank in np.argsort(order)]


def not_significantly_beaten(scores: Sequence[Mapping[int, float]], num_images: int | None = None) -> list[bool]:
    """Return for each rival whether no other is significantly better; with 95 % confidence the best is among these.

    A rival is out if a one-sided t test, paired by seed and at level 0.05 / (rivals - 1), finds another rival better.
    The true best is out only if one of its rivals - 1 tests is wrong. Fewer than three seeds in common beat nobody.

    Args:
        scores: Scores of each rival by seed, in 0..1.
        num_images: Number of images that each score counts; a p value is then at least what counting them allows.
            Without it, differences that are equal for all seeds beat nobody.

    Source: Hsu 1981, "Simultaneous confidence intervals for all distances from the best", with Bonferroni's bound.
    """
    if not scores:
        return []
    seeds = sorted({seed for score in scores for seed in score})
    table = np.array([[score.get(seed, np.nan) for seed in seeds] for score in scores])
    leads = table[:, np.newaxis] - table[np.newaxis]  # [rival, other rival, seed]
    level = (1 - CONFIDENCE) / max(1, len(scores) - 1)
    beaten = np.any(_p_values(leads, num_images, alternative="greater") < level, axis=0)
    return [not each for each in beaten]


def _p_values(
    differences: NDArray[np.float64], num_images: int | None, *, alternative: Alternative = "two-sided"
) -> NDArray[np.float64]:
    """Return p values of a mean difference of 0 over the last axis; NaN where the seeds allow none.

    The least variance that counting allows: the mean difference d comes from d * N images that only one method has
    right, and no others. Two are added, one for each method, so that it is never 0.

    Args:
        differences: Differences by seed, [..., S]; NaN for a seed that is missing.
        num_images: Number of images N of each score; None if unknown.
        alternative: The alternative hypothesis.

    Source: Agresti and Min 2005, "Simple improved confidence intervals for comparing matched proportions".
    """
    known = np.isfinite(differences)
    counts = known.sum(axis=-1)
    totals = np.where(known, differences, 0.0).sum(axis=-1)
    means = totals / np.maximum(1, counts)
    ranges = np.where(known, np.abs(differences - means[..., np.newaxis]), 0.0).max(axis=-1)
    p_values = np.where(ranges > SAME, _t_test(differences, alternative=alternative).pvalue, np.nan)
    if num_images is not None:
        errors = np.sqrt((np.abs(means) + 2 / num_images) / (num_images * np.maximum(1, counts)))
        tails = stats.norm.sf(means / errors) if alternative == "greater" else 2 * stats.norm.sf(abs(means) / errors)
        p_values = np.fmax(p_values, tails)
    return np.where(counts < MIN_SEEDS, np.nan, p_values)


def _t_test(values: ArrayLike, *, alternative: Alternative = "two-sided") -> Any:
    """Test whether the mean over the last axis is 0, leaving out NaN.

    The p value is NaN with fewer than two values and where all are 0. scipy warns about both, and about values that
    are nearly equal. Seeds often agree here, so these warnings are suppressed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return stats.ttest_1samp(values, 0.0, axis=-1, nan_policy="omit", alternative=alternative)
