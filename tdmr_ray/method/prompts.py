"""Prompts: learnable pixels around or over the resized image."""

from itertools import pairwise

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

    tokens = None

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
        return framed + torch.sigmoid(self.delta) * frame_mask(self.size_px, self.image_px, self.delta.device)

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

    tokens = None

    def __init__(self, size_px: int, image_px: int) -> None:
        super().__init__()
        self.size_px, self.image_px = size_px, image_px
        self.delta = prompt_pixels(size_px, image_px)

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        full = resize(images, self.image_px)
        if self.delta is None:
            return full
        return (full + torch.tanh(self.delta) * frame_mask(self.size_px, self.image_px, self.delta.device)).clamp(0, 1)

    def start_from(self, images: Tensor) -> None:
        """Nothing: it starts at the identity."""

    def picture(self) -> Tensor:
        """The prompt over a grey image, in 0..1, [3, image_px, image_px]."""
        return self.forward(torch.full((1, 3, self.image_px, self.image_px), 0.5))[0].detach()


class MaskedPrompt(nn.Module):
    """Learnable pixels over the image, weighed for each image by a mask that a small network draws from it.

    out = clamp(r(x) + tanh(delta) * f(r(x)), 0, 1) within `size_px` of the edge, r(x) = resize(x) further inside;
    half of `image_px` covers the whole image, as in the paper. f is `MaskNetwork`. Starts at the identity (delta = 0).

    Args:
        size_px: Width of the prompted part on each side, 0 <= size_px <= image_px / 2; 0 is no prompt.
        image_px: Height and width that the foundation takes.
        patch_px: Side of the patches that share a mask value, a power of two.

    Raises:
        ValueError: If `size_px` or `patch_px` is out of range.

    Source: Cai et al. 2024 (SMM), arXiv 2406.03150; tanh and clamp are ours, so that images stay in 0..1.
    """

    tokens = None

    def __init__(self, size_px: int, image_px: int, patch_px: int = 4) -> None:
        super().__init__()
        self.size_px, self.image_px = size_px, image_px
        self.delta = prompt_pixels(size_px, image_px, may_cover_all=True)
        self.mask = MaskNetwork(patch_px) if size_px else None

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        full = resize(images, self.image_px)
        if self.delta is None or self.mask is None:
            return full
        within = frame_mask(self.size_px, self.image_px, self.delta.device)
        shown: Tensor = full + torch.tanh(self.delta) * within * self.mask(full)
        return shown.clamp(0, 1)

    def start_from(self, images: Tensor) -> None:
        """Nothing: it starts at the identity."""

    @torch.no_grad()
    def picture(self) -> Tensor:
        """The prompt over a grey image, in 0..1, [3, image_px, image_px]."""
        training = self.training
        shown: Tensor = self.eval()(torch.full((1, 3, self.image_px, self.image_px), 0.5))[0]
        self.train(training)
        return shown


