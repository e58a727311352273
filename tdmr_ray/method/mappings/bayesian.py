"""Bayesian mapping: the probability of each task class given a source class, from counts."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.mappings.label_mapping import LabelMapping, LabelMappingConfig, count_table
from tdmr_ray.method.mappings.mapping import Refit


class BayesianMapping(LabelMapping):
    """A many-to-many mapping from counts, estimated again before every epoch.

    Source: BLM in Cai et al. 2024, arXiv 2410.24018.
    """

    refits: ClassVar[Refit | None] = Refit(each_epoch=True, on_pseudo_labels=True)

    class Config(LabelMappingConfig):
        """Hyperparameters of a Bayesian mapping."""

        kind: Literal["bayesian"] = "bayesian"
        smoothing: float = Field(default=1.0, gt=0)
        """Count that is added to every source class."""

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.smoothing = config.smoothing

    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Count arg-max source classes of labelled images, [N, S] and [N]."""
        table = count_table(source_logits, labels, self.matrix.shape[1])
        self.matrix = bayesian_mapping(table, smoothing=self.smoothing)


def bayesian_mapping(table: Tensor, *, smoothing: float) -> Tensor:
    """Estimate P(task class | source class) from smoothed counts; each column is then scaled to sum to 1, [S, C].

    w = table / (row sum + smoothing). A column without any count stays 0.

    Args:
        table: Counts or summed probabilities, [S, C].
        smoothing: Above 0, so that a source class which never wins weighs nothing.

    Source: Cai et al. 2024 (BLM, BLM+), arXiv 2410.24018.
    """
    weights = table / (table.sum(dim=1, keepdim=True) + smoothing)
    return weights / weights.sum(dim=0, keepdim=True).clamp(min=torch.finfo(table.dtype).tiny)
