"""Discriminant mapping: linear discriminant analysis of each foundation's features, in closed form."""

from typing import ClassVar, Literal

import torch
from torch import Tensor

from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.discriminant import fit_discriminant, held_out_temperature
from tdmr_ray.method.mappings.feature_scaler import FeatureScaler
from tdmr_ray.method.mappings.mapping import Mapping, MappingConfig, Refit

NEVER = -30.0
"""Logit of a class without an image, relative to the smallest bias of the others."""


class DiscriminantMapping(Mapping):
    """The mean over the foundations of their calibrated log odds, which is a linear layer on all features.

    A `FeatureScaler` standardises the features, which are also the embedding. Each foundation gets a linear
    discriminant analysis with shrinkage on features that are averaged over views, and a temperature from a
    cross-validation over the same images. It is fitted again before every epoch of a prompt that learns, and when
    pseudo-labels join. A committee judges better by this mean than by one analysis of the joined features
    (docs/results.md).

    Source: `fit_discriminant`; means of log odds: Genest and Zidek 1986, "Combining probability distributions".
    """

    refits: ClassVar[Refit | None] = Refit(each_epoch=True, on_pseudo_labels=True, averaged=True)

    weight: Tensor
    bias: Tensor

    class Config(MappingConfig):
        """Hyperparameters of a discriminant mapping: none."""

        kind: Literal["discriminant"] = "discriminant"

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.member_dims = foundation.member_dims
        self.scaler = FeatureScaler(foundation.feature_dim)
        self.register_buffer("weight", torch.zeros(task.num_classes, foundation.feature_dim))
        self.register_buffer("bias", torch.zeros(task.num_classes))

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return standardised features [B, d] and task logits [B, C]; source logits are not read."""
        scaled = self.scaler(features)
        return scaled, scaled @ self.weight.T + self.bias

    @torch.no_grad()
    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Fit scaler and layer to features [N, d] of images and their labels [N]."""
        self.scaler.refit(features)
        scaled = self.scaler(features).cpu()
        known, place = labels.cpu().unique(return_inverse=True)
        weights, bias = [], torch.zeros(len(known), dtype=torch.float64)
        for part in scaled.split(self.member_dims, dim=1):
            head = fit_discriminant(part, place, len(known))
            share = 1 / (held_out_temperature(part, place, len(known)) * len(self.member_dims))
            weights.append(head.weight * share)
            bias += head.bias * share
        self.weight.zero_()
        self.bias.fill_(float(bias.min()) + NEVER)
        self.weight[known] = torch.cat(weights, dim=1).to(self.weight)
        self.bias[known] = bias.to(self.bias)
