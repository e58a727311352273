"""Pseudo-labels: a network's own predictions replace missing labels.

Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.sections import PseudoLabelsConfig


def pseudo_labeled(task: Task, predict: Callable[[Tensor], Tensor], settings: PseudoLabelsConfig) -> Task:
    """Return a task in which images without labels have a network's prediction as label.

    Args:
        task: The task; its labelled images stay as they are.
        predict: Function from images in 0..1 [B, 3, H, W] to logits [B, C].
        settings: Which predictions are sure enough; other images are left out.
    """
    if not len(task.unlabeled):
        return task
    return with_predictions(task, evaluate(predict, task.unlabeled, device=pick_device()).logits, settings)


def with_predictions(task: Task, logits: Tensor, settings: PseudoLabelsConfig) -> Task:
    """Return a task in which images without labels have predictions as labels.

    Args:
        task: The task; its labelled images stay as they are.
        logits: A network's logits for the images without labels, [N, C].
        settings: Which predictions are sure enough; other images are left out.
    """
    confidence, predictions = logits.softmax(dim=1).max(dim=1)
    sure = (confidence >= settings.threshold) & _surest_of_class(confidence, predictions, settings.share)
    confident = torch.nonzero(sure).flatten()
    rows = torch.cat([torch.arange(task.num_labeled), task.num_labeled + confident])
    labels = torch.cat([task.labeled.labels, predictions[confident]])
    return replace(task, train=replace(task.train.pick(rows), labels=labels), num_labeled=len(labels))


def _surest_of_class(confidence: Tensor, predictions: Tensor, share: float) -> Tensor:
    """Return whether each prediction is among the surest share of its class, rounded up, [N]."""
    surest = torch.zeros_like(predictions, dtype=torch.bool)
    for label in predictions.unique():
        rows = (predictions == label).nonzero().flatten()
        order = confidence[rows].argsort(descending=True, stable=True)
        surest[rows[order[: math.ceil(share * len(rows))]]] = True
    return surest
