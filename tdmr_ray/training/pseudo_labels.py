"""Pseudo-labels: a network's own predictions replace missing labels.

Source: Lee 2013, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method".
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from tdmr_ray.data.task import Images, Task
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.evaluate import evaluate


def pseudo_labeled(task: Task, predict: Callable[[Tensor], Tensor], *, threshold: float) -> Task:
    """Return a task in which images without labels have a network's prediction as label.

    Args:
        task: The task; its labelled images stay as they are.
        predict: Function from images in 0..1 [B, 3, H, W] to logits [B, C].
        threshold: Minimum probability of the predicted class; other images are left out.
    """
    hidden = Images(task.train.images[task.num_labeled :], task.train.labels[task.num_labeled :])
    if not len(hidden):
        return task
    probabilities = evaluate(predict, hidden, device=pick_device()).logits.softmax(dim=1)
    confidence, predictions = probabilities.max(dim=1)
    confident = confidence >= threshold
    images = torch.cat([task.labeled.images, hidden.images[confident]])
    labels = torch.cat([task.labeled.labels, predictions[confident]])
    return replace(task, train=Images(images, labels), num_labeled=len(labels))
