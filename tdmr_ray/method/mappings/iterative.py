"""Iterative mapping: a frequency mapping that follows the prompt."""

from typing import ClassVar, Literal

from tdmr_ray.method.mappings.frequency import FrequencyMapping
from tdmr_ray.method.mappings.label_mapping import LabelMappingConfig
from tdmr_ray.method.mappings.mapping import Refit


class IterativeMapping(FrequencyMapping):
    """A greedy one-to-one mapping, estimated again before every epoch from prompted predictions.

    Source: ILM in Chen et al. 2023 (ILM-VP), arXiv 2211.11635.
    """

    refits: ClassVar[Refit | None] = Refit(each_epoch=True, on_pseudo_labels=True)

    class Config(LabelMappingConfig):
        """Hyperparameters of an iterative mapping: none."""

        one_to_one: ClassVar[bool] = True

        kind: Literal["iterative"] = "iterative"
