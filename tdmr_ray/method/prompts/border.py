"""Border prompt: the image shrinks, and learnable pixels frame it."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from tdmr_ray.method.component import FoundationShape, ParameterGroup
from tdmr_ray.method.prompts.prompt import FrameConfig, Prompt, frame_mask, pixel_parameter
from tdmr_ray.method.resize import resize


class BorderPrompt(Prompt):
    """Learnable pixels around the shrunken image.

    out = sigmoid(delta) in the frame, resize(x) inside. The frame starts grey (delta = 0), or by `start_from` in the
    colour of the images' edges. With `size_px` 0 the prompt only resizes.

    Source: Chen et al. 2023 (ILM-VP), arXiv 2211.11635.
    """

    class Config(FrameConfig):
        """Hyperparameters of a border prompt."""

        kind: Literal["border"] = "border"

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.size_px, self.lr = config.size_px, config.lr
        self.delta = pixel_parameter(config.size_px, foundation.image_px)

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        inner = resize(images, self.image_px - 2 * self.size_px)
        if self.delta is None:
            return inner
        framed = pad(inner, [self.size_px] * 4)
        return framed + torch.sigmoid(self.delta) * frame_mask(self.size_px, self.image_px, self.delta.device)

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Give the frame the mean colour of the outermost pixels of images [N, 3, h, w] in 0..1.

        A grey frame around white writing on black cost a built-in foundation 30 points that training did not win back.
        """
        if self.delta is None:
            return
        edges = torch.cat([images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]], dim=-1)
        colour = edges.mean(dim=(0, 2)).clamp(0.02, 0.98)
        self.delta.copy_(colour.logit()[:, None, None].expand_as(self.delta))

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the pixels, without weight decay: zero is a colour like any other."""
        return [] if self.delta is None else [ParameterGroup([self.delta], self.lr)]

    def picture(self) -> Tensor | None:
        """Return the frame around a black image, [3, image_px, image_px]."""
        if self.delta is None:
            return None
        black = self.delta.new_zeros(1, 3, self.image_px, self.image_px)
        return self.forward(black)[0].detach()
