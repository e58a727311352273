"""The interface of feature alignments."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from tdmr_ray.method.component import ComponentConfig, ParameterGroup


class AlignmentConfig(ComponentConfig):
    """Hyperparameters of a feature alignment."""

    kind: str


class Alignment(nn.Module, ABC):
    """A distance between target features and teacher embedding, with what it learns to compare them.

    Args:
        config: Its hyperparameters.
        feature_dim: Width of the target's features.
        embedding_dim: Width of the teacher's embedding.

    Attributes:
        Config: Class of its hyperparameters.
    """

    Config: ClassVar[type[AlignmentConfig]]

    def __init__(self, config: AlignmentConfig, feature_dim: int, embedding_dim: int) -> None:
        super().__init__()

    def project(self, features: Tensor) -> Tensor:
        """Prepare target features [B, feature_dim] for `distance`; the identity unless overridden."""
        return features

    @abstractmethod
    def distance(self, projected: Tensor, embedding: Tensor) -> Tensor:
        """Compare prepared features with the teacher embedding [B, embedding_dim], a constant; a scalar >= 0."""

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """Prepare features and compare them."""
        return self.distance(self.project(features), embedding)

    def parameter_groups(self, lr: float, weight_decay: float) -> list[ParameterGroup]:
        """Return the trained parameters; they follow the target's learning rate and weight decay."""
        parameters = list(self.parameters())
        return [ParameterGroup(parameters, lr, weight_decay)] if parameters else []
