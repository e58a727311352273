"""A veil over the whole image, whose colour is learned."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from tdmr_ray.method.component import FoundationShape, ParameterGroup
from tdmr_ray.method.prompts import Prompt, PromptConfig
from tdmr_ray.method.resize import resize


class VeilPrompt(Prompt):
    """out = (1 - density) * resize(x) + density * sigmoid(colour), with one learned colour."""

    class Config(PromptConfig):
        """Hyperparameters of a veil."""

        kind: Literal["veil"] = "veil"
        density: float = Field(default=0.1, gt=0, lt=1)
        """Share of the veil in every pixel."""

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.density = config.density
        self.colour = nn.Parameter(torch.zeros(3))

    def forward(self, images: Tensor) -> Tensor:
        """Veil images [B, 3, h, w]."""
        colour = self.colour.sigmoid()[:, None, None]
        return (1 - self.density) * resize(images, self.image_px).clamp(0, 1) + self.density * colour

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the colour."""
        return [ParameterGroup([self.colour], lr=0.1)]

    def picture(self) -> Tensor:
        """Return a grey image behind the veil."""
        return self.forward(torch.full((1, 3, 1, 1), 0.5))[0].detach()
