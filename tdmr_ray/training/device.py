"""Device of this process, and the precision in which networks run on it."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import distributed

from tdmr_ray.errors import NonFiniteLoss
from tdmr_ray.training.config import Precision

MPS_SINCE = "2.13"
"""First torch release that can sample views on Apple's GPUs: `grid_sample` with border padding (pytorch 125098)."""


def pick_device() -> torch.device:
    """Return the GPU assigned to this process, or Apple's (MPS), or the CPU.

    MPS serves only a process that trains alone, since gloo, the backend on a Mac, accepts no tensors from it. Ray does
    not count it: all trials of a Mac share it, whatever `resources.gpu` says. MPS is untested on hardware.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    alone = not distributed.is_initialized() or distributed.get_world_size() == 1
    has_mps = torch.backends.mps.is_available() and torch.__version__ >= MPS_SINCE
    return torch.device("mps" if has_mps and alone else "cpu")


def used_precision(configured: Precision, device: torch.device) -> Literal["fp32", "bf16"]:
    """Resolve a configured precision on a device; `auto` is bf16 only on a GPU with bf16 hardware."""
    if configured == "auto":
        has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16" if has_bf16 else "fp32"
    return configured


def autocast(configured: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Run networks in a precision; convert their outputs to fp32 before they enter a loss.

    bf16 has the range of fp32, so losses need no scaling.
    """
    if used_precision(configured, device) == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def check_finite(losses: dict[str, float], where: str) -> None:
    """Raise NonFiniteLoss if any of the named losses is NaN or infinite."""
    bad = [name for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        raise NonFiniteLoss(f"{where}: {', '.join(bad)} became non-finite; lower the learning rate")
