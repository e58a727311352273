"""A linear head on the features of a pretrained target whose other weights stay as they are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tdmr_ray.data.task import Task
from tdmr_ray.errors import InputError
from tdmr_ray.models import Target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.fitted_classifier import fit_classifier, linear_classifier
from tdmr_ray.training.learner import build_target, run_target
from tdmr_ray.training.metrics import named
from tdmr_ray.training.workers import Metrics


class FrozenTarget:
    """A target whose classifier is fitted by `fit_classifier`; it ships like any other target.

    Args:
        config: The trial.
        task: Its images.

    Raises:
        InputError: If the weights are unavailable, or the network's classifier is not one linear layer.
    """

    def __init__(self, config: TrialConfig, task: Task) -> None:
        self.config, self.task, self.device = config, task, pick_device()
        torch.manual_seed(config.seed)
        self.target = build_target(config, task).to(self.device).eval()
        self.classifier = _required_classifier(self.target, config.target.name)
        self.choice = ""

    @property
    def done(self) -> bool:
        """Whether a head was chosen."""
        return bool(self.choice)

    @property
    def notes(self) -> list[str]:
        """Which head was chosen."""
        return [f"head: {self.choice}"] if self.choice else []

    def run_epoch(self) -> Metrics:
        """Fit all heads, keep the best, and measure on val, if there is a val split."""
        self.choice = str(fit_classifier(self.target, self.config, self.task))
        return {"epoch": 1, "steps": 0, **named(self.measure_best(), "val")}

    def state(self) -> dict[str, Any]:
        """Return the classifier's weights and the name of its kind."""
        return {"choice": self.choice, "classifier": self.classifier.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration."""
        self.choice = state["choice"]
        self.classifier.load_state_dict(state["classifier"])

    def best_target(self) -> Target:
        """Return the target with its head."""
        return self.target

    def measure_best(self) -> Metrics:
        """Return all metrics on val, by name; none without a val split."""
        if not len(self.task.val):
            return {}
        return self.evaluate_on("val").metrics

    def evaluate_on(self, split: str) -> Evaluation:
        """Measure on `val` or `test`."""
        images = self.task.val if split == "val" else self.task.test

        def predict(batch: torch.Tensor) -> torch.Tensor:
            return run_target(self.target, batch.to(memory_format=torch.channels_last), self.config.precision).logits

        return evaluate(predict, images, device=self.device)


def _required_classifier(target: Target, name: str) -> nn.Linear:
    classifier = linear_classifier(target)
    if classifier is None:
        found = type(target.network.get_classifier()).__name__
        raise InputError(
            "target",
            f"'frozen_target' needs a network whose classifier is one linear layer with a bias; '{name}' has {found}: "
            "leave the control out",
        )
    return classifier
