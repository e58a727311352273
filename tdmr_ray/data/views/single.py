"""One operation of random strength for some of the views.

Source: Müller, Hutter 2021, "TrivialAugment: Tuning-free yet state-of-the-art data augmentation".
"""

import math
from enum import IntEnum

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, one_hot

from tdmr_ray.data.views.draws import Draw
from tdmr_ray.data.views.settings import ViewSettings


class Single(IntEnum):
    """The operations: those up to saturation change the affine map or the colour matrix, the others the picture."""

    ROTATION = 0
    SHEAR = 1
    SHIFT_X = 2
    SHIFT_Y = 3
    CONTRAST = 4
    BRIGHTNESS = 5
    SATURATION = 6
    POSTERIZE = 7
    SOLARIZE = 8
    AUTOCONTRAST = 9
    SHARPEN = 10


LARGEST = {
    Single.ROTATION: math.radians(30),
    Single.SHEAR: 0.3,
    Single.SHIFT_X: 0.2,
    Single.SHIFT_Y: 0.2,
    Single.CONTRAST: 0.5,
    Single.BRIGHTNESS: 0.3,
    Single.SATURATION: 0.9,
    Single.POSTERIZE: 1.0,
    Single.SOLARIZE: 1.0,
    Single.AUTOCONTRAST: 1.0,
    Single.SHARPEN: 1.0,
}
"""Amount at full strength: radians, fractions of half the side, changes of a factor, or a fraction of the effect."""


def single_amounts(draws: Tensor, settings: ViewSettings) -> Tensor:
    """Return the signed amount of each operation, [B, 11]: 0 except for the one that a view undergoes, if it does."""
    if not settings.single:
        return torch.zeros(len(draws), len(Single))
    chosen = (draws[:, Draw.SINGLE_OPERATION] * len(Single)).long()
    amount = (draws[:, Draw.SINGLE_AMOUNT] * 2 - 1) * settings.strength
    amount = amount * (draws[:, Draw.SINGLE] < settings.single * settings.strength)
    largest = torch.tensor([LARGEST[operation] for operation in Single], dtype=amount.dtype)
    return one_hot(chosen, len(Single)) * amount[:, None] * largest


def change_pictures(images: Tensor, single: Tensor) -> None:
    """Apply, in place, the operations that are neither affine nor linear in the colours, each to the views with it.

    Args:
        images: In 0..1, [B, 3, H, W].
        single: See `single_amounts`, on the CPU.
    """
    changes = {
        Single.POSTERIZE: _posterize,
        Single.SOLARIZE: _solarize,
        Single.AUTOCONTRAST: _autocontrast,
        Single.SHARPEN: _sharpen,
    }
    for operation, change in changes.items():
        rows = single[:, operation].nonzero().flatten()
        if len(rows):
            amount = single[rows, operation].abs().to(images.device)[:, None, None, None]
            rows = rows.to(images.device)
            images[rows] = change(images[rows], amount)


def _posterize(images: Tensor, amount: Tensor) -> Tensor:
    """Leave 32 (amount 0) to 4 (amount 1) levels."""
    levels = (2 ** (5 - 3 * amount)).round() - 1
    return (images * levels).round() / levels


def _solarize(images: Tensor, amount: Tensor) -> Tensor:
    """Invert what is brighter than a threshold, which falls from 1 to 0.5."""
    return torch.where(images > 1 - amount / 2, 1 - images, images)


def _autocontrast(images: Tensor, amount: Tensor) -> Tensor:
    """Move each channel towards the one whose darkest value is 0 and whose brightest is 1."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return images.lerp((images - low) / (high - low).clamp(min=1 / 255), amount)


def _sharpen(images: Tensor, amount: Tensor) -> Tensor:
    """Add up to twice the difference from the mean of 3 x 3 pixels."""
    smooth = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return (images + 2 * amount * (images - smooth)).clamp(0, 1)
