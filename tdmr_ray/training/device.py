"""Where tensors live, and in which precision networks run there."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import distributed

from tdmr_ray.errors import NonFiniteLoss
from tdmr_ray.training.config import Precision

MPS_SINCE = "2.13"
"""Before, torch could not sample views on Apple's GPUs: `grid_sample` with border padding (pytorch's issue 125098)."""


def pick_device() -> torch.device:
    """The GPU this process was given, or Apple's (MPS), or the CPU.

    MPS is for a process alone, since gloo, by which processes meet on a Mac, takes no tensors from there. Ray does not
    count it: all trials of a Mac share it, whatever `resources.gpu` says. No machine of that kind has run this yet.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    alone = not distributed.is_initialized() or distributed.get_world_size() == 1
    has_mps = torch.backends.mps.is_available() and torch.__version__ >= MPS_SINCE
    return torch.device("mps" if has_mps and alone else "cpu")


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
