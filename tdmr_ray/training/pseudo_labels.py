"""Pseudo-labels: a network's own predictions replace missing labels.

Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate


def pseudo_labeled(task: Task, predict: Callable[[Tensor], Tensor], *, threshold: float) -> Task:
    """Return a task in which images without labels have a network's prediction as label.

    Args:
        task: The task; its labelled images stay as they are.
        predict: Function from images in 0..1 [B, 3, H, W] to logits [B, C].
        threshold: Minimum probability of the predicted class; other images are left out.
    """
    if not len(task.unlabeled):
        return task
    return with_predictions(task, evaluate(predict, task.unlabeled, device=pick_device()).logits, threshold=threshold)


def with_predictions(task: Task, logits: Tensor, *, threshold: float) -> Task:
    """Return a task in which images without labels have predictions as labels.

    Args:
        task: The task; its labelled images stay as they are.
        logits: A network's logits for the images without labels, [N, C].
        threshold: Minimum probability of the predicted class; other images are left out.
    """
    confidence, predictions = logits.softmax(dim=1).max(dim=1)
    confident = torch.nonzero(confidence >= threshold).flatten()
    rows = torch.cat([torch.arange(task.num_labeled), task.num_labeled + confident])
    labels = torch.cat([task.labeled.labels, predictions[confident]])
    return replace(task, train=replace(task.train.pick(rows), labels=labels), num_labeled=len(labels))
