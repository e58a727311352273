"""Projections: trained mappings from the foundation's features to the proxy space."""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize


class FeatureScaler(nn.Module):
    """Standardise features by fixed statistics: (f - mean) / std, so that one learning rate fits every foundation."""

    mean: Tensor
    std: Tensor

    def __init__(self, feature_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(feature_dim))
        self.register_buffer("std", torch.ones(feature_dim))

    def refit(self, features: Tensor) -> None:
        """Take mean and standard deviation from features [N, d]; constant features are left unscaled."""
        std, mean = torch.std_mean(features, dim=0)
        self.mean, self.std = mean, torch.where(std > 1e-6, std, torch.ones_like(std))

    def forward(self, features: Tensor) -> Tensor:
        """[B, d] to [B, d]."""
        return (features - self.mean) / self.std


class LinearMapping(nn.Module):
    """One linear layer on standardised features; with an empty prompt this is the linear probe.

    Its embedding is the standardised features. Zero at the start: every class is equally likely.
    """

    def __init__(self, feature_dim: int, num_classes: int) -> None:
        super().__init__()
        self.scaler = FeatureScaler(feature_dim)
        self.layer = nn.Linear(feature_dim, num_classes)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)

    def refit(self, features: Tensor, labels: Tensor) -> None:
        """Set the scaler from un-prompted features [N, d]."""
        self.scaler.refit(features)

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, d] to embedding [B, d] and logits [B, C]; source logits are not read."""
        scaled = self.scaler(features)
        return scaled, self.layer(scaled)


class PrototypeMapping(nn.Module):
    """Projection to `dim` directions, then cosine similarity to one learned prototype a class.

    logits = scale * cos(P f, prototype). Its embedding is P f with unit length. `refit` puts the prototypes at the
    class means, so that the mapping starts as a nearest-mean classifier.

    Args:
        feature_dim: d of the foundation.
        num_classes: C.
        dim: Directions of the proxy space.

    Source: Snell et al. 2017, arXiv 1703.05175; cosine classifier of Gidaris and Komodakis 2018, arXiv 1804.09458.
    """

    def __init__(self, feature_dim: int, num_classes: int, dim: int) -> None:
        super().__init__()
        self.scaler = FeatureScaler(feature_dim)
        self.projection = nn.Linear(feature_dim, dim, bias=False)
        nn.init.orthogonal_(self.projection.weight)
        self.prototypes = nn.Parameter(torch.zeros(num_classes, dim))
        self.log_scale = nn.Parameter(torch.tensor(10.0).log())

    @torch.no_grad()
    def refit(self, features: Tensor, labels: Tensor) -> None:
        """Set the scaler and the prototypes from un-prompted features [N, d] with labels [N]."""
        self.scaler.refit(features)
        embedding = self._embed(features)
        for task_class in range(len(self.prototypes)):
            members = embedding[labels == task_class]
            if len(members):
                self.prototypes[task_class] = normalize(members.mean(dim=0), dim=0)

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, d] to embedding [B, dim] and logits [B, C]; source logits are not read."""
        embedding = self._embed(features)
        return embedding, self.log_scale.exp() * embedding @ normalize(self.prototypes, dim=1).T

    def _embed(self, features: Tensor) -> Tensor:
        return normalize(self.projection(self.scaler(features)), dim=1)
