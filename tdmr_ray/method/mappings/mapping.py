"""The interface of mappings from a foundation's answers to the proxy space."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.component import ComponentConfig, FoundationShape, ParameterGroup, TaskFacts


class MappingConfig(ComponentConfig):
    """Hyperparameters of a mapping."""

    shapes_teacher: ClassVar[bool] = True

    kind: str


class TrainedMappingConfig(MappingConfig):
    """Hyperparameters of a mapping that is trained by gradients."""

    lr: float = Field(default=0.01, gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=0.01, ge=0)
    """AdamW's weight decay."""


@dataclass(frozen=True)
class Refit:
    """When a mapping is fitted to labelled images in closed form; always before the first epoch.

    Attributes:
        prompted: Whether it sees the images with the prompt.
        each_epoch: Whether it is refitted before every later epoch, with the prompt as it is then.
        on_pseudo_labels: Whether it is refitted when pseudo-labels join the labels.
        averaged: Whether it sees features that are averaged over views; those under a prompt that learns never are.
    """

    prompted: bool = True
    each_epoch: bool = False
    on_pseudo_labels: bool = False
    averaged: bool = False


class Mapping(nn.Module, ABC):
    """The last part of a teacher: features [B, d] and source logits [B, S] to embedding and task logits [B, C].

    Args:
        config: Its hyperparameters.
        foundation: The foundation that it reads.
        task: The task that it maps to.
        seed: Seed for random choices that are not initial weights.

    Attributes:
        Config: Class of its hyperparameters.
        refits: When it is fitted in closed form; None if never.
        reads_source_logits: Whether source logits are computed for it.
        starts_blank: Whether it answers the same for all images until it is trained.
    """

    Config: ClassVar[type[MappingConfig]]
    refits: ClassVar[Refit | None] = None
    reads_source_logits: ClassVar[bool] = False
    starts_blank: ClassVar[bool] = False

    def __init__(self, config: MappingConfig, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Map features [B, d] and source logits [B, S] to an embedding [B, e] and task logits [B, C]."""

    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Fit in closed form to labelled images: features [N, d], source logits [N, S], labels [N]."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the trained parameters with learning rate and weight decay; empty if none is trained."""
        return []

    def source_weights(self) -> Tensor | None:
        """Return the weight of each source class for each task class, [S, C]; None if it reads features."""
        return None
