"""Standardisation of features, shared by the mappings that read them."""

import torch
from torch import Tensor, nn


class FeatureScaler(nn.Module):
    """Standardise features, each dimension by itself: (f - mean) / std with statistics that stay as `refit` took them.

    The images of `refit` then have mean 0 and standard deviation 1 in every dimension, whatever the foundation. Later
    images do not: other views, and prompts that have learned, move the features and not the statistics.

    Args:
        feature_dim: d.
        floored: Whether no standard deviation is taken to be below the median of all. Features that hardly vary over a
            few labelled images would otherwise be blown up for the others.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, feature_dim: int, *, floored: bool = False) -> None:
        super().__init__()
        self.floored = floored
        self.register_buffer("mean", torch.zeros(feature_dim))
        self.register_buffer("std", torch.ones(feature_dim))

    def refit(self, features: Tensor) -> None:
        """Take mean and standard deviation from features [N, d]; constant features stay unscaled."""
        std, mean = torch.std_mean(features, dim=0)
        if self.floored:
            std = std.clamp(min=float(std.median()))
        self.mean, self.std = mean, torch.where(std > 1e-6, std, torch.ones_like(std))

    def forward(self, features: Tensor) -> Tensor:
        """Map features [B, d] to [B, d]."""
        return (features - self.mean) / self.std
