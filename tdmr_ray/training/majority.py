"""The largest class as the answer for every image."""

from collections.abc import Mapping
from typing import Any

import torch

from tdmr_ray.data.task import Task
from tdmr_ray.models import Target
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.metrics import named
from tdmr_ray.training.workers import Metrics


class Majority:
    """A classifier that gives every image the frequencies of the classes among the labelled images.

    logits = log(count), so that their softmax is the frequency; a class without an image counts as half a one.

    Args:
        task: Its images.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.logits = torch.bincount(task.labeled.labels, minlength=task.num_classes).clamp(min=0.5).log()

    @property
    def notes(self) -> list[str]:
        """Return no remarks."""
        return []

    def run_epoch(self) -> Metrics:
        """Measure on val."""
        return {"epoch": 1, **named(self.measure_best(), "val")}

    def state(self) -> dict[str, Any]:
        """Return an empty state: the labels are all that there is to know."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Do nothing."""

    def best_target(self) -> Target | None:
        """Return None: there is no network."""
        return None

    def measure_best(self) -> Metrics:
        """Return all metrics on val, by name."""
        return self.evaluate_on("val").metrics

    def evaluate_on(self, split: str) -> Evaluation:
        """Measure on `val` or `test`."""
        images = self.task.val if split == "val" else self.task.test
        return Evaluation(self.logits.expand(len(images), -1), images.labels)
