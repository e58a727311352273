"""Random mapping: an arbitrary source class for each task class."""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from tdmr_ray.method.component import FoundationShape, TaskFacts
from tdmr_ray.method.mappings.label_mapping import LabelMapping, LabelMappingConfig, check_one_to_one


class RandomMapping(LabelMapping):
    """A random injective choice of source classes; the control for the other label mappings.

    Source: RLM in Chen et al. 2023 (ILM-VP), arXiv 2211.11635.
    """

    class Config(LabelMappingConfig):
        """Hyperparameters of a random mapping: none."""

        one_to_one: ClassVar[bool] = True

        kind: Literal["random"] = "random"

    def __init__(self, config: Config, foundation: FoundationShape, task: TaskFacts, *, seed: int) -> None:
        super().__init__(config, foundation, task, seed=seed)
        self.matrix = random_mapping(foundation.num_source_classes, task.num_classes, seed=seed)


def random_mapping(num_source_classes: int, num_classes: int, *, seed: int) -> Tensor:
    """Draw a random injective choice of a source class for each task class, [S, C].

    Raises:
        ValueError: If there are more task classes than source classes.
    """
    check_one_to_one(num_source_classes, num_classes)
    order = torch.randperm(num_source_classes, generator=torch.Generator().manual_seed(seed))
    return one_hot(order[:num_classes], num_source_classes).T.float()
