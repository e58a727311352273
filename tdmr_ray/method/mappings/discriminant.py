"""Discriminant mapping: linear discriminant analysis of each foundation's features, in closed form."""

from functools import partial
from typing import ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.discriminant import SHRINKAGE, LinearHead, fit_discriminant, held_out_temperature
from tdmr_ray.method.mappings.feature_scaler import FeatureScaler
from tdmr_ray.method.mappings.mapping import Mapping, MappingConfig, Refit


class DiscriminantMapping(Mapping):
    """The mean over the foundations of their calibrated log odds, which is a linear layer on all features.

    Standardised features are also the embedding; no standard deviation counts as below the median of its foundation's.
    Each foundation gets a linear discriminant analysis with shrinkage on features that are averaged over views, and a
    temperature from a cross-validation over the same images. It is fitted again before every epoch of a prompt that
    learns, and when pseudo-labels join. A committee judges better by this mean than by one analysis of the joined
    features (docs/decisions.md).

    Source: `fit_discriminant`; means of log odds: Genest and Zidek 1986, "Combining probability distributions".
    """

    refits: ClassVar[Refit | None] = Refit(each_epoch=True, on_pseudo_labels=True, averaged=True)

    weight: Tensor
    bias: Tensor

    class Config(MappingConfig):
        """Hyperparameters of a discriminant mapping."""

        kind: Literal["discriminant"] = "discriminant"
        shrinkage: float = Field(default=SHRINKAGE, gt=0, le=1)
        """Share of the identity in the covariance within classes; at 1 the nearest class mean wins."""

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.member_dims, self.shrinkage = foundation.member_dims, config.shrinkage
        self.scalers = nn.ModuleList(FeatureScaler(dim, floored=True) for dim in foundation.member_dims)
        self.register_buffer("weight", torch.zeros(task.num_classes, foundation.feature_dim))
        self.register_buffer("bias", torch.zeros(task.num_classes))

    def forward(self, features: Tensor, source_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return standardised features [B, d] and task logits [B, C]; source logits are not read."""
        parts = features.split(self.member_dims, dim=1)
        scaled = torch.cat([scaler(part) for scaler, part in zip(self.scalers, parts, strict=True)], dim=1)
        return scaled, scaled @ self.weight.T + self.bias

    @torch.no_grad()
    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Fit scalers and layer to features [N, d] of images and their labels [N]."""
        known, place = labels.cpu().unique(return_inverse=True)
        weights, bias = [], torch.zeros(len(known), dtype=torch.float64)
        for scaler, own in zip(self.scalers, features.split(self.member_dims, dim=1), strict=True):
            cast("FeatureScaler", scaler).refit(own)
            part = scaler(own).cpu()
            fit = partial(fit_discriminant, num_classes=len(known), shrinkage=self.shrinkage)
            head = fit(part, place).cooled(held_out_temperature(fit, part, place) * len(self.member_dims))
            weights.append(head.weight)
            bias += head.bias
        head = LinearHead(torch.cat(weights, dim=1), bias).spread(known, len(self.bias))
        self.weight.copy_(head.weight)
        self.bias.copy_(head.bias)
