"""Probabilities for images that a model was not trained on."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from tdmr_ray.training.linear_heads import INVERSE_PENALTIES, MIN_IMAGES_FOR_LDA, Kind, held_out_logits, smallest_class

SHRINKAGE = 0.3
"""Share of the identity in the covariance, chosen in `benchmarks/label_errors.py`."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of a trained target for the images of its own val split.

    Attributes:
        ids: Number of each image in the data set, [V].
        probabilities: [V, C].
    """

    ids: Tensor
    probabilities: Tensor


def out_of_fold(features: Tensor, labels: Tensor, num_classes: int, *, seed: int = 0) -> Tensor | None:
    """Return probabilities [N, C] of a cross-validated linear head; None if a class has a single image.

    The head is linear discriminant analysis where the smallest class allows it, otherwise logistic regression. One
    temperature makes the given labels likeliest.

    Args:
        features: Features of a frozen foundation, [N, d].
        labels: Given classes, [N].
        num_classes: C.
        seed: Seed of the folds.
    """
    if smallest_class(labels) < 2 or len(labels.unique()) < 2:
        return None
    kind = Kind(None, SHRINKAGE) if smallest_class(labels) >= MIN_IMAGES_FOR_LDA else Kind(INVERSE_PENALTIES[0])
    return held_out_logits(kind, features, labels, num_classes, seed=seed).softmax(dim=1)


def mean_predictions(ids: Tensor, trials: Iterable[Predictions], num_classes: int) -> tuple[Tensor, Tensor]:
    """Average the predictions of several trials, each of which held other images out.

    Args:
        ids: Numbers of the images that are asked for, [N].
        trials: Predictions of each trial.
        num_classes: C.

    Returns:
        Mean probabilities, [N, C], and the number of trials in the mean, [N]; where it is 0, so are the probabilities.
    """
    total, times = torch.zeros(len(ids), num_classes), torch.zeros(len(ids), dtype=torch.int64)
    place = {number: row for row, number in enumerate(ids.tolist())}
    for trial in trials:
        known = [number in place for number in trial.ids.tolist()]
        rows = torch.tensor([place[number] for number in trial.ids[known].tolist()], dtype=torch.int64)
        total[rows] += trial.probabilities[known]
        times[rows] += 1
    return total / times.clamp(min=1)[:, None], times


def averaged(head: Tensor, target: Tensor, times: Tensor) -> Tensor:
    """Average the probabilities of a head [N, C] with a target's, for the images that the target did not see."""
    return torch.where(times[:, None] > 0, (head + target) / 2, head)
