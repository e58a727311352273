"""Metrics of a classifier on held-out images. Any of them can be the objective of a search; one entry below each.

A metric is undefined where the labels do not determine it: no images, one class where two are compared, or too few
classes. Whether it is defined depends on the labels alone, so that all epochs and trials of a search can be compared.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import metrics as sklearn_metrics
from torch import Tensor

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOG_LOSS = "log_loss"


@dataclass(frozen=True)
class Predictions:
    """Predictions for N labelled images of C classes.

    Attributes:
        probabilities: [N, C].
        labels: [N].
    """

    probabilities: Floats
    labels: Integers

    @property
    def classes(self) -> Integers:
        """Predicted class of each image, [N]."""
        found: Integers = self.probabilities.argmax(axis=1)
        return found

    @property
    def present(self) -> Integers:
        """The classes that have an image, in order."""
        return np.unique(self.labels)

    @property
    def one_versus_rest(self) -> tuple[NDArray[np.bool_], Floats]:
        """Membership and probability, [N, P] each, for the classes that have an image."""
        return self.labels[:, None] == self.present, self.probabilities[:, self.present]


@dataclass(frozen=True)
class Metric:
    """A metric of a classifier.

    Attributes:
        name: Its name behind `val/` or `test/`.
        greater_is_better: Direction.
        compute: The metric of predictions for which it is defined.
        min_classes: Least number of classes of the task.
        min_present: Least number of classes that must have an image.
        unit: Unit in which people read it; a fraction is read in percent.
    """

    name: str
    greater_is_better: bool
    compute: Callable[[Predictions], float]
    min_classes: int = 2
    min_present: int = 1
    unit: str = "%"

    def is_defined(self, labels: Integers, num_classes: int) -> bool:
        """Whether the metric is defined for images with these labels."""
        return num_classes >= self.min_classes and len(np.unique(labels)) >= self.min_present


def _top1(predictions: Predictions) -> float:
    """Fraction of images whose class is right."""
    return float(np.mean(predictions.classes == predictions.labels))


def _top5(predictions: Predictions) -> float:
    """Fraction of images whose class is among the five most probable ones."""
    classes = np.arange(predictions.probabilities.shape[1])
    return float(
        sklearn_metrics.top_k_accuracy_score(predictions.labels, predictions.probabilities, k=5, labels=classes)
    )


def _balanced_accuracy(predictions: Predictions) -> float:
    """Mean recall of the classes that have an image.

    `balanced_accuracy_score` is the same, but warns when a class without images is predicted.
    """
    return float(
        sklearn_metrics.recall_score(
            predictions.labels, predictions.classes, labels=predictions.present, average="macro", zero_division=0.0
        )
    )


def _macro_f1(predictions: Predictions) -> float:
    """Mean F1 of the classes that have an image; 0 for a class of which none is found."""
    return float(
        sklearn_metrics.f1_score(
            predictions.labels, predictions.classes, labels=predictions.present, average="macro", zero_division=0.0
        )
    )


def _auroc(predictions: Predictions) -> float:
    """Area under the ROC curve, one class against the rest: mean over the classes that have an image.

    With two classes both have the same area.
    """
    return float(sklearn_metrics.roc_auc_score(*predictions.one_versus_rest, average="macro"))


def _average_precision(predictions: Predictions) -> float:
    """Area under the precision-recall curve, one class against the rest: mean over the classes that have an image."""
    return float(sklearn_metrics.average_precision_score(*predictions.one_versus_rest, average="macro"))


def _log_loss(predictions: Predictions) -> float:
    """Cross entropy in nats; a probability of 0 counts as 2e-16, the smallest step of a number near 1.

    `sklearn.metrics.log_loss` gives the same in 20 times as long, and this one is needed after every epoch.
    """
    of_true = np.take_along_axis(predictions.probabilities, predictions.labels[:, None], axis=1)
    return float(-np.log(np.maximum(of_true, np.finfo(np.float64).eps)).mean())


METRICS: dict[str, Metric] = {
    "top1": Metric("top1", True, _top1),
    "balanced_accuracy": Metric("balanced_accuracy", True, _balanced_accuracy),
    "macro_f1": Metric("macro_f1", True, _macro_f1),
    "auroc": Metric("auroc", True, _auroc, min_present=2),
    "average_precision": Metric("average_precision", True, _average_precision, min_present=2),
    LOG_LOSS: Metric(LOG_LOSS, False, _log_loss, unit="nats"),
    "top5": Metric("top5", True, _top5, min_classes=10),
}


def measure(logits: Tensor, labels: Tensor, names: Iterable[str] = METRICS) -> dict[str, float]:
    """Return the metrics that are defined.

    Args:
        logits: [N, C]; an image whose logits are not all finite counts as undecided between all classes.
        labels: [N].
        names: The metrics wanted.
    """
    values, true = logits.double().cpu().numpy(), labels.long().cpu().numpy()
    undecided = ~np.isfinite(values).all(axis=1, keepdims=True)
    predictions = Predictions(softmax(np.where(undecided, 0.0, values), axis=1), true)
    wanted = [METRICS[name] for name in dict.fromkeys(names)]
    return {each.name: each.compute(predictions) for each in wanted if each.is_defined(true, values.shape[1])}


def named(metrics: Mapping[str, float], split: str, suffix: str = "") -> dict[str, float]:
    """Return metrics under the names of a split, such as `val/top1`."""
    return {f"{split}/{name}{suffix}": value for name, value in metrics.items()}


def score(metrics: Mapping[str, float], objective: str) -> float:
    """Return the objective's value, negated if less of it is better.

    Args:
        metrics: Metrics by name.
        objective: One of the names; it may have the prefix of a split, such as `val/`.
    """
    value = metrics[objective]
    return value if METRICS[metric_name(objective)].greater_is_better else -value


def value_of(score: float, objective: str) -> float:
    """Return the objective's value with a score; see `score` for the arguments."""
    return score if METRICS[metric_name(objective)].greater_is_better else -score


def preference(metrics: Mapping[str, float], objective: str) -> tuple[float, float]:
    """Return what ranks epochs, trials and models: the score and, for equal scores, the negated log loss.

    On few images many accuracies are equal; the one with the smaller log loss has the better probabilities.

    Args:
        metrics: Metrics by name, with the log loss of the same split.
        objective: One of the names, with or without the prefix of a split.
    """
    split, slash, _ = objective.rpartition("/")
    return score(metrics, objective), -metrics[f"{split}{slash}{LOG_LOSS}"]


def with_unit(value: float, objective: str) -> str:
    """Format a value of the objective with its unit: '95.4 %', or '0.231 nats'."""
    unit = METRICS[metric_name(objective)].unit
    return f"{100 * value:.1f} %" if unit == "%" else f"{value:.3f} {unit}"


def metric_name(objective: str) -> str:
    """Return an objective without the prefix of its split."""
    return objective.rpartition("/")[2]
