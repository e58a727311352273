"""Label mappings: from source-class scores to task-class scores, as one matrix [S, C].

task_scores = source_scores @ matrix. A one-to-one mapping has a single 1 in each column.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot


def count_table(source_logits: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """How often each source class is the arg-max for images of each task class, [S, C].

    A sum over images: the same for any split into batches; task classes without an image have a column of zeros.

    Args:
        source_logits: [N, S].
        labels: Task classes, [N].
        num_classes: C.
    """
    winners = one_hot(source_logits.argmax(dim=1), source_logits.shape[1])
    return (winners.T.float()) @ one_hot(labels, num_classes).float()


def probability_table(source_logits: Tensor, labels: Tensor, num_classes: int, *, top_k: int) -> Tensor:
    """Summed probabilities of the `top_k` source classes of each image, by task class, [S, C].

    Args:
        source_logits: [N, S].
        labels: Task classes, [N].
        num_classes: C.
        top_k: 1..S; the others count as 0.
    """
    probabilities = source_logits.softmax(dim=1)
    values, places = probabilities.topk(min(top_k, source_logits.shape[1]), dim=1)
    kept = torch.zeros_like(probabilities).scatter(1, places, values)
    return kept.T @ one_hot(labels, num_classes).float()


def random_mapping(num_source_classes: int, num_classes: int, *, seed: int) -> Tensor:
    """A random injective choice of a source class for each task class, [S, C].

    Raises:
        ValueError: If there are more task classes than source classes.
    """
    check_one_to_one(num_source_classes, num_classes)
    order = torch.randperm(num_source_classes, generator=torch.Generator().manual_seed(seed))
    return one_hot(order[:num_classes], num_source_classes).T.float()


def frequency_mapping(table: Tensor) -> Tensor:
    """Greedy one-to-one mapping: the largest count takes its source and task class, then the next, [S, C].

    Task classes without any count get the first free source classes; they do not shift the others.

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


def bayesian_mapping(table: Tensor, *, smoothing: float) -> Tensor:
    """P(task class | source class) from smoothed counts, each column then scaled to sum to 1, [S, C].

    w = table / (row sum + smoothing); a column without any count stays 0.

    Args:
        table: Counts or summed probabilities, [S, C].
        smoothing: > 0, so that a source class which never wins weighs nothing.

    Source: Cai et al. 2024 (BLM, BLM+), arXiv 2410.24018.
    """
    weights = table / (table.sum(dim=1, keepdim=True) + smoothing)
    return weights / weights.sum(dim=0, keepdim=True).clamp(min=torch.finfo(table.dtype).tiny)


def check_one_to_one(num_source_classes: int, num_classes: int) -> None:
    """Raises ValueError unless every task class can have a source class of its own."""
    if num_classes > num_source_classes:
        raise ValueError(
            "a one-to-one mapping needs at least as many source classes as task classes, "
            f"but got (source={num_source_classes}, task={num_classes})"
        )


@dataclass(frozen=True)
class LabelRule:
    """How a label mapping is made and when.

    Attributes:
        one_to_one: Whether it needs a source class of its own for every task class.
        refit: `never` looks at no data, `once` at the un-prompted predictions, `epoch` again with the current prompt.
    """

    one_to_one: bool
    refit: Literal["never", "once", "epoch"]


LABEL_RULES = {
    "random": LabelRule(one_to_one=True, refit="never"),
    "frequency": LabelRule(one_to_one=True, refit="once"),
    "iterative": LabelRule(one_to_one=True, refit="epoch"),
    "bayesian": LabelRule(one_to_one=False, refit="epoch"),
    "bayesian_plus": LabelRule(one_to_one=False, refit="epoch"),
}


class LabelMapping(nn.Module):
    """A label mapping as the last part of a teacher; its embedding is the foundation's features.

    Args:
        kind: A key of `LABEL_RULES`.
        num_source_classes: S.
        num_classes: C.
        seed: For `random`.
        smoothing: For `bayesian` and `bayesian_plus`.
        top_k_fraction: For `bayesian_plus`: the share of source classes that count for an image.

    Raises:
        ValueError: If the mapping is one-to-one and there are too few source classes.
    """

    matrix: Tensor

    def __init__(
        self,
        kind: str,
        *,
        num_source_classes: int,
        num_classes: int,
        seed: int = 0,
        smoothing: float = 1.0,
        top_k_fraction: float = 0.15,
    ) -> None:
        super().__init__()
        self.kind, self.rule = kind, LABEL_RULES[kind]
        self.smoothing = smoothing
        self.top_k = max(1, round(top_k_fraction * num_source_classes))
        if self.rule.one_to_one:
            check_one_to_one(num_source_classes, num_classes)
        if kind == "random":
            start = random_mapping(num_source_classes, num_classes, seed=seed)
        else:
            start = torch.zeros(num_source_classes, num_classes)
        self.register_buffer("matrix", start)

    def refit(self, source_logits: Tensor, labels: Tensor) -> None:
        """Make the matrix again from labelled predictions, [N, S] and [N]; `random` stays as it is."""
        num_classes = self.matrix.shape[1]
        if self.kind in ("frequency", "iterative"):
            self.matrix = frequency_mapping(count_table(source_logits, labels, num_classes))
        elif self.kind == "bayesian":
            table = count_table(source_logits, labels, num_classes)
            self.matrix = bayesian_mapping(table, smoothing=self.smoothing)
        elif self.kind == "bayesian_plus":
            table = probability_table(source_logits, labels, num_classes, top_k=self.top_k)
            self.matrix = bayesian_mapping(table, smoothing=self.smoothing)

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, d] and source logits [B, S] to embedding [B, d] and logits [B, C]."""
        return features, source_logits @ self.matrix
