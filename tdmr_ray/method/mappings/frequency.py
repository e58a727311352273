"""Frequency mapping: the most frequent source class for each task class."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from tdmr_ray.method.mappings.label_mapping import LabelMapping, LabelMappingConfig, check_one_to_one, count_table
from tdmr_ray.method.mappings.mapping import Refit


class FrequencyMapping(LabelMapping):
    """A greedy one-to-one mapping from un-prompted predictions, estimated before training.

    It is estimated again only when pseudo-labels join the labels.

    Source: FLM in Chen et al. 2023 (ILM-VP), arXiv 2211.11635.
    """

    refits: ClassVar[Refit | None] = Refit(prompted=False, on_pseudo_labels=True)

    class Config(LabelMappingConfig):
        """Hyperparameters of a frequency mapping: none."""

        one_to_one: ClassVar[bool] = True

        kind: Literal["frequency"] = "frequency"

    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Count arg-max source classes of labelled images, [N, S] and [N]."""
        self.matrix = frequency_mapping(count_table(source_logits, labels, self.matrix.shape[1]))


def frequency_mapping(table: Tensor) -> Tensor:
    """Map greedily one to one: the largest count takes its source and task class, then the next, [S, C].

    Task classes without any count get the first free source classes and do not shift the others.

    Args:
        table: Counts, [S, C].

    Raises:
        ValueError: If there are more task classes than source classes.

    Source: Chen et al. 2023 (ILM-VP), arXiv 2211.11635; greedy as in its official code, not Hungarian.
    """
    num_source_classes, num_classes = table.shape
    check_one_to_one(num_source_classes, num_classes)
    left, matrix = table.clone(), torch.zeros_like(table)
    for _ in range(num_classes):
        place = int(left.argmax())
        source, task = place // num_classes, place % num_classes
        matrix[source, task] = 1
        left[source], left[:, task] = -1, -1
    return matrix
