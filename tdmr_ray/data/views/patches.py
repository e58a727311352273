"""Blur and erasing, each applied only to the views that have it."""

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from tdmr_ray.data.views.draws import Draw
from tdmr_ray.data.views.settings import ViewSettings

BLUR_WIDTHS = 0.002, 0.01
"""Standard deviation of the blur, as a fraction of the image's side."""
ERASED_AREAS = 0.02, 0.2
"""Area of the erased box, as a fraction of the image's."""
ERASED_TO = 0.5


def blur_some(images: Tensor, draws: Tensor, settings: ViewSettings) -> None:
    """Blur a fraction of the views in place; `draws` [B, 32] are on the CPU."""
    rows = (draws[:, Draw.BLUR] < settings.blur * settings.strength).nonzero().flatten()
    if len(rows):
        low, high = (width * images.shape[-1] for width in BLUR_WIDTHS)
        sigma = low + (high - low) * draws[rows, Draw.BLUR_WIDTH]
        radius = max(1, math.ceil(2 * high))
        rows, sigma = rows.to(images.device), sigma.to(images.device)
        images[rows] = gaussian_blur(images[rows], sigma, radius)


def gaussian_blur(images: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur images [B, 3, H, W], each by its own standard deviation in pixels, [B]; the kernel ends at `radius`."""
    places = torch.arange(-radius, radius + 1, device=images.device)
    weights = (-0.5 * (places[:, None] / sigma) ** 2).exp()
    weights = (weights / weights.sum(dim=0))[:, :, None, None, None]
    height, width = images.shape[-2:]
    framed = pad(images, (0, 0, radius, radius), mode="replicate")
    down = framed[:, :, :height] * weights[0]
    for place in range(1, len(weights)):
        down.addcmul_(framed[:, :, place : place + height], weights[place])
    framed = pad(down, (radius, radius, 0, 0), mode="replicate")
    across = framed[..., :width] * weights[0]
    for place in range(1, len(weights)):
        across.addcmul_(framed[..., place : place + width], weights[place])
    return across


def erase_some(images: Tensor, draws: Tensor, settings: ViewSettings) -> None:
    """Cover a box in a fraction of the views in place; `draws` [B, 32] are on the CPU.

    Source: Zhong et al. 2020, "Random erasing data augmentation".
    """
    rows = (draws[:, Draw.ERASE] < settings.erase * settings.strength).nonzero().flatten()
    if len(rows):
        low, high = ERASED_AREAS
        area = low + (high - low) * draws[rows, Draw.ERASE_AREA]
        keep, _ = cut_boxes(1 - area, draws[rows][:, [Draw.ERASE_X, Draw.ERASE_Y]], images.shape[-1])
        rows, keep = rows.to(images.device), keep[:, None].to(images.device)
        images[rows] = images[rows] * keep + ERASED_TO * (1 - keep)


def cut_boxes(ratio: Tensor, centre: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Return masks [B, H, W], 0 in a square box of area 1 - ratio, and the fraction of 1s in each, [B]."""
    half = (1 - ratio).clamp(min=0).sqrt()[:, None] * side / 2
    middle = centre.float() * side
    low, high = (middle - half).round().clamp(0, side), (middle + half).round().clamp(0, side)
    place = torch.arange(side)
    inside = (place >= low[:, :, None]) & (place < high[:, :, None])
    mask = 1 - (inside[:, 0, :, None] & inside[:, 1, None, :]).float()
    return mask, mask.mean(dim=(1, 2))
