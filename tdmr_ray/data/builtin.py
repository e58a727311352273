"""The data sets that need no download."""

from collections.abc import Callable

import numpy as np
import torch
from sklearn.datasets import load_digits as load_sklearn_digits

from tdmr_ray.data.dataset import Dataset, in_memory, scale_images
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.script import SCRIPT_LETTERS, render_script
from tdmr_ray.data.split_names import ANY, TEST


def load_digits(size_px: int = 32) -> Dataset:
    """Load scikit-learn's 1,797 handwritten digits (8x8, white on black), scaled to `size_px`.

    Source: UCI "Optical Recognition of Handwritten Digits", the copy that ships with scikit-learn.
    """
    digits = load_sklearn_digits()
    grey = torch.from_numpy(digits.images).float().unsqueeze(1) * (255.0 / 16.0)
    images = scale_images(grey, InputFormat(size_px, interpolation="bilinear")).expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(digits.target).long()
    return in_memory(images, labels, tuple(str(digit) for digit in range(10)), preset="document")


def load_script() -> Dataset:
    """Render 2,560 distorted letters of 20 Armenian and 20 Georgian classes, 32x32; test has fonts of its own."""
    images, labels, in_test = render_script()
    splits = np.where(in_test.numpy(), TEST, ANY).astype(np.int8)
    return in_memory(images, labels, tuple(SCRIPT_LETTERS), preset="document", splits=splits)


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits, "script": load_script}
