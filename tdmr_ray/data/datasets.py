"""Data sets by name, decoded once into one uint8 array."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits as load_sklearn_digits
from torch import Tensor
from torch.nn.functional import interpolate

from tdmr_ray.data.script import SCRIPT_LETTERS, render_script
from tdmr_ray.errors import InputError, near_match


@dataclass(frozen=True)
class Dataset:
    """All images of a data set in memory.

    Attributes:
        images: uint8, [N, 3, H, W].
        labels: int64, [N], each in 0..C-1.
        class_names: C names.
        mirror: Whether a mirrored image still shows its class (not so for writing).
        in_test: bool, [N], where the data set itself says which images are for test; None splits them off.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    mirror: bool
    in_test: Tensor | None = None


def load_digits(size_px: int = 32) -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8x8, white on black), scaled to `size_px`.

    Source: UCI "Optical Recognition of Handwritten Digits", the copy that ships with scikit-learn.
    """
    digits = load_sklearn_digits()
    grey = torch.from_numpy(digits.images).float().unsqueeze(1) * (255.0 / 16.0)
    images = scale_images(grey, size_px).expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(digits.target).long()
    return Dataset(images, labels, tuple(str(digit) for digit in range(10)), mirror=False)


def load_script() -> Dataset:
    """2,560 distorted letters of 20 Armenian and 20 Georgian classes, 32x32; test has fonts of its own."""
    images, labels, in_test = render_script()
    return Dataset(images, labels, tuple(SCRIPT_LETTERS), mirror=False, in_test=in_test)


def scale_images(images: Tensor, size_px: int) -> Tensor:
    """Images in 0..255, [N, C, H, W], as uint8 of `size_px` by `size_px`."""
    parts = [
        interpolate(part.float(), size=(size_px, size_px), mode="bilinear", align_corners=False, antialias=True)
        for part in images.split(256)
    ]
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in parts])


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits, "script": load_script}


def check_dataset(name: str) -> list[str]:
    """Problems with a data set's name; empty when it can be loaded."""
    if name in DATASETS:
        return []
    return [f"data.name: must be a known data set, got '{name}'{near_match(name, DATASETS)}"]


def load_dataset(name: str) -> Dataset:
    """Load a data set by name.

    Raises:
        InputError: If there is no such data set.
    """
    problems = check_dataset(name)
    if problems:
        raise InputError("data", problems)
    return DATASETS[name]()
