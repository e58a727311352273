"""The interface of prompts, and the pixels that several of them learn."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.component import ComponentConfig, FoundationFacts, FoundationShape, ParameterGroup, TaskFacts


class PromptConfig(ComponentConfig):
    """Hyperparameters of a prompt."""

    shapes_teacher: ClassVar[bool] = True

    kind: str


class FrameConfig(PromptConfig):
    """Hyperparameters of a prompt of pixels along the edges, which leaves the middle of the image free."""

    size_px: int = Field(default=0, ge=0)
    """Width on each side, in the foundation's pixels; 0 is no prompt."""
    lr: float = Field(default=0.1, gt=0)
    """Peak learning rate of the pixels."""

    def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
        """Require a width below half of the foundation's input."""
        if 2 * self.size_px < foundation.image_px:
            return []
        rule = f"must be less than half of the {foundation.image_px} px that '{foundation.name}' takes"
        return [f"size_px: {rule}, got {self.size_px}"]


class Prompt(nn.Module, ABC):
    """A learnable change of a foundation's input.

    Args:
        foundation: The foundation that the prompt is built for.

    Attributes:
        Config: Its hyperparameters.
        image_px: Height and width that the foundation takes.
    """

    Config: ClassVar[type[PromptConfig]]

    def __init__(self, config: PromptConfig, foundation: FoundationShape) -> None:
        super().__init__()
        self.image_px = foundation.image_px

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""

    def start_from(self, images: Tensor) -> None:
        """Adapt the initial values to labelled images [N, 3, h, w] in 0..1; most prompts ignore them."""

    def extra_tokens(self) -> Tensor | None:
        """Return tokens [P, token_dim] that join the patches of every image, if the prompt has any."""
        return None

    @abstractmethod
    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the trained parameters with their learning rates."""

    def picture(self) -> Tensor | None:
        """Return the prompt as an image [3, image_px, image_px] in 0..1, or None if there is nothing to see."""
        return None

    @property
    def learns(self) -> bool:
        """Whether any parameter is trained."""
        return any(parameter.requires_grad for parameter in self.parameters())


def pixel_parameter(width_px: int, image_px: int) -> nn.Parameter | None:
    """Zeros [3, image_px, image_px] to be learned; None for a prompt without width."""
    return nn.Parameter(torch.zeros(3, image_px, image_px)) if width_px else None


def frame_mask(width_px: int, image_px: int, device: torch.device | None = None) -> Tensor:
    """1 within `width_px` of the edge, 0 inside, [image_px, image_px]."""
    mask = torch.ones(image_px, image_px, device=device)
    mask[width_px : image_px - width_px, width_px : image_px - width_px] = 0
    return mask
