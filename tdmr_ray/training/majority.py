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
        self.measured = False
        self.logits = torch.bincount(task.labeled.labels, minlength=task.num_classes).clamp(min=0.5).log()

    @property
    def done(self) -> bool:
        """Whether it was measured."""
        return self.measured

    @property
    def notes(self) -> list[str]:
        """Return no remarks."""
        return []

    def run_epoch(self) -> Metrics:
        """Measure on val."""
        self.measured = True
        return {"epoch": 1, "steps": 0, **named(self.measure_best(), "val")}

    def state(self) -> dict[str, Any]:
        """Return whether it was measured; the labels are all else that there is to know."""
        return {"measured": self.measured}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration."""
        self.measured = state["measured"]

    def best_target(self) -> Target | None:
        """Return None: there is no network."""
        return None

    def measure_best(self) -> Metrics:
        """Return all metrics on val, by name; none without a val split."""
        return self.evaluate_on("val").metrics

    def evaluate_on(self, split: str) -> Evaluation:
        """Measure on `val` or `test`."""
        images = self.task.val if split == "val" else self.task.test
        return Evaluation(self.logits.expand(len(images), -1), images.labels)
