"""Random distortions of rendered glyphs, a batch at a time.

Designed for transfer to low-resolution handwriting: strokes of any weight, slants, uneven strokes (a smooth
random displacement) and, for two thirds of the images, a resolution of 8 to 16 px before 32 px.
"""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

IMAGE_SIZE_PX = 32
_LOW_SIZES_PX = (8, 8, 8, 8, 10, 12, 16)
_FULL_SIZE_SHARE = 0.33


def distort(glyphs: Tensor, generator: Generator) -> Tensor:
    """Distort each glyph independently.

    Args:
        glyphs: [B, S, S] uint8, white on black.
        generator: Sole source of randomness.

    Returns:
        [B, 3, 32, 32] float, 0..1.
    """
    ink = glyphs[:, None].float() / 255
    ink = change_thickness(ink, generator)
    ink = warp(ink, generator)
    ink = lower_resolution(ink, generator)
    return colour(ink, generator)


def change_thickness(ink: Tensor, generator: Generator) -> Tensor:
    """Thin strokes by up to 1 px a side or thicken them by up to 2 px, [B, 1, S, S]."""
    amount = _uniform(len(ink), -1, 2, generator)[:, None, None, None]
    thin = -F.max_pool2d(-ink, 3, stride=1, padding=1)
    thick = F.max_pool2d(ink, 3, stride=1, padding=1)
    thicker = F.max_pool2d(thick, 3, stride=1, padding=1)
    ink = torch.lerp(ink, thin, (-amount).clamp(0, 1))
    ink = torch.lerp(ink, thick, amount.clamp(0, 1))
    return torch.lerp(ink, thicker, (amount - 1).clamp(0, 1))


def warp(ink: Tensor, generator: Generator) -> Tensor:
    """Rotate (25 degrees), scale, stretch, shear, move and bend: [B, 1, S, S] to [B, 1, 32, 32]."""
    num = len(ink)
    angle = _uniform(num, -25, 25, generator) * (math.pi / 180)
    zoom = _uniform(num, -0.3, 0.25, generator).exp()
    stretch = _uniform(num, -0.3, 0.3, generator).exp()
    shear = _uniform(num, -0.4, 0.4, generator)
    shift = _uniform((num, 2), -0.12, 0.12, generator)
    cos, sin = angle.cos(), angle.sin()
    rows = (
        torch.stack([cos / stretch, shear * cos - sin, shift[:, 0]], dim=1),
        torch.stack([sin / stretch, shear * sin + cos, shift[:, 1]], dim=1),
    )
    theta = torch.stack(rows, dim=1) / zoom[:, None, None]
    grid = F.affine_grid(theta, [num, 1, IMAGE_SIZE_PX, IMAGE_SIZE_PX], align_corners=False)
    return F.grid_sample(ink, grid + _bend(num, generator), align_corners=False)


def lower_resolution(ink: Tensor, generator: Generator) -> Tensor:
    """Average two thirds of the images down to 8..16 px and interpolate them back, [B, 1, 32, 32]."""
    size_index = torch.randint(len(_LOW_SIZES_PX), (len(ink),), generator=generator)
    stays = _uniform(len(ink), 0, 1, generator) < _FULL_SIZE_SHARE
    sizes = torch.tensor(_LOW_SIZES_PX)[size_index].masked_fill(stays, IMAGE_SIZE_PX)
    result = ink.clone()
    for size_px in sorted(set(_LOW_SIZES_PX)):
        chosen = (sizes == size_px).nonzero()[:, 0]
        if len(chosen):
            small = F.interpolate(ink[chosen], size=size_px, mode="area")
            result[chosen] = F.interpolate(small, size=IMAGE_SIZE_PX, mode="bilinear", align_corners=False)
    return result


def colour(ink: Tensor, generator: Generator) -> Tensor:
    """Render ink 0..1 as a picture: gamma, ink and paper brightness, a tint (1 in 4), inversion (1 in 4), noise.

    [B, 1, H, W] to [B, 3, H, W], 0..1.
    """
    num = len(ink)
    ink = ink.clamp(0, 1).pow(_uniform((num, 1, 1, 1), -0.6, 0.6, generator).exp())
    paper = _uniform((num, 1, 1, 1), 0, 0.3, generator)
    pen = _uniform((num, 1, 1, 1), 0.6, 1, generator)
    tinted = _uniform((num, 1, 1, 1), 0, 1, generator) < 0.25
    tint = _uniform((2, num, 3, 1, 1), -0.3, 0.3, generator) * tinted
    image = torch.lerp(paper + tint[0], pen + tint[1], ink)
    inverted = _uniform((num, 1, 1, 1), 0, 1, generator) < 0.25
    image = torch.where(inverted, 1 - image, image)
    spread = _uniform((num, 1, 1, 1), -0.1, 0.12, generator).clamp_min(0)
    noise = torch.randn(ink.shape, generator=generator)
    return (image + spread * noise).clamp(0, 1)


def _bend(num: int, generator: Generator) -> Tensor:
    """Return a smooth displacement, [B, 32, 32, 2] in half image widths, from a random 5 x 5 grid."""
    strength = _uniform((num, 1, 1, 1), 0, 0.12, generator)
    coarse = torch.randn((num, 2, 5, 5), generator=generator) * strength
    fine = F.interpolate(coarse, size=IMAGE_SIZE_PX, mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def _uniform(shape: int | tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator) * (high - low) + low
