"""Bayesian mapping from probabilities instead of counts."""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.mappings.bayesian import bayesian_mapping
from tdmr_ray.method.mappings.label_mapping import LabelMapping, LabelMappingConfig, probability_table
from tdmr_ray.method.mappings.mapping import Refit


class BayesianPlusMapping(LabelMapping):
    """A many-to-many mapping from top-k probabilities, estimated again before every epoch.

    Source: BLM+ in Cai et al. 2024, arXiv 2410.24018.
    """

    refits: ClassVar[Refit | None] = Refit(each_epoch=True, on_pseudo_labels=True)

    class Config(LabelMappingConfig):
        """Hyperparameters of a Bayesian mapping from probabilities."""

        kind: Literal["bayesian_plus"] = "bayesian_plus"
        smoothing: float = Field(default=1.0, gt=0)
        """Probability mass that is added to every source class."""
        top_k_fraction: float = Field(default=0.15, gt=0, le=1)
        """Share of source classes that count for an image."""

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.smoothing = config.smoothing
        self.top_k = max(1, round(config.top_k_fraction * foundation.num_source_classes))

    def refit(self, features: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Sum top-k probabilities of labelled images, [N, S] and [N]."""
        table = probability_table(source_logits, labels, self.matrix.shape[1], top_k=self.top_k)
        self.matrix = bayesian_mapping(table, smoothing=self.smoothing)
