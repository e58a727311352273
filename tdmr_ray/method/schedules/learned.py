"""A temperature that is learned against the target: distillation gets harder as it goes on."""

import math
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.moment import Moment
from tdmr_ray.method.schedules.schedule import Schedule, ScheduleConfig


class LearnedSchedule(Schedule):
    """T = start + (end - start) * sigmoid(level), where the level climbs the loss that the target descends.

    The level starts at 1, so that T starts at 73 % of the way. Its gradient is reversed, at a strength that rises
    from 0 to 1 over the first `curriculum_share` of the distillation.

    Source: Li et al. 2023 (CTKD, global temperature), arXiv 2211.16231; bounds and level are 1, 21 and 1 there.
    """

    class Config(ScheduleConfig):
        """Hyperparameters of a learned temperature; `start` is one of its bounds."""

        schedule: Literal["learned"] = "learned"
        end: float = Field(default=1.0, gt=0)
        """The other bound."""
        curriculum_share: float = Field(default=0.1, gt=0, le=1)
        """Share of the distillation after which the gradient reaches full strength."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.start, self.end, self.curriculum_share = config.start, config.end, config.curriculum_share
        self.level = nn.Parameter(torch.ones(()))

    def forward(self, moment: Moment) -> Tensor:
        """Return the temperature, a scalar; its gradient reaches the level reversed."""
        strength = reversal_strength(moment.progress, self.curriculum_share)
        level: Tensor = _Reversal.apply(self.level, strength)
        return self.start + (self.end - self.start) * torch.sigmoid(level)

    def planned(self, moment: Moment) -> float:
        """Return a line between the bounds, since the learned course is unknown beforehand."""
        return self.start + (self.end - self.start) * moment.progress


def reversal_strength(progress: float, curriculum_share: float) -> float:
    """Rise along a cosine from 0 at the first step to 1 at `curriculum_share` of the distillation.

    Args:
        progress: 0 at the first step, 1 at the end.
        curriculum_share: Share of the distillation, in (0, 1].
    """
    return (1 - math.cos(math.pi * min(1.0, progress / curriculum_share))) / 2


class _Reversal(torch.autograd.Function):
    """The identity, with the gradient times `-strength`."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
