"""A linear head on the features of a pretrained target whose other weights stay as they are."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Images, Task
from tdmr_ray.errors import InputError
from tdmr_ray.models import Target, TargetOutput, load_target
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import Evaluation, evaluate
from tdmr_ray.training.learner import run_target
from tdmr_ray.training.linear_heads import Head, Kind, choose_by_cross_validation, fit_head, kinds_for
from tdmr_ray.training.metrics import LOG_LOSS, named, preference
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.workers import Metrics


class FrozenTarget:
    """A target whose classifier is fitted to the features of labelled images without augmentation.

    Logistic regressions and linear discriminant analysis compete on val; without a val split they compete in a
    cross-validation over the labelled images. The best becomes the network's own classifier, which therefore ships like
    any other target.

    Args:
        config: The trial.
        task: Its images.

    Raises:
        InputError: If the weights are unavailable, or the network's classifier is not one linear layer.
    """

    def __init__(self, config: TrialConfig, task: Task) -> None:
        self.config, self.task, self.device = config, task, pick_device()
        self.target = _load(config, task).to(self.device).eval()
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
        features = self._features(self.task.labeled)
        kind = self._choose_on_val(features) if len(self.task.val) else self._choose_by_cross_validation(features)
        self.choice = str(kind)
        self._keep(self._fit(kind, features))
        return {"epoch": 1, "steps": 0, **named(self.measure_best(), "val")}

    def state(self) -> dict[str, Any]:
        """Return the classifier's weights and the name of its kind."""
        return {"choice": self.choice, "classifier": _classifier(self.target).state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of the same configuration."""
        self.choice = state["choice"]
        _classifier(self.target).load_state_dict(state["classifier"])

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
        return evaluate(lambda batch: self._run(batch).logits, images, device=self.device)

    @property
    def _balanced(self) -> bool:
        return self.config.distill.class_weights == "balanced"

    def _fit(self, kind: Kind, features: Tensor) -> Head:
        labels, num_classes = self.task.labeled.labels, self.task.num_classes
        return fit_head(kind, features, labels, num_classes, balanced=self._balanced)

    def _choose_on_val(self, features: Tensor) -> Kind:
        val = self._features(self.task.val)
        kinds = kinds_for(self.task.labeled.labels)
        return max(kinds, key=lambda kind: self._score(self._fit(kind, features)(val), self.task.val.labels))

    def _choose_by_cross_validation(self, features: Tensor) -> Kind:
        return choose_by_cross_validation(
            features,
            self.task.labeled.labels,
            self.task.num_classes,
            self._score,
            seed=self.config.seed,
            balanced=self._balanced,
        )

    def _run(self, images: Tensor) -> TargetOutput:
        return run_target(self.target, images.to(memory_format=torch.channels_last), self.config.precision)

    @torch.no_grad()
    def _features(self, images: Images) -> Tensor:
        def run(part: Tensor) -> Tensor:
            return self._run(part.to(self.device).float().div(255.0)).features.cpu()

        return torch.cat(MicroBatches().map(images.images, run))

    @torch.no_grad()
    def _keep(self, head: Head) -> None:
        classifier = _classifier(self.target)
        classifier.weight.copy_(head.weight)
        classifier.bias.copy_(head.bias)

    def _score(self, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
        objective = self.config.objective
        return preference(Evaluation(logits, labels).measure((objective, LOG_LOSS)), objective)


def _load(config: TrialConfig, task: Task) -> Target:
    torch.manual_seed(config.seed)
    target = load_target(
        config.target.name,
        num_classes=task.num_classes,
        image_px=task.target_px(config.target.input_px),
        weights=config.target.weights,
    )
    classifier = target.network.get_classifier()
    if not isinstance(classifier, nn.Linear) or classifier.bias is None:
        found = type(classifier).__name__
        raise InputError(
            "target",
            f"'frozen_target' needs a network whose classifier is one linear layer with a bias; '{config.target.name}' "
            f"has {found}: leave the control out",
        )
    return target


def _classifier(target: Target) -> nn.Linear:
    classifier: nn.Linear = target.network.get_classifier()
    return classifier
