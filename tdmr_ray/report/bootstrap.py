"""Accuracies and gains with intervals that resample seeds and test images together.

Seeds and test images are crossed: each seed is tested on the same images. A bootstrap that resamples both has a
variance in closed form for a mean, so nothing is drawn. With S seeds and N images, it is the variance between seeds
divided by S, plus the variance between images divided by N, less their interaction, which both contain. Two
corrections make it hold for few seeds and for few errors, where percentiles of resampled means are too narrow:

- The variance between seeds is never below the interaction, which counting finitely many images causes alone.
  Quantiles are Student's, with Satterthwaite's degrees of freedom.
- Four images are added: two that all seeds have right and two that all have wrong; for a gain, one that only ours have
  right and one that only theirs do. The variance is never 0.

`benchmarks/interval_coverage.py` simulates coverage and false positives. Images count as independent; near-identical
test images make the intervals too narrow.

Sources: Owen 2007, "The pigeonhole bootstrap"; Satterthwaite 1946; Agresti and Coull 1998; Agresti and Min 2005.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tdmr_ray.report.statistics import CONFIDENCE, MIN_SEEDS, Estimate

Right = Mapping[int, NDArray[np.bool_]]
"""For each seed, whether each test image is right, [N]; all seeds and methods share the images and their order."""
Weights = NDArray[np.float64]
"""Weight of each test image, [N]; they add up to 1. For balanced accuracy, 1 / (classes * images of the class)."""

ADDED_TO_ACCURACY = (0.0, 0.0, 1.0, 1.0)
ADDED_TO_GAIN = (-1.0, 1.0)


@dataclass(frozen=True)
class SmoothedMean:
    """Mean over seeds and images, the added images included.

    Attributes:
        mean: Smoothed mean.
        error: Its standard error, greater than 0.
        degrees: Degrees of freedom of the standard error.
    """

    mean: float
    error: float
    degrees: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval."""
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, self.degrees)) * self.error
        return self.mean - half, self.mean + half

    @property
    def p_value(self) -> float:
        """The two-sided p value of a mean of 0; below 0.05 if and only if the interval leaves out 0."""
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.degrees))


def accuracy_estimate(right: Right, weights: Weights | None = None) -> Estimate:
    """Estimate the accuracy of a method; without an interval with fewer than three seeds.

    Args:
        right: Results of the method.
        weights: Weights of the images; None if all are equal.

    Raises:
        ValueError: If there is no seed or no image, or if shapes or weights do not fit.
    """
    return _estimate(_table(right, sorted(right)), weights, ADDED_TO_ACCURACY)


def gain_estimate(ours: Right, theirs: Right, weights: Weights | None = None) -> Estimate | None:
    """Estimate the accuracy of `ours` minus `theirs`, paired by seed and image; None if no seed is in both.

    Args:
        ours: Results of one method.
        theirs: Results of the other on the same images.
        weights: Weights of the images; None if all are equal.

    Raises:
        ValueError: If there is no image, or if shapes or weights do not fit.
    """
    table = _differences(ours, theirs)
    return None if table is None else _estimate(table, weights, ADDED_TO_GAIN)


def gain_p_value(ours: Right, theirs: Right, weights: Weights | None = None) -> float | None:
    """Return the two-sided p value of the gain; None with fewer than three seeds in common.

    It is below 0.05 if and only if the interval of `gain_estimate` leaves out 0.
    """
    table = _differences(ours, theirs)
    if table is None or len(table) < MIN_SEEDS:
        return None
    return smoothed_mean(table, _checked_weights(table, weights), ADDED_TO_GAIN).p_value


def smoothed_mean(table: NDArray[np.float64], weights: Weights, added: tuple[float, ...]) -> SmoothedMean:
    """Return the mean of a table and the bootstrap's standard error over seeds and images.

    Args:
        table: Value of each seed and image, [S, N] with at least two seeds.
        weights: Weight of each image, [N].
        added: Values of the images that are added, each with the weight of an average image.
    """
    seeds = len(table)
    constant = np.broadcast_to(np.asarray(added), (seeds, len(added)))
    values = np.concatenate([table, constant], axis=1)
    all_weights = np.append(weights, np.full(len(added), np.sum(weights**2)))
    all_weights /= all_weights.sum()
    squared = all_weights**2
    images = 1 / squared.sum()  # as many images of equal weight have the same variance
    of_seeds, of_images = values @ all_weights, values.mean(axis=0)
    mean = of_seeds.mean()
    residuals = values - of_seeds[:, np.newaxis] - of_images + mean
    correction = images / (images - 1)
    between_seeds = of_seeds.var(ddof=1) / seeds
    between_images = correction * squared @ (of_images - mean) ** 2
    interaction = correction * float(np.sum(residuals**2 @ squared)) / (seeds * (seeds - 1))
    from_seeds, from_images = max(between_seeds, interaction), max(0.0, between_images - interaction)
    variance = from_seeds + from_images
    degrees = variance**2 / (from_seeds**2 / (seeds - 1) + from_images**2 / (images - 1))
    return SmoothedMean(float(mean), float(np.sqrt(variance)), float(degrees))


def _estimate(table: NDArray[np.float64], weights: Weights | None, added: tuple[float, ...]) -> Estimate:
    """Estimate the mean of a table with an interval between the lowest and the highest possible value."""
    weights = _checked_weights(table, weights)
    of_seeds = table @ weights
    mean, seeds = float(of_seeds.mean()), len(table)
    sd = float(of_seeds.std(ddof=1)) if seeds > 1 else None
    if seeds < MIN_SEEDS:
        return Estimate(mean, sd, None, None, seeds)
    low, high = smoothed_mean(table, weights, added).interval
    return Estimate(mean, sd, max(low, min(added)), min(high, max(added)), seeds)


def _differences(ours: Right, theirs: Right) -> NDArray[np.float64] | None:
    seeds = sorted(ours.keys() & theirs.keys())
    return _table(ours, seeds) - _table(theirs, seeds) if seeds else None


def _table(right: Right, seeds: list[int]) -> NDArray[np.float64]:
    """Stack the results of some seeds, [S, N]."""
    if not seeds or any(len(right[seed]) == 0 for seed in seeds):
        raise ValueError("needs at least one seed and one image, but got none")
    return np.stack([right[seed] for seed in seeds]).astype(np.float64)


def _checked_weights(table: NDArray[np.float64], weights: Weights | None) -> Weights:
    images = table.shape[1]
    if weights is None:
        return np.full(images, 1 / images)
    if weights.shape != (images,) or not np.isclose(weights.sum(), 1):
        raise ValueError(
            f"needs {images} weights that add up to 1, but got shape {weights.shape} and sum {weights.sum():.4g}"
        )
    return weights
