"""Self-training: a network's own answers stand in for the labels that are missing.

Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tdmr_ray.data.task import Images, Task
from tdmr_ray.models import Target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.distill import Distillation, ask_target
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.workers import ALONE, Metrics, Workers


class SelfTraining:
    """Two trainings of a target, both with labels alone: the first labels the other images for the second.

    The second starts anew and sees them all. An epoch of either is as long as one over all images.

    Args:
        config: The trial; `pseudo_labels.threshold` says which answers count.
        task: With images without labels.
        workers: Who else trains this target.
    """

    def __init__(self, config: TrialConfig, task: Task, workers: Workers = ALONE) -> None:
        self.config, self.task, self.workers = config, task, workers
        labeled = replace(task, train=task.labeled)
        self.first = Distillation(config, labeled, None, workers, min_views=len(task.train))
        self.second: Distillation | None = None

    def run_epoch(self) -> Metrics:
        """The next epoch of either training.

        Raises:
            NonFiniteLoss: If a loss diverges.
        """
        if self.first.epoch < self.first.num_epochs:
            return self.first.run_epoch()
        if self.second is None:
            self.second = self._new_second()
        metrics = self.second.run_epoch()
        return {**metrics, "epoch": self.first.num_epochs + metrics["epoch"]}

    @property
    def notes(self) -> list[str]:
        """What a reader should know of how the target was trained, twice."""
        return list(dict.fromkeys([*self.first.notes, *(self.second.notes if self.second else [])]))

    def state(self) -> dict[str, Any]:
        """All that `restore` needs to go on after the last finished epoch."""
        return {"first": self.first.state(), "second": self.second.state() if self.second else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of the same configuration."""
        self.first.restore(state["first"])
        if state["second"] is not None:
            self.second = self._new_second()
            self.second.restore(state["second"])

    def best_target(self) -> Target:
        """The target with the weights that were best on val, of the training that is under way."""
        return (self.second or self.first).best_target()

    def evaluate_on(self, part: str, target: Target) -> Evaluation:
        """Measure a target on `val` or `test`."""
        return self.first.evaluate_on(part, target)

    def _new_second(self) -> Distillation:
        filled, min_views = self._labeled_by_first(), len(self.task.train)
        return Distillation(self.config, filled, None, self.workers, min_views=min_views)

    def _labeled_by_first(self) -> Task:
        target, precision = self.first.best_target().eval(), self.config.precision
        threshold = self.config.pseudo_labels.threshold
        return pseudo_labeled(
            self.task, lambda images: ask_target(target, images, precision).logits, threshold=threshold
        )


def pseudo_labeled(task: Task, predict: Callable[[Tensor], Tensor], *, threshold: float) -> Task:
    """A task in which images without labels have the class that a network sees in them.

    Args:
        task: Labelled images stay as they are.
        predict: Images in 0..1 [B, 3, H, W] to logits [B, C].
        threshold: Images whose top class has a smaller probability are left out.
    """
    hidden = Images(task.train.images[task.num_labeled :], task.train.labels[task.num_labeled :])
    if not len(hidden):
        return task
    probabilities = evaluate(predict, hidden, device=pick_device()).logits.softmax(dim=1)
    confidence, answers = probabilities.max(dim=1)
    sure = confidence >= threshold
    images = torch.cat([task.labeled.images, hidden.images[sure]])
    labels = torch.cat([task.labeled.labels, answers[sure]])
    return replace(task, train=Images(images, labels), num_labeled=len(labels))
