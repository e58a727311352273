"""timm networks with weights: timm's own, from a file, or from a copy that another machine made of either."""

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from timm.models import save_for_hf

from tdmr_ray.models.names import PRETRAINED
from tdmr_ray.models.weight_file import find_tensors

UNUSABLE = (OSError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError)
"""Exceptions of `create_network` if weights are unavailable or do not fit."""
FindCopy = Callable[[str, str], Path | None]
"""Returns the folder with a copy, given a network's name and weights; None if there is none."""


def _no_copy(name: str, weights: str) -> Path | None:
    return None


_find_copy: ContextVar[FindCopy] = ContextVar("find_copy", default=_no_copy)


@contextmanager
def use_copies(find: FindCopy) -> Iterator[None]:
    """Load weights from copies, where they exist, inside this context; other threads are not affected."""
    token = _find_copy.set(find)
    try:
        yield
    finally:
        _find_copy.reset(token)


def has_copy(name: str, weights: str) -> bool:
    """Return whether there is a copy of weights that this machine might not be able to fetch."""
    return _find_copy.get()(name, weights) is not None


def save_copy(network: Any, folder: Path) -> None:
    """Write a network's configuration and weights into an existing folder, in the layout of the hub."""
    save_for_hf(network, str(folder), safe_serialization=True)


def create_network(name: str, weights: str, *, image_px: int | None = None, num_classes: int | None = None) -> Any:
    """Create a timm network.

    Args:
        name: timm name.
        weights: '' for random ones from torch's global generator, `PRETRAINED` for timm's own, or a file
            (.safetensors, .pth).
        image_px: Side of its images, for networks that are built for one size; position embeddings are resized.
        num_classes: Outputs of the classifier, which is new if the weights have another number; None keeps theirs.

    Raises:
        One of `UNUSABLE`: If weights are unavailable or do not fit.
    """
    options: dict[str, Any] = {"pretrained": bool(weights)}
    copy = _find_copy.get()(name, weights) if weights else None
    if copy is not None:
        name = f"local-dir:{copy}"
    elif weights not in ("", PRETRAINED):
        tensors, own_classes = find_tensors(name, Path(weights))
        options["pretrained_cfg_overlay"] = {"state_dict": tensors, "num_classes": own_classes}
        num_classes = own_classes if num_classes is None else num_classes
    if num_classes is not None:
        options["num_classes"] = num_classes
    network = _create(name, image_px, options)
    network.pretrained_cfg.pop("state_dict", None)  # a second copy of the weights
    return network


def create_random(name: str, *, image_px: int | None) -> Any:
    """Create a network whose random weights are the same in every process."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_network(name, "", image_px=image_px)


def reason_of(error: Exception) -> str:
    """Return the reason why weights could not be loaded, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def _create(name: str, image_px: int | None, options: dict[str, Any]) -> Any:
    if image_px is not None:
        try:
            return timm.create_model(name, img_size=image_px, **options)
        except TypeError:  # it takes images of any size
            pass
    return timm.create_model(name, **options)
