"""The interface of logit losses, and the operations that several of them share."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from tdmr_ray.method.component import ComponentConfig, FoundationFacts, TaskFacts

Temperature = float | Tensor
"""A number, or a scalar that is learned."""


class LogitLossConfig(ComponentConfig):
    """Hyperparameters of a logit loss."""

    kind: str
    standardize: bool = False
    """Whether each row of logits is scaled to mean 0 and standard deviation 1 before the loss."""

    def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
        """Refuse standardisation for two classes, where every row would become plus or minus one."""
        if self.standardize and task.num_classes < 3:
            return ["standardize: carries no information with 2 task classes; set it to false"]
        return []


class LogitLoss(ABC):
    """A loss between target logits and teacher logits, averaged over the batch.

    Args:
        config: Its hyperparameters.

    Attributes:
        Config: Class of its hyperparameters.
    """

    Config: ClassVar[type[LogitLossConfig]]

    def __init__(self, config: LogitLossConfig) -> None:
        self.config = config

    def __call__(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Compare logits [B, C] of the target with those of the teacher; no gradient reaches the teacher.

        Raises:
            ValueError: If the shapes differ or the temperature is not positive.
        """
        if self.config.standardize:
            target_logits, teacher_logits = standardize_logits(target_logits), standardize_logits(teacher_logits)
        return self.compare(target_logits, teacher_logits, temperature)

    @abstractmethod
    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Compare logits that are standardised if that was asked for."""


def standardize_logits(logits: Tensor) -> Tensor:
    """Scale each row of logits [B, C] to mean 0 and standard deviation 1; a constant row becomes 0.

    Source: Sun et al. 2024, arXiv 2403.01427.
    """
    centred = logits - logits.mean(dim=1, keepdim=True)
    return centred / centred.std(dim=1, keepdim=True).clamp(min=1e-7)


def check_logits(target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> None:
    """Raise ValueError unless both have one shape [B, C] and the temperature is positive."""
    if target_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"logits must have one shape, but got {tuple(target_logits.shape)} and {tuple(teacher_logits.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, but got {temperature}")
