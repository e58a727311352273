"""Prompts: learnable pixels around or over the resized image."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad


class BorderPrompt(nn.Module):
    """The image shrinks to leave room, and learnable pixels frame it.

    out = sigmoid(delta) in the frame, resize(x) inside. The frame starts grey (delta = 0), or by `start_from` in the
    colour of the images' edges. With `size_px` 0 it only resizes.

    Args:
        size_px: Width of the frame on each side, 0 <= size_px < image_px / 2.
        image_px: Height and width that the foundation takes.

    Raises:
        ValueError: If the frame leaves no room for the image.

    Source: Chen et al. 2023 (ILM-VP), arXiv 2211.11635.
    """

    def __init__(self, size_px: int, image_px: int) -> None:
        super().__init__()
        self.size_px, self.image_px = size_px, image_px
        self.delta = prompt_pixels(size_px, image_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        inner = resize(images, self.image_px - 2 * self.size_px)
        if self.delta is None:
            return inner
        framed = pad(inner, [self.size_px] * 4)
        return framed + torch.sigmoid(self.delta) * frame_mask(self.size_px, self.image_px)

    @torch.no_grad()
    def start_from(self, images: Tensor) -> None:
        """Give the frame the mean colour of the outermost pixels of images in 0..1, [N, 3, h, w].

        A grey frame around white writing on black cost a built-in foundation 30 points that training did not win back.
        """
        if self.delta is None:
            return
        edges = torch.cat([images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1]], dim=-1)
        colour = edges.mean(dim=(0, 2)).clamp(0.02, 0.98)
        self.delta.copy_(colour.logit()[:, None, None].expand_as(self.delta))

    def picture(self) -> Tensor:
        """The prompt alone as an image in 0..1, [3, image_px, image_px]."""
        return self.forward(torch.zeros(1, 3, self.image_px, self.image_px))[0].detach()


class OverlayPrompt(nn.Module):
    """The image keeps its size, and learnable pixels are added to its outer part.

    out = clamp(resize(x) + tanh(delta), 0, 1) within `size_px` of the edge, resize(x) further inside. Starts at the
    identity (delta = 0).

    Args:
        size_px: Width of the prompted part on each side, 0 <= size_px < image_px / 2.
        image_px: Height and width that the foundation takes.

    Raises:
        ValueError: If `size_px` is out of range.

    Source: Bahng et al. 2022, arXiv 2203.17274 ("padding" prompts).
    """

    def __init__(self, size_px: int, image_px: int) -> None:
        super().__init__()
        self.size_px, self.image_px = size_px, image_px
        self.delta = prompt_pixels(size_px, image_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        full = resize(images, self.image_px)
        if self.delta is None:
            return full
        return (full + torch.tanh(self.delta) * frame_mask(self.size_px, self.image_px)).clamp(0, 1)

    def start_from(self, images: Tensor) -> None:
        """Nothing: it starts at the identity."""

    def picture(self) -> Tensor:
        """The prompt over a grey image, in 0..1, [3, image_px, image_px]."""
        return self.forward(torch.full((1, 3, self.image_px, self.image_px), 0.5))[0].detach()


Prompt = BorderPrompt | OverlayPrompt
PROMPTS: dict[str, Callable[[int, int], Prompt]] = {"border": BorderPrompt, "overlay": OverlayPrompt}


def prompt_pixels(size_px: int, image_px: int) -> nn.Parameter | None:
    """What a prompt learns, zeros of [3, image_px, image_px]; None if it has no width.

    Raises:
        ValueError: Unless 0 <= size_px < image_px / 2.
    """
    if not 0 <= size_px < image_px / 2:
        raise ValueError(f"0 <= size_px < image_px / 2 must hold, but got (size_px={size_px}, image_px={image_px})")
    return nn.Parameter(torch.zeros(3, image_px, image_px)) if size_px else None


def resize(images: Tensor, side_px: int) -> Tensor:
    """Bilinear, with anti-aliasing when it shrinks; the images themselves when they fit already."""
    if images.shape[-2:] == (side_px, side_px):
        return images
    return interpolate(images, size=(side_px, side_px), mode="bilinear", align_corners=False, antialias=True)


def frame_mask(size_px: int, image_px: int) -> Tensor:
    """1 within `size_px` of the edge, 0 inside, [image_px, image_px]."""
    mask = torch.ones(image_px, image_px)
    mask[size_px : image_px - size_px, size_px : image_px - size_px] = 0
    return mask
