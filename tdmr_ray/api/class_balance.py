"""A warning where accuracy alone says little, because the classes differ in size."""

import torch

from tdmr_ray.data.task import Task

MOST_UNEQUAL = 3
"""Ratio of the largest class to the smallest beyond which accuracy as the objective draws a warning."""


def warn_of_imbalance(task: Task, objective: str) -> list[str]:
    """Warn if accuracy chooses on classes of very different sizes; empty if not.

    Args:
        task: The images; labelled ones of all splits count.
        objective: Metric that chooses, such as `val/top1`.
    """
    labels = torch.cat([task.labeled.labels, task.val.labels, task.test.labels])
    counts = torch.bincount(labels, minlength=task.num_classes).tolist()
    few, many = min(counts), max(counts)
    if objective != "val/top1" or many <= MOST_UNEQUAL * few:
        return []
    smallest, largest = (task.class_names[counts.index(count)] for count in (few, many))
    return [
        f"class '{largest}' has {many} labelled images and '{smallest}' has {few}, so val/top1 hardly depends on "
        f"'{smallest}'; --set objective.metric=val/balanced_accuracy counts every class the same"
    ]
