"""Where tensors live."""

import math

import torch

from tdmr_ray.errors import NonFiniteLoss


def pick_device() -> torch.device:
    """The GPU this process was given, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def check_finite(losses: dict[str, float], where: str) -> None:
    """Raises NonFiniteLoss if any of the named losses is NaN or infinite."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise NonFiniteLoss(f"{where}: {', '.join(bad)} became non-finite; lower the learning rate")
