"""The weights of a training that are best on val, and what they predict there; for teachers and targets."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tdmr_ray.training.best_weights import BestWeights
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.metrics import LOG_LOSS, preference
from tdmr_ray.training.workers import ALONE, Metrics, Workers


class BestOnVal:
    """Keeps the weights with the best objective on val; among equal ones, those with the smallest log loss.

    Args:
        objective: Name of a metric.
        workers: Processes that train the same module together; each measures all of val.

    Attributes:
        epoch: Number of the epoch whose weights are kept, from 1; 0 is the start.
        metrics: Objective, accuracy and log loss of the kept weights, by name.
        logits: Logits of the kept weights for val, [N, C].
    """

    def __init__(self, objective: str, workers: Workers = ALONE) -> None:
        self.objective, self.workers = objective, workers
        self.weights = BestWeights()
        self.epoch = 0
        self.metrics: Metrics = {}
        self.logits: Tensor = torch.empty(0)

    def offer(self, module: nn.Module, measured: Evaluation, *, epoch: int, may_win: bool = True) -> Metrics:
        """Keep a module's weights if none before were better; return their objective, accuracy and log loss by name.

        Only these three are computed, since all metrics take much longer.

        Args:
            module: The module as it is now.
            measured: What it predicts for val.
            epoch: Epochs of its training that have ended.
            may_win: Whether the weights may be kept at all.
        """
        now = self.workers.mean(measured.measure((self.objective, "top1", LOG_LOSS)))
        if may_win and self.weights.offer(module, *preference(now, self.objective)):
            self.epoch, self.metrics, self.logits = epoch, now, measured.logits
        return now

    def load_into(self, module: nn.Module) -> None:
        """Restore the kept weights, if there are any."""
        self.weights.load_into(module)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"weights": self.weights.state(), "epoch": self.epoch, "metrics": self.metrics, "logits": self.logits}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()`."""
        self.weights.restore(state["weights"])
        self.epoch, self.metrics, self.logits = state["epoch"], dict(state["metrics"]), state["logits"]
