"""A target's classifier, fitted to the target's own features in closed form or to convergence."""

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Images, Task
from tdmr_ray.errors import InputError
from tdmr_ray.method.discriminant import LinearHead
from tdmr_ray.models import Target
from tdmr_ray.models.at_once import images_at_once
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import Evaluation
from tdmr_ray.training.learner import run_target
from tdmr_ray.training.linear_heads import Kind, choose_by_cross_validation, fit_head, kinds_for
from tdmr_ray.training.metrics import LOG_LOSS, preference
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.sections import TargetConfig


def linear_classifier(target: Target) -> nn.Linear | None:
    """Return a target's classifier if it is one linear layer with a bias, so that a fitted one can take its place."""
    classifier = target.network.get_classifier()
    return classifier if isinstance(classifier, nn.Linear) and classifier.bias is not None else None


def starts_fitted(target: Target, settings: TargetConfig) -> bool:
    """Whether a training of a target starts from a classifier that is fitted to its features.

    Raises:
        InputError: If the settings ask for it, and the classifier is not one linear layer.
    """
    possible = linear_classifier(target) is not None
    if settings.classifier == "fitted" and not possible:
        rule = "'fitted' needs a network whose classifier is one linear layer with a bias; choose 'auto' or 'random'"
        raise InputError("target.classifier", rule)
    return possible and (settings.classifier == "fitted" or (settings.classifier == "auto" and bool(settings.weights)))


def fit_classifier(target: Target, config: TrialConfig, task: Task) -> Kind:
    """Fit a target's classifier to the features of the labelled images without augmentation.

    Logistic regressions and linear discriminant analysis compete on val; without a val split they compete in a
    cross-validation over the labelled images.

    Args:
        target: Its classifier is one linear layer (`linear_classifier`), which the best head replaces.
        config: The trial.
        task: Its images.

    Returns:
        The kind of head that was best.
    """
    fitting = _Fitting(target, config, task)
    kind = fitting.choose()
    head, classifier = fitting.fit(kind), linear_classifier(target)
    assert classifier is not None, "the caller has checked it"
    with torch.no_grad():
        classifier.weight.copy_(head.weight)
        classifier.bias.copy_(head.bias)
    return kind


class _Fitting:
    """Features of the labelled images, and the heads that are fitted to them."""

    def __init__(self, target: Target, config: TrialConfig, task: Task) -> None:
        self.target, self.config, self.task = target, config, task
        self.balanced = config.distill.class_weights == "balanced"
        self.features = features_of(target, task.labeled, config)

    def fit(self, kind: Kind) -> LinearHead:
        labels, num_classes = self.task.labeled.labels, self.task.num_classes
        return fit_head(kind, self.features, labels, num_classes, balanced=self.balanced)

    def choose(self) -> Kind:
        labels, num_classes = self.task.labeled.labels, self.task.num_classes
        if not len(self.task.val):
            seed, balanced = self.config.seed, self.balanced
            return choose_by_cross_validation(
                self.features, labels, num_classes, self._score, seed=seed, balanced=balanced
            )
        val = features_of(self.target, self.task.val, self.config)
        return max(kinds_for(labels), key=lambda kind: self._score(self.fit(kind).logits(val), self.task.val.labels))

    def _score(self, logits: Tensor, labels: Tensor) -> tuple[float, ...]:
        objective = self.config.objective
        return preference(Evaluation(logits, labels).measure((objective, LOG_LOSS)), objective)


@torch.no_grad()
def features_of(target: Target, images: Images, config: TrialConfig) -> Tensor:
    """Return a target's features of images without augmentation, [N, d], on the CPU."""
    target.eval()
    device = pick_device()

    def run(part: Tensor) -> Tensor:
        shown = part.to(device).float().div(255.0).to(memory_format=torch.channels_last)
        return run_target(target, shown, config.precision).features.cpu()

    return torch.cat(MicroBatches().map(images.images, run, images_at_once(images.images.shape[-1], device)))
