"""Small JPEG pictures for the report."""

import base64
import io

import torch
from PIL import Image
from torch import Tensor

MAX_PX = 96
QUALITY = 85
RED = torch.tensor([0.9, 0.1, 0.05])[:, None, None]


def thumbnail(image: Tensor) -> str:
    """Encode an image [3, H, W] in 0..1 as JPEG in base 64, at most `MAX_PX` high and wide."""
    pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    drawn, file = Image.fromarray(pixels), io.BytesIO()
    drawn.thumbnail((MAX_PX, MAX_PX))
    drawn.save(file, "JPEG", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode()


def with_heat(image: Tensor, heat: Tensor) -> Tensor:
    """Return an image [3, H, W] in grey with a red heat map [H, W] on it, both in 0..1."""
    opacity = 0.7 * heat
    return image.mean(dim=0, keepdim=True) * (1 - opacity) + RED * opacity
