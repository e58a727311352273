"""Where tensors live, and in which precision networks run there."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from tdmr_ray.errors import NonFiniteLoss
from tdmr_ray.training.config import Precision


def pick_device() -> torch.device:
    """The GPU this process was given, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def used_precision(asked: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """What a configuration's `precision` comes to on a device; a GPU that only emulates bf16 is not made for it."""
    if asked == "auto":
        made_for_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if made_for_it else "fp32"
    return asked


def autocast(asked: Precision, device: torch.device) -> AbstractContextManager[object]:
    """While this lasts, networks run in that precision; what they say must be made fp32 before it goes into a loss.

    bf16 has the range of fp32, so that no loss needs to be scaled.
    """
    if used_precision(asked, device) == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def check_finite(losses: dict[str, float], where: str) -> None:
    """Raises NonFiniteLoss if any of the named losses is NaN or infinite."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise NonFiniteLoss(f"{where}: {', '.join(bad)} became non-finite; lower the learning rate")
