"""Figures over seeds from trial records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.records import TrialRecord
from tdmr_ray.report.bootstrap import Right, accuracy_estimate, gain_estimate, gain_p_value
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference, paired_p_value

Weights = NDArray[np.float64]
BY_IMAGE = ("top1", "balanced_accuracy")
"""Metrics that are weighted means over images, whose intervals resample test images too."""


@dataclass(frozen=True)
class Readings:
    """Results on test of one recipe in one phase.

    Attributes:
        objective: Name of the metric.
        by_seed: Value of the metric by seed.
        right: Whether each test image is right, by seed; empty if it was not recorded.
        weights: Weight of each test image in the metric.
    """

    objective: str
    by_seed: Mapping[int, float]
    right: Right
    weights: Weights | None

    def estimate(self) -> Estimate | None:
        """Estimate the metric; None without readings."""
        if not self.by_seed:
            return None
        if self.right:
            return accuracy_estimate(self.right, self.weights)
        return estimate(list(self.by_seed.values()))

    def gain_over(self, other: "Readings") -> Estimate | None:
        """Estimate the difference, paired by seed and image; None without a common seed."""
        if _share_images(self, other):
            return gain_estimate(self.right, other.right, self.weights)
        return paired_difference(self.by_seed, other.by_seed)

    def p_value_against(self, other: "Readings") -> float | None:
        """Test whether the difference is 0; None with too few seeds."""
        if _share_images(self, other):
            return gain_p_value(self.right, other.right, self.weights)
        return paired_p_value(self.by_seed, other.by_seed)


def readings_of(records: Sequence[TrialRecord], objective: str) -> Readings:
    """Collect the results on test of one recipe's trials with different seeds."""
    read = [record for record in records if f"test/{objective}" in record.metrics]
    by_seed = {record.seed: record.metrics[f"test/{objective}"] for record in read}
    if objective not in BY_IMAGE or not all(record.right for record in read) or not read:
        return Readings(objective, by_seed, {}, None)
    right = {record.seed: _flags("".join(record.right or ())) for record in read}
    return Readings(objective, by_seed, right, _image_weights(read[0].right or (), objective))


def mean_metrics(records: Sequence[TrialRecord], prefixes: Mapping[str, str]) -> dict[str, Estimate]:
    """Estimate every metric over seeds.

    Args:
        records: Trials of one recipe and phase.
        prefixes: Prefixes of the metrics that count, such as `test`, and the names that they get.
    """
    values: dict[str, list[float]] = {}
    for record in records:
        for name, value in record.metrics.items():
            prefix, _, metric = name.partition("/")
            if prefix in prefixes and not metric.endswith("_now") and not metric.startswith("teacher"):
                values.setdefault(f"{prefixes[prefix]}/{metric}", []).append(value)
    return {name: estimate(found) for name, found in values.items()}


def _share_images(ours: Readings, theirs: Readings) -> bool:
    sizes = {len(flags) for flags in (*ours.right.values(), *theirs.right.values())}
    return bool(ours.right) and bool(theirs.right) and len(sizes) == 1


def _flags(text: str) -> NDArray[np.bool_]:
    flags: NDArray[np.bool_] = np.frombuffer(text.encode(), np.uint8) == ord("1")
    return flags


def _image_weights(right: Sequence[str], objective: str) -> Weights | None:
    """Return the weight of each image: equal ones for accuracy, equal classes for balanced accuracy."""
    if objective != "balanced_accuracy":
        return None
    present = [len(flags) for flags in right if flags]
    return np.concatenate([np.full(size, 1 / (len(present) * size)) for size in present])
