"""Masked prompt: learnable pixels whose weight a small network draws from each image."""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tdmr_ray.method.clamp import clamp_keeping_way_back
from tdmr_ray.method.component import FoundationFacts, FoundationShape, ParameterGroup, TaskFacts
from tdmr_ray.method.prompts.prompt import Prompt, PromptConfig, frame_mask, pixel_parameter
from tdmr_ray.method.resize import resize


class MaskedPrompt(Prompt):
    """Learnable pixels over the image, weighted by a mask that a small network predicts for each image.

    out = clamp(r(x) + tanh(delta) * f(r(x)), 0, 1) within `size_px` of the edge, r(x) = resize(x) further inside, with
    f the `MaskNetwork`. A width of half the image covers all of it, as in the paper. Starts at the identity
    (delta = 0). The clamp lets white and black pixels learn, see `clamp_keeping_way_back`.

    Source: Cai et al. 2024 (SMM), arXiv 2406.03150; tanh and clamp are ours and keep images in 0..1.
    """

    class Config(PromptConfig):
        """Hyperparameters of a masked prompt."""

        kind: Literal["masked"] = "masked"
        size_px: int = Field(default=0, ge=0)
        """Width of the prompted part on each side, up to half of the foundation's input; 0 is no prompt."""
        patch_px: Literal[1, 2, 4, 8, 16] = 4
        """Side of the patches that share a mask value."""
        lr: float = Field(default=0.1, gt=0)
        """Peak learning rate of the pixels."""
        mask_lr: float = Field(default=0.01, gt=0)
        """Peak learning rate of the mask network."""

        def check(self, foundation: FoundationFacts, task: TaskFacts) -> list[str]:
            """Require at most the whole image."""
            if 2 * self.size_px <= foundation.image_px:
                return []
            rule = f"must be at most half of the {foundation.image_px} px that '{foundation.name}' takes"
            return [f"size_px: {rule}, got {self.size_px}"]

    def __init__(self, config: Config, foundation: FoundationShape) -> None:
        super().__init__(config, foundation)
        self.config = config
        self.delta = pixel_parameter(config.size_px, foundation.image_px)
        self.mask = MaskNetwork(config.patch_px) if config.size_px else None

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        full = resize(images, self.image_px)
        if self.delta is None or self.mask is None:
            return full
        within = frame_mask(self.config.size_px, self.image_px, self.delta.device)
        return clamp_keeping_way_back(full + torch.tanh(self.delta) * within * self.mask(full), 0, 1)

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the mask network and the pixels, both without weight decay."""
        if self.delta is None or self.mask is None:
            return []
        mask = ParameterGroup(list(self.mask.parameters()), self.config.mask_lr)
        return [mask, ParameterGroup([self.delta], self.config.lr)]

    @torch.no_grad()
    def picture(self) -> Tensor | None:
        """Return the prompt over a grey image, [3, image_px, image_px]."""
        if self.delta is None:
            return None
        training = self.training
        grey = torch.full((1, 3, self.image_px, self.image_px), 0.5, device=self.delta.device)
        shown: Tensor = self.eval()(grey)[0]
        self.train(training)
        return shown


class MaskNetwork(nn.Module):
    """Five 3x3 convolutions that predict the weight of the prompt for every patch and colour channel.

    26,499 parameters. The mask is unbounded. Each halving of the resolution doubles the patch.

    Args:
        patch_px: Side of the patches that share a mask value: 1, 2, 4, 8 or 16.

    Source: Cai et al. 2024 (SMM), arXiv 2406.03150, the five-layer generator.
    """

    WIDTHS = (3, 8, 16, 32, 64)

    def __init__(self, patch_px: int) -> None:
        super().__init__()
        halvings = patch_px.bit_length() - 1
        layers: list[nn.Module] = []
        for number, (width, next_width) in enumerate(pairwise(self.WIDTHS)):
            layers += [nn.Conv2d(width, next_width, 3, padding=1), nn.BatchNorm2d(next_width), nn.ReLU()]
            if number < halvings:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.layers = nn.Sequential(*layers, nn.Conv2d(self.WIDTHS[-1], 3, 3, padding=1))
        self.patch_px = patch_px

    def forward(self, images: Tensor) -> Tensor:
        """Map images [B, 3, H, W] to a mask of the same shape, constant on each patch."""
        coarse = self.layers(images)
        height, width = images.shape[-2:]
        mask: Tensor = interpolate(coarse, scale_factor=self.patch_px, mode="nearest")[..., :height, :width]
        return mask
