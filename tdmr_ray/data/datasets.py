"""Data sets by name: the built-in ones, and lists of the user's own images."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits as load_sklearn_digits
from torch import Tensor
from torch.nn.functional import interpolate

from tdmr_ray.data.listing import ANY, TEST, Listing, is_listed, list_images
from tdmr_ray.data.reading import BadImage
from tdmr_ray.data.script import SCRIPT_LETTERS, render_script
from tdmr_ray.errors import InputError, near_match

LISTED_PX = 224
"""Side of the user's own images unless `data.image_px` says another."""
Decode = Callable[[NDArray[np.int64], int, NDArray[np.uint8], Callable[[int], object]], dict[int, str]]
"""Writes the images of some rows, at a size in pixels, into an array [n, 3, size, size], and tells how many more are
done; returns why a row could not be read, by row."""


@dataclass(frozen=True)
class Dataset:
    """A data set whose images are decoded when they are asked for.

    Attributes:
        labels: int64, [N], each in 0..C-1.
        class_names: C names.
        mirror: Whether a mirrored image still shows its class (not so for writing).
        image_px: Side of its images unless another is asked for.
        decode: See `Decode`.
        splits: int8, [N], see `listing`; None if the data set names no split.
        names: What a message calls each image; empty for built-in ones.
        key: Changes with the images; '' for built-in ones.
    """

    labels: Tensor
    class_names: tuple[str, ...]
    mirror: bool
    image_px: int
    decode: Decode
    splits: NDArray[np.int8] | None = None
    names: Sequence[str] = field(default=(), repr=False)
    key: str = ""

    @property
    def images(self) -> Tensor:
        """All of them, uint8 [N, 3, image_px, image_px].

        Raises:
            InputError: If one cannot be read.
        """
        out = np.empty((len(self.labels), 3, self.image_px, self.image_px), np.uint8)
        bad = self.decode(np.arange(len(out)), self.image_px, out, lambda count: None)
        if bad:
            raise InputError("data", self.told_bad(bad))
        return torch.from_numpy(out)

    def told_bad(self, bad: Mapping[int, str]) -> list[str]:
        """Problems with images that cannot be read, a line each."""
        return [f"{self.names[row]}: {reason}" for row, reason in sorted(bad.items())]


def in_memory(
    images: Tensor,
    labels: Tensor,
    class_names: tuple[str, ...],
    *,
    mirror: bool,
    splits: NDArray[np.int8] | None = None,
) -> Dataset:
    """A data set of images that are decoded already, uint8 [N, 3, H, W]."""

    def decode(
        rows: NDArray[np.int64], size_px: int, out: NDArray[np.uint8], on_progress: Callable[[int], object]
    ) -> dict[int, str]:
        chosen = images[torch.from_numpy(rows)]
        out[:] = (chosen if size_px == images.shape[-1] else scale_images(chosen, size_px)).numpy()
        on_progress(len(rows))
        return {}

    return Dataset(labels, class_names, mirror, int(images.shape[-1]), decode, splits)


def load_digits(size_px: int = 32) -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8x8, white on black), scaled to `size_px`.

    Source: UCI "Optical Recognition of Handwritten Digits", the copy that ships with scikit-learn.
    """
    digits = load_sklearn_digits()
    grey = torch.from_numpy(digits.images).float().unsqueeze(1) * (255.0 / 16.0)
    images = scale_images(grey, size_px).expand(-1, 3, -1, -1).contiguous()
    labels = torch.from_numpy(digits.target).long()
    return in_memory(images, labels, tuple(str(digit) for digit in range(10)), mirror=False)


def load_script() -> Dataset:
    """2,560 distorted letters of 20 Armenian and 20 Georgian classes, 32x32; test has fonts of its own."""
    images, labels, in_test = render_script()
    splits = np.where(in_test.numpy(), TEST, ANY).astype(np.int8)
    return in_memory(images, labels, tuple(SCRIPT_LETTERS), mirror=False, splits=splits)


def scale_images(images: Tensor, size_px: int) -> Tensor:
    """Images in 0..255, [N, C, H, W], as uint8 of `size_px` by `size_px`."""
    pieces = [
        interpolate(piece.float(), size=(size_px, size_px), mode="bilinear", align_corners=False, antialias=True)
        for piece in images.split(256)
    ]
    return torch.cat([piece.round().clamp(0, 255).to(torch.uint8) for piece in pieces])


DATASETS: dict[str, Callable[[], Dataset]] = {"digits": load_digits, "script": load_script}


def check_dataset(name: str) -> list[str]:
    """Problems with a data set's name; empty when it can be listed."""
    if name in DATASETS:
        return []
    if not is_listed(name):
        known = f"{near_match(name, DATASETS)}; or a folder, csv:FILE, torch/NAME, hfds/OWNER/NAME, wds/SHARDS"
        return [f"must be a known data set, got '{name}'{known}"]
    try:
        load_dataset(name)
    except InputError as error:
        return list(error.problems)
    return []


@cache
def load_dataset(name: str) -> Dataset:
    """A data set by name; its images are not decoded yet.

    Raises:
        InputError: If there is no such data set, or it cannot be listed.
    """
    if name in DATASETS:
        return DATASETS[name]()
    if not is_listed(name):
        raise InputError("data", check_dataset(name))
    listing = list_images(name)
    return Dataset(
        labels=torch.from_numpy(listing.labels),
        class_names=listing.class_names,
        mirror=True,
        image_px=LISTED_PX,
        decode=partial(_decode_listed, listing),
        splits=listing.splits,
        names=listing.names,
        key=listing.key,
    )


def _decode_listed(
    listing: Listing,
    rows: NDArray[np.int64],
    size_px: int,
    out: NDArray[np.uint8],
    on_progress: Callable[[int], object],
) -> dict[int, str]:
    """By as many threads as there are cores: decoding and scaling let go of Python's lock."""

    def decode(place: int) -> tuple[int, str]:
        row = int(rows[place])
        try:
            out[place] = listing.read(row, size_px)
        except BadImage as bad:
            return row, str(bad)
        return row, ""

    bad = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for row, reason in pool.map(decode, range(len(rows))):
            on_progress(1)
            if reason:
                bad[row] = reason
    return bad
