"""Prototype mapping: cosine similarity to one learned direction for each task class."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import normalize

from tdmr_ray.method.component import FoundationShape, ParameterGroup, TaskFacts
from tdmr_ray.method.mappings.feature_scaler import FeatureScaler
from tdmr_ray.method.mappings.mapping import Mapping, Refit, TrainedMappingConfig


class PrototypeMapping(Mapping):
    """A projection to `dim` directions, then cosine similarity to a learned prototype for each class.

    logits = scale * cos(P f, prototype), with features f that a `FeatureScaler` standardised and a learned scale that
    starts at 10. Its embedding is P f with unit length. `refit` puts the prototypes at the directions of the class
    means of the embedding, so that the mapping starts as a nearest-mean classifier by cosine.

    Source: Snell et al. 2017, arXiv 1703.05175; cosine classifier of Gidaris and Komodakis 2018, arXiv 1804.09458.
    """

    refits: ClassVar[Refit | None] = Refit()

    class Config(TrainedMappingConfig):
        """Hyperparameters of a prototype mapping."""

        kind: Literal["prototype"] = "prototype"
        dim: int = Field(default=64, ge=2)
        """Number of directions of the proxy space."""

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.config = config
        self.scaler = FeatureScaler(foundation.feature_dim)
        self.projection = nn.Linear(foundation.feature_dim, config.dim, bias=False)
        nn.init.orthogonal_(self.projection.weight)
        self.prototypes = nn.Parameter(torch.zeros(task.num_classes, config.dim))
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return the embedding [B, dim] and task logits [B, C]; source logits are not read."""
        embedding = self._embed(features)
        return embedding, self.log_scale.exp() * embedding @ normalize(self.prototypes, dim=1).T

    @torch.no_grad()
    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Set scaler and prototypes from features [N, d] of images with the prompt at its initial values."""
        self.scaler.refit(features)
        embedding = self._embed(features)
        for task_class in range(len(self.prototypes)):
            members = embedding[labels == task_class]
            if len(members):
                self.prototypes[task_class] = normalize(members.mean(dim=0), dim=0)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return projection, prototypes and scale."""
        return [ParameterGroup(list(self.parameters()), self.config.lr, self.config.weight_decay)]

    def _embed(self, features: Tensor) -> Tensor:
        return normalize(self.projection(self.scaler(features)), dim=1)
