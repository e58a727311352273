"""Whether a result on val is better than chance, and how many images would tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from tdmr_ray.report.readings import BY_IMAGE
from tdmr_ray.report.statistics import CONFIDENCE
from tdmr_ray.training.metrics import METRICS, Predictions, score

MOST_IMAGES = 100_000
"""Number of val images above which nobody wants to know how many it takes."""
ROUNDING = 1e-6


@dataclass(frozen=True)
class Evidence:
    """What val says about the best model, compared with a constant answer.

    A constant answer gives every image the frequencies of the classes on val, and so the largest class.

    Attributes:
        objective: Name of the metric.
        value: The best model's mean over seeds.
        counts: Number of val images of each class.
        num_labels: Labelled images in all splits.
    """

    objective: str
    value: float
    counts: tuple[int, ...]
    num_labels: int

    @property
    def num_images(self) -> int:
        """Number of val images."""
        return sum(self.counts)

    @cached_property
    def constant(self) -> float | None:
        """The metric of a constant answer; None where val does not define the metric."""
        metric, counts = METRICS[self.objective], np.array(self.counts)
        labels = np.repeat(np.arange(len(counts)), counts)
        if not metric.is_defined(labels, len(counts)):
            return None
        return metric.compute(Predictions(np.tile(counts / counts.sum(), (len(labels), 1)), labels))

    @property
    def is_better(self) -> bool:
        """Whether the model's value is the better one, by however little."""
        if self.constant is None:
            return False
        ours, theirs = (score({self.objective: each}, self.objective) for each in (self.value, self.constant))
        return ours > theirs + ROUNDING

    @property
    def p_value(self) -> float:
        """Probability that a constant answer's accuracy gives as many right images or more, by the binomial test.

        Other metrics than accuracies have no such test: 0 if the model is better, else 1.
        """
        if not self.is_better:
            return 1.0
        return float(self._p_values(self._effective_images)) if self.objective in BY_IMAGE else 0.0

    @property
    def is_sufficient(self) -> bool:
        """Whether the model is significantly better than a constant answer (95 %)."""
        return self.p_value < 1 - CONFIDENCE

    @property
    def labels_needed(self) -> int | None:
        """Labelled images, divided as now, that would suffice at this value; None if no number would."""
        if not self.is_better or self.objective not in BY_IMAGE:
            return None
        numbers = np.arange(int(self._effective_images), MOST_IMAGES)
        enough = numbers[self._p_values(numbers) < 1 - CONFIDENCE]
        return ceil(self.num_labels * max(1.0, enough[0] / self._effective_images)) if len(enough) else None

    @property
    def _effective_images(self) -> float:
        """Images whose plain accuracy would vary as much as the metric does."""
        present = [count for count in self.counts if count]
        if self.objective != "balanced_accuracy":
            return float(self.num_images)
        return len(present) ** 2 / sum(1 / count for count in present)

    def _p_values(self, num_images: ArrayLike) -> NDArray[np.float64]:
        images = np.floor(num_images)
        right = np.floor(self.value * np.asarray(num_images) + ROUNDING)
        found: NDArray[np.float64] = stats.binom.sf(right - 1, images, self.constant)
        return found


def evidence_of(objective: str, value: float, labels: Mapping[str, Sequence[int]]) -> Evidence | None:
    """Return what val says; None if its labels are unknown, as in records of an older version.

    Args:
        objective: Name of the metric.
        value: The best model's mean over seeds.
        labels: Labelled images of each class by split.
    """
    counts = tuple(labels.get("val", ()))
    if not sum(counts):
        return None
    return Evidence(objective, value, counts, sum(map(sum, labels.values())))
