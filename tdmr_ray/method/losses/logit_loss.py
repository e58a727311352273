"""The interface of logit losses, and the operations that several of them share."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from pydantic import Field
from torch import Tensor

from tdmr_ray.method.component import ComponentConfig, FoundationFacts, TaskFacts
from tdmr_ray.method.moment import END, Moment

Temperature = float | Tensor
"""A number, or a scalar that is learned."""


class LogitLossConfig(ComponentConfig):
    """Hyperparameters of a logit loss."""

    kind: str
    standardize: bool = False
    """Whether each row of logits is scaled to mean 0 and standard deviation 1 before the loss."""
    standardize_weight: float = Field(default=9.0, ge=0)
    """Factor of the loss of standardised logits, besides `distill.logits_weight`; without effect on other logits."""

    def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
        """Refuse standardisation for two classes, where every row would become plus or minus one."""
        if self.standardize and task.num_classes < 3:
            return ["standardize: carries no information with 2 task classes; set it to false"]
        return []


class LogitLoss(ABC):
    """A loss between target logits and teacher logits, averaged over the batch, at a moment of the distillation.

    Args:
        config: Its hyperparameters.
        moment: The moment; most losses are the same at every one.

    Attributes:
        Config: Class of its hyperparameters.
    """

    Config: ClassVar[type[LogitLossConfig]]

    def __init__(self, config: LogitLossConfig, moment: Moment = END) -> None:
        self.config, self.moment = config, moment

    def at(self, moment: Moment) -> Self:
        """Return this loss at another moment."""
        return type(self)(self.config, moment)

    def __call__(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Compare logits [B, C] of the target with those of the teacher; no gradient reaches the teacher.

        Raises:
            ValueError: If the shapes differ or the temperature is not positive.
        """
        weight = self.weight()
        if self.config.standardize:
            target_logits, teacher_logits = standardize_logits(target_logits), standardize_logits(teacher_logits)
            weight *= self.config.standardize_weight
        return weight * self.compare(target_logits, teacher_logits, temperature)

    def weight(self) -> float:
        """Return the factor of the loss at its moment; 1 unless overridden."""
        return 1.0

    @abstractmethod
    def compare(self, target_logits: Tensor, teacher_logits: Tensor, temperature: Temperature) -> Tensor:
        """Compare logits that are standardised if that was asked for."""


def standardize_logits(logits: Tensor) -> Tensor:
    """Scale each row of logits [B, C] to mean 0 and standard deviation 1 (of a sample); a constant row becomes 0.

    Standardised logits differ by little, and so do the losses: the official code multiplies its loss by 9, hence
    `standardize_weight`. Its whole setting for `kl` is a temperature of 2 (`temperature.start`) and a weight of 0.1 for
    the labels (`distill.labels_weight`, our default), without alignment (`distill.alignment_weight` 0).

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
