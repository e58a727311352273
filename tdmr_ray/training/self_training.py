"""Self-training: a network's own predictions replace missing labels.

Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.models import Target
from tdmr_ray.training.batches import views_per_epoch
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.learner import run_target
from tdmr_ray.training.pseudo_labels import pseudo_labeled
from tdmr_ray.training.workers import ALONE, Metrics, Workers


class SelfTraining:
    """Two trainings of a target with labels alone; the first one's pseudo-labels join the labels of the second.

    Both start from the target's initial weights, and each ends on its own by `distill.stop_at` and `distill.patience`.
    An epoch of either is as long as one over all images, however many of them have a label or a pseudo-label.

    Args:
        config: The trial; `pseudo_labels.threshold` is the minimum probability of a pseudo-label.
        task: A task with images without labels.
        workers: Processes that train this target together.
    """

    def __init__(self, config: TrialConfig, task: Task, workers: Workers = ALONE) -> None:
        self.config, self.task, self.workers = config, task, workers
        self.length = views_per_epoch(len(task.train))
        self.first = Distillation(config, replace(task, train=task.labeled), None, workers, length=self.length)
        self.second: Distillation | None = None

    @property
    def done(self) -> bool:
        """Whether both trainings have ended."""
        return self.second is not None and self.second.done

    def run_epoch(self) -> Metrics:
        """Run the next epoch of either training; `best_epoch` is that of the current one.

        Raises:
            NonFiniteLoss: If a loss diverges.
        """
        if not self.first.done:
            return self.first.run_epoch()
        if self.second is None:
            self.second = self._new_second()
        metrics = self.second.run_epoch()
        earlier = {"epoch": self.first.epoch, "steps": self.first.steps}
        return {**metrics, **{name: count + metrics[name] for name, count in earlier.items()}}

    @property
    def notes(self) -> list[str]:
        """Remarks on how the target was trained."""
        return list(dict.fromkeys([*self.first.notes, *(self.second.notes if self.second else [])]))

    def state(self) -> dict[str, Any]:
        """Return all that `restore` needs to continue after the last finished epoch."""
        return {"first": self.first.state(), "second": self.second.state() if self.second else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration."""
        self.first.restore(state["first"])
        if state["second"] is not None:
            self.second = self._new_second()
            self.second.restore(state["second"])

    def best_target(self) -> Target:
        """Return the target with the best weights on val of the current training."""
        return (self.second or self.first).best_target()

    def measure_best(self) -> Metrics:
        """Return all metrics on val of the best weights of the current training, by name."""
        return (self.second or self.first).measure_best()

    def evaluate_on(self, split: str) -> Evaluation:
        """Measure the current weights of the current training on `val` or `test`."""
        return (self.second or self.first).evaluate_on(split)

    def _new_second(self) -> Distillation:
        return Distillation(self.config, self._labeled_by_first(), None, self.workers, length=self.length)

    def _labeled_by_first(self) -> Task:
        target, precision = self.first.best_target().eval(), self.config.precision

        def predict(images: Tensor) -> Tensor:
            return run_target(target, images, precision).logits

        return pseudo_labeled(self.task, predict, threshold=self.config.pseudo_labels.threshold)
