"""The interface of everything that a trial does with a target, an epoch at a time."""

from collections.abc import Mapping
from typing import Any, Protocol

from tdmr_ray.models import Target
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.workers import Metrics


class Training(Protocol):
    """One training, or what stands in its place, that can be stopped between two epochs."""

    @property
    def notes(self) -> list[str]:
        """Remarks on how the target was trained."""

    @property
    def done(self) -> bool:
        """Whether there is no further epoch."""

    def run_epoch(self) -> Metrics:
        """Run the next epoch and measure on val, if there is a val split.

        The metrics hold `epoch`, which counts from 1, and `steps`, the optimisation steps so far. A training with a
        schedule adds `best_epoch`, the epoch of the schedule whose weights are kept.

        Raises:
            NonFiniteLoss: If a loss diverges.
        """

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to continue after the last finished epoch."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration."""

    def best_target(self) -> Target | None:
        """Return the target with the weights that are kept; None if there is no target."""

    def measure_best(self) -> Metrics:
        """Return all metrics on val of the weights that are kept, by name; none without a val split.

        Every worker must call it.
        """

    def evaluate_on(self, split: str) -> Evaluation:
        """Measure the weights that `best_target` returned on `val` or `test`."""
