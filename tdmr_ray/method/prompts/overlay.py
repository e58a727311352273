"""Overlay prompt: learnable pixels are added to the outer part of the image."""

from typing import Literal

import torch
from torch import Tensor

from tdmr_ray.method.clamp import clamp_keeping_way_back
from tdmr_ray.method.component import FoundationShape, ParameterGroup
from tdmr_ray.method.prompts.prompt import FrameConfig, Prompt, frame_mask, pixel_parameter
from tdmr_ray.method.resize import resize


class OverlayPrompt(Prompt):
    """Learnable pixels over the outer part of an image that keeps its size.

    out = clamp(resize(x) + tanh(delta), 0, 1) within `size_px` of the edge, resize(x) further inside. Starts at the
    identity (delta = 0). The clamp lets white and black pixels learn, see `clamp_keeping_way_back`.

    Source: Bahng et al. 2022, arXiv 2203.17274 ("padding" prompts); tanh and clamp are ours and keep images in 0..1.
    """

    class Config(FrameConfig):
        """Hyperparameters of an overlay prompt."""

        kind: Literal["overlay"] = "overlay"

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.size_px, self.lr = config.size_px, config.lr
        self.delta = pixel_parameter(config.size_px, foundation.image_px)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        full = resize(images, self.image_px)
        if self.delta is None:
            return full
        within = frame_mask(self.size_px, self.image_px, self.delta.device)
        return clamp_keeping_way_back(full + torch.tanh(self.delta) * within, 0, 1)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the pixels, without weight decay: zero is a colour like any other."""
        return [] if self.delta is None else [ParameterGroup([self.delta], self.lr)]

    def picture(self) -> Tensor | None:
        """Return the prompt over a grey image, [3, image_px, image_px]."""
        if self.delta is None:
            return None
        grey = torch.full((1, 3, self.image_px, self.image_px), 0.5, device=self.delta.device)
        return self.forward(grey)[0].detach()