class MaskNetwork(nn.Module):
    """Five 3x3 convolutions that say, for every patch and colour, how much of the prompt an image gets.

    26,499 parameters. The mask has no bounds. Each halving of the resolution doubles the patch.

    Args:
        patch_px: 1, 2, 4, 8 or 16.

    Raises:
        ValueError: If the side is none of these.

    Source: Cai et al. 2024 (SMM), arXiv 2406.03150, the five-layer generator.
    """

    WIDTHS = (3, 8, 16, 32, 64)

    def __init__(self, patch_px: int) -> None:
        super().__init__()
        if patch_px not in (1, 2, 4, 8, 16):
            raise ValueError(f"patch_px must be 1, 2, 4, 8 or 16, but got {patch_px}")
        halvings = patch_px.bit_length() - 1
        layers: list[nn.Module] = []
        for number, (width, next_width) in enumerate(pairwise(self.WIDTHS)):
            layers += [nn.Conv2d(width, next_width, 3, padding=1), nn.BatchNorm2d(next_width), nn.ReLU()]
            if number < halvings:
                layers.append(nn.MaxPool2d(2, ceil_mode=True))
        self.layers = nn.Sequential(*layers, nn.Conv2d(self.WIDTHS[-1], 3, 3, padding=1))
        self.patch_px = patch_px

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to a mask of the same shape, constant on each patch."""
        coarse = self.layers(images)
        height, width = images.shape[-2:]
        mask: Tensor = interpolate(coarse, scale_factor=self.patch_px, mode="nearest")[..., :height, :width]
        return mask


class TokenPrompt(nn.Module):
    """Learned tokens beside the patches of a transformer; the image is only resized.

    They join between class token and patches before the first block, and leave after the last (shallow).

    Args:
        num_tokens: >= 1.
        token_dim: Width of the foundation's tokens.
        image_px: Height and width that the foundation takes.

    Raises:
        ValueError: If the foundation takes no tokens (`token_dim` 0) or there are none.

    Source: Jia et al. 2022 (VPT shallow), arXiv 2203.12119.
    """

    def __init__(self, num_tokens: int, token_dim: int, image_px: int) -> None:
        super().__init__()
        if num_tokens < 1 or token_dim < 1:
            raise ValueError(f"tokens need a transformer and at least one, but got ({num_tokens=}, {token_dim=})")
        self.image_px = image_px
        bound = (6 / (num_tokens + token_dim)) ** 0.5
        self.tokens = nn.Parameter(torch.empty(num_tokens, token_dim).uniform_(-bound, bound))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, h, w] in 0..1 to [B, 3, image_px, image_px] in 0..1."""
        return resize(images, self.image_px)

    def start_from(self, images: Tensor) -> None:
        """Nothing: the tokens start at random."""

    def picture(self) -> Tensor:
        """Grey: tokens cannot be seen, [3, image_px, image_px]."""
        return torch.full((3, self.image_px, self.image_px), 0.5)


Prompt = BorderPrompt | OverlayPrompt | MaskedPrompt | TokenPrompt
PROMPTS = ("border", "overlay", "masked", "tokens")


def build_prompt(
    kind: str, *, size_px: int, image_px: int, patch_px: int = 4, num_tokens: int = 5, token_dim: int = 0
) -> Prompt:
    """Assemble a prompt of one of the kinds in `PROMPTS`.

    Args:
        kind: Which.
        size_px: Read by all but `tokens`.
        image_px: Height and width that the foundation takes.
        patch_px: Read by `masked`.
        num_tokens: Read by `tokens`.
        token_dim: Width of the foundation's tokens, 0 if it takes none; read by `tokens`.

    Raises:
        ValueError: If the kind is unknown, or what it reads is out of range.
    """
    if kind == "tokens":
        return TokenPrompt(num_tokens, token_dim, image_px)
    if kind == "masked":
        return MaskedPrompt(size_px, image_px, patch_px)
    if kind == "border":
        return BorderPrompt(size_px, image_px)
    if kind == "overlay":
        return OverlayPrompt(size_px, image_px)
    raise ValueError(f"prompt kind must be one of {', '.join(PROMPTS)}, but got '{kind}'")


def prompt_pixels(size_px: int, image_px: int, *, may_cover_all: bool = False) -> nn.Parameter | None:
    """What a prompt learns, zeros of [3, image_px, image_px]; None if it has no width.

    Raises:
        ValueError: Unless 0 <= size_px < image_px / 2; half of it is allowed if the prompt `may_cover_all`.
    """
    if may_cover_all and 2 * size_px == image_px:
        return nn.Parameter(torch.zeros(3, image_px, image_px))
    if not 0 <= size_px < image_px / 2:
        raise ValueError(f"0 <= size_px < image_px / 2 must hold, but got (size_px={size_px}, image_px={image_px})")
    return nn.Parameter(torch.zeros(3, image_px, image_px)) if size_px else None


def resize(images: Tensor, side_px: int) -> Tensor:
    """Bilinear, with anti-aliasing when it shrinks; the images themselves when they fit already."""
    if images.shape[-2:] == (side_px, side_px):
        return images
    return interpolate(images, size=(side_px, side_px), mode="bilinear", align_corners=False, antialias=True)


def frame_mask(size_px: int, image_px: int, device: torch.device | None = None) -> Tensor:
    """1 within `size_px` of the edge, 0 inside, [image_px, image_px]."""
    mask = torch.ones(image_px, image_px, device=device)
    mask[size_px : image_px - size_px, size_px : image_px - size_px] = 0
    return mask
