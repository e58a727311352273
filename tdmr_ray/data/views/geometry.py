"""Where a view lies in its image: one affine map for rotation, size, shear, shift, crop and mirroring."""

import math

import torch
from torch import Tensor

from tdmr_ray.data.views.draws import Draw
from tdmr_ray.data.views.settings import ViewSettings
from tdmr_ray.data.views.single import Single


def affine_matrices(draws: Tensor, single: Tensor, settings: ViewSettings) -> Tensor:
    """Return matrices [B, 2, 3] for `affine_grid`.

    Args:
        draws: In 0..1, [B, 32].
        single: See `single_amounts`.
        settings: Strength of the distortions.
    """
    spread = (draws * 2 - 1) * settings.strength
    angle = spread[:, Draw.ROTATION] * (settings.rotation_deg * math.pi / 180) + single[:, Single.ROTATION]
    size = 1 / (1 + settings.scale * spread[:, Draw.SCALE])
    aspect = 1 + settings.scale / 3 * spread[:, Draw.ASPECT]
    cos, sin = angle.cos(), angle.sin()
    shear = settings.shear * spread[:, Draw.SHEAR] + single[:, Single.SHEAR]
    shift_x = 2 * settings.shift * spread[:, Draw.SHIFT_X] + single[:, Single.SHIFT_X]
    shift_y = 2 * settings.shift * spread[:, Draw.SHIFT_Y] + single[:, Single.SHIFT_Y]
    top = torch.stack([cos * size * aspect, (shear * cos - sin) * size, shift_x], dim=1)
    bottom = torch.stack([sin * size, (shear * sin + cos) * size / aspect, shift_y], dim=1)
    theta = torch.stack([top, bottom], dim=1).float()
    if settings.crop or settings.crop_ratio:
        theta = _crop(theta, draws, settings)
    if settings.mirror:
        theta[:, :, 0] *= torch.where(draws[:, Draw.MIRROR] < 0.5, -1.0, 1.0)[:, None]
    return theta


def _crop(theta: Tensor, draws: Tensor, settings: ViewSettings) -> Tensor:
    """Let the maps end in a box inside the image, with a log-uniform area and ratio of its sides."""
    area = (1 - settings.crop * settings.strength) ** draws[:, Draw.CROP_AREA]
    ratio = (1 + settings.crop_ratio * settings.strength) ** (draws[:, Draw.CROP_RATIO] * 2 - 1)
    sides = torch.stack([area * ratio, area / ratio], dim=1).sqrt().clamp(max=1)
    theta = theta * sides[:, :, None]
    theta[:, :, 2] += (draws[:, [Draw.CROP_X, Draw.CROP_Y]] * 2 - 1) * (1 - sides)
    return theta
