"""A temperature that is learned against the target: distillation gets harder as it goes on."""

import math
from typing import Any

import torch
from torch import Tensor, nn

CURRICULUM_SHARE = 0.1
"""Of the distillation, until the temperature learns at full strength."""


class LearnedTemperature(nn.Module):
    """T = start + (end - start) * sigmoid(level), where the level climbs the loss that the target descends.

    The level starts at 1, so that T starts at 73 % of the way. Its gradient is reversed.

    Args:
        start: One bound, > 0.
        end: The other, > 0.

    Raises:
        ValueError: If a bound is not positive.

    Source: Li et al. 2023 (CTKD, global temperature), arXiv 2211.16231; bounds and level are 1, 21 and 1 there.
    """

    def __init__(self, start: float, end: float) -> None:
        super().__init__()
        if start <= 0 or end <= 0:
            raise ValueError(f"temperatures must be positive, but got (start={start}, end={end})")
        self.start, self.end = start, end
        self.level = nn.Parameter(torch.ones(()))

    def forward(self, strength: float) -> Tensor:
        """The temperature, a scalar; its gradient reaches the level times `-strength`."""
        level: Tensor = _Reversal.apply(self.level, strength)
        return self.start + (self.end - self.start) * torch.sigmoid(level)


def reversal_strength(progress: float) -> float:
    """0 at the first step, 1 from a tenth of the distillation on, along a cosine between.

    Args:
        progress: 0 at the first step, 1 at the last.
    """
    return (1 - math.cos(math.pi * min(1.0, progress / CURRICULUM_SHARE))) / 2


class _Reversal(torch.autograd.Function):
    """The identity, with the gradient times `-strength`."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None
