"""Contrast, brightness, saturation and hue as one 3 x 4 matrix for each view."""

import torch
from torch import Tensor

from tdmr_ray.data.views.draws import Draw
from tdmr_ray.data.views.settings import ViewSettings
from tdmr_ray.data.views.single import Single

_LUMA = (0.213, 0.715, 0.072)
_HUE_SINE = ((-0.213, -0.715, 0.928), (0.143, 0.140, -0.283), (-0.787, 0.715, 0.072))
"""Part of the hue's rotation that grows with the angle's sine."""


def change_colours(images: Tensor, draws: Tensor, single: Tensor, settings: ViewSettings) -> Tensor:
    """Return views with other colours, clamped to 0..1; overwrites `images`.

    Args:
        images: [B, 3, H, W], about in 0..1.
        draws: In 0..1, [B, 32].
        single: See `single_amounts`.
        settings: Strength of the changes.
    """
    spread = (draws * 2 - 1) * settings.strength
    gain = (1 + settings.contrast * spread[:, Draw.CONTRAST]) * (1 + single[:, Single.CONTRAST])
    lift = settings.brightness * spread[:, Draw.BRIGHTNESS] + single[:, Single.BRIGHTNESS]
    if not (settings.saturation or settings.hue_deg or settings.single):
        gain, lift = gain[:, None, None, None], lift[:, None, None, None]
        return images.sub_(0.5).mul_(gain).add_(0.5).add_(lift).clamp_(0, 1)
    saturation = (1 + settings.saturation * spread[:, Draw.SATURATION]) * (1 + single[:, Single.SATURATION])
    hue = (settings.hue_deg * spread[:, Draw.HUE]).deg2rad()
    matrices = gain[:, None, None] * colour_matrices(saturation, hue)
    return _transform(images, matrices, 0.5 + lift - 0.5 * gain).clamp_(0, 1)


def colour_matrices(saturation: Tensor, hue: Tensor) -> Tensor:
    """Return matrices [B, 3, 3] that scale the saturation, rotate the hue (in radians) and keep greys.

    Source: W3C, "Filter Effects Module Level 1", feColorMatrix: saturate and hueRotate.
    """
    grey = torch.tensor(_LUMA, device=hue.device).expand(3, 3)
    colour = torch.eye(3, device=hue.device) - grey
    sine = torch.tensor(_HUE_SINE, device=hue.device)
    along, across = (saturation * hue.cos())[:, None, None], (saturation * hue.sin())[:, None, None]
    return grey + along * colour + across * sine


def _transform(images: Tensor, matrices: Tensor, offset: Tensor) -> Tensor:
    """Multiply the colours [B, 3, H, W] by matrices [B, 3, 3] and add [B].

    Element by element: a batched matrix product may round differently in a batch of another size.
    """
    out = torch.empty_like(images)
    weights = matrices[:, :, :, None, None]
    for channel in range(3):
        plane = out[:, channel]
        torch.mul(images[:, 0], weights[:, channel, 0], out=plane)
        plane.addcmul_(images[:, 1], weights[:, channel, 1])
        plane.addcmul_(images[:, 2], weights[:, channel, 2])
        plane.add_(offset[:, None, None])
    return out
