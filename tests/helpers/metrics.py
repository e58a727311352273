"""Comparison of metrics."""

from tdmr_ray.training.workers import Metrics


def without_times(metrics: Metrics) -> Metrics:
    """The metrics that equal trials have in common."""
    return {name: value for name, value in metrics.items() if not name.endswith("images_per_s")}
