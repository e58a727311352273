"""How many images pass a network at a time without gradients, so that activations fit into the memory of a laptop."""

from collections.abc import Callable

import torch
from torch import Tensor

MAX_IMAGES = 256
CPU_PIXELS = 2**18
"""Pixels at a time on a CPU: 5 images of 224 px. More take memory and no less time (`benchmarks/images_at_once.py`)."""


def images_at_once(size_px: int, device: torch.device) -> int:
    """Return a number of square images; on a GPU, `MicroBatches` divides them if they are too many."""
    return MAX_IMAGES if device.type != "cpu" else max(1, min(MAX_IMAGES, CPU_PIXELS // size_px**2))


def in_parts(run: Callable[[Tensor], Tensor], images: Tensor, size_px: int) -> Tensor:
    """Run a function from images [B, ...] to [B, d], few images at a time unless gradients are needed.

    Args:
        run: The function.
        images: Its argument.
        size_px: Side of the images that enter the network.
    """
    count = images_at_once(size_px, images.device)
    if torch.is_grad_enabled() or len(images) <= count:
        return run(images)
    return torch.cat([run(part) for part in images.split(count)])
