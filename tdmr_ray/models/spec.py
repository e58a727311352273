"""Input specification of a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class InputSpec:
    """Size and statistics of a network's input.

    Attributes:
        size_px: Height and width.
        mean: Mean of each channel, for images in 0..1.
        std: Standard deviation of each channel, for images in 0..1.
    """

    size_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> "InputSpec":
        """Read the specification from a timm model's `pretrained_cfg`."""
        return cls(int(config["input_size"][-1]), tuple(config["mean"]), tuple(config["std"]))

    def normalize(self, images: Tensor) -> Tensor:
        """Return (images - mean) / std for images in 0..1, [B, C, H, W]."""
        mean = torch.tensor(self.mean, device=images.device).view(1, -1, 1, 1)
        gain = 1 / torch.tensor(self.std, device=images.device).view(1, -1, 1, 1)
        return (images - mean).mul_(gain)
