"""Alignment by a learned projection to the teacher's embedding."""

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from tdmr_ray.method.alignments.alignment import Alignment, AlignmentConfig


class ProjectionAlignment(Alignment):
    """One minus the cosine between linearly projected target features and the teacher embedding.

    Source: FitNets, Romero et al. 2015, arXiv 1412.6550, with a cosine in place of the squared error.
    """

    class Config(AlignmentConfig):
        """Hyperparameters of the projection alignment: none."""

        kind: Literal["project"] = "project"

    def __init__(self, config: Config, feature_dim: int, embedding_dim: int) -> None:
        super().__init__(config, feature_dim, embedding_dim)
        self.projection = nn.Linear(feature_dim, embedding_dim)

    def project(self, features: Tensor) -> Tensor:
        """Map target features [B, feature_dim] to [B, embedding_dim]."""
        projected: Tensor = self.projection(features)
        return projected

    def distance(self, projected: Tensor, embedding: Tensor) -> Tensor:
        """One minus the cosine of each row with its embedding [B, embedding_dim], averaged, in 0..2."""
        return 1 - cosine_similarity(projected, embedding.detach(), dim=1).mean()
