"""Label mappings: task logits as one matrix product with source logits, and the tables they are estimated from.

task_logits = source_logits @ matrix, with a matrix [S, C]. A one-to-one mapping has a single 1 in each column.
"""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tdmr_ray.method.component import FoundationFacts, FoundationShape, TaskFacts
from tdmr_ray.method.mappings.mapping import Mapping, MappingConfig


class LabelMappingConfig(MappingConfig):
    """Hyperparameters of a label mapping.

    Attributes:
        one_to_one: Whether every task class needs a source class of its own.
    """

    one_to_one: ClassVar[bool] = False

    def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
        """Require source classes, and enough of them for a one-to-one mapping."""
        kind, name, have = self.kind, foundation.name, foundation.num_source_classes
        if have == 0:
            return [f"kind: '{kind}' reads source classes, and '{name}' has none; use a mapping of features (linear)"]
        if self.one_to_one and have < task.num_classes:
            rule = f"kind: '{kind}' needs a source class for each of the {task.num_classes} task classes"
            return [f"{rule}, but '{name}' has {have}; use bayesian or linear"]
        return []


class LabelMapping(Mapping):
    """A matrix from source logits to task logits, without gradients; its embedding is the foundation's features."""

    reads_source_logits: ClassVar[bool] = True
    matrix: Tensor

    def __init__(self, config: MappingConfig, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.register_buffer("matrix", torch.zeros(foundation.num_source_classes, task.num_classes))

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features [B, d] as they are, and task logits [B, C]."""
        return features, source_logits @ self.matrix

    def source_weights(self) -> Tensor:
        """Return the matrix, [S, C]."""
        return self.matrix


def count_table(source_logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Count how often each source class is the arg-max for images of each task class, [S, C].

    A sum over images: the same for any split into batches. Task classes without an image have a column of zeros.

    Args:
        source_logits: [N, S].
        labels: Task classes, [N].
        num_classes: C.
    """
    winners = one_hot(source_logits.argmax(dim=1), source_logits.shape[1])
    return (winners.T.float()) @ one_hot(labels, num_classes).float()


def probability_table(source_logits: Tensor, labels: Tensor, num_classes: int, *, top_k: int) -> Tensor:
    """Sum the probabilities of the `top_k` source classes of each image by task class, [S, C].

    Args:
        source_logits: [N, S].
        labels: Task classes, [N].
        num_classes: C.
        top_k: 1..S; the other source classes count as 0.
    """
    probabilities = source_logits.softmax(dim=1)
    values, places = probabilities.topk(min(top_k, source_logits.shape[1]), dim=1)
    kept = torch.zeros_like(probabilities).scatter(1, places, values)
    return kept.T @ one_hot(labels, num_classes).float()


def check_one_to_one(num_source_classes: int, num_classes: int) -> None:
    """Raise ValueError unless every task class can have a source class of its own."""
    if num_classes > num_source_classes:
        raise ValueError(
            "a one-to-one mapping needs at least as many source classes as task classes, "
            f"but got (source={num_source_classes}, task={num_classes})"
        )
