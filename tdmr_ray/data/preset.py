"""Presets of views, and which of them suits images that nobody has described."""

from typing import Literal, get_args

import torch
from torch import Tensor

Preset = Literal["photo", "document", "none"]
"""Kind of images: `photo` may be mirrored, cropped and recoloured; `document` has a direction, as writing does."""
PRESET_NAMES: tuple[Preset, ...] = get_args(Preset)

GREY_TOLERANCE = 2
"""Largest difference between the channels of a grey pixel, out of 255; what JPEG leaves of a grey scan."""


def preset_of(images: Tensor) -> Preset:
    """Return `document` if all images, uint8 [N, 3, H, W], are grey, else `photo`.

    Scans, drawings and technical images are often grey and may have a direction. Not mirroring cannot make a label
    wrong, so they get the preset that does not mirror. Stops at the first images with a colour.
    """
    return "document" if all(_all_grey(block) for block in images.split(256)) else "photo"


def _all_grey(images: Tensor) -> bool:
    low, high = torch.aminmax(images, dim=1)
    return bool(((high - low) <= GREY_TOLERANCE).all())
