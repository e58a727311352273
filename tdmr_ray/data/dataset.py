"""A data set before it is split: labels, class names and a way to decode its images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from tdmr_ray.data.bit_depth import BitDepth
from tdmr_ray.data.preset import Preset
from tdmr_ray.data.reading import ImageSource, InputFormat
from tdmr_ray.errors import InputError

Decode = Callable[[NDArray[np.int64], InputFormat, NDArray[np.uint8], Callable[[int], object]], dict[int, str]]
"""Decodes some rows in a format into an array [n, 3, size, size]. Reports the number of newly decoded images to
the last argument, and returns the reason for every row that cannot be read."""


@dataclass(frozen=True)
class Dataset:
    """A data set whose images are decoded on demand.

    Attributes:
        labels: int64 [N], each in 0..C-1, or `UNLABELED`.
        class_names: C names.
        image_px: Default side of the decoded images.
        decode: See `Decode`.
        preset: Views that `views.preset: auto` means; None decides by the decoded images.
        splits: int8 [N], see `listing`; None if the data set names no split.
        names: Name of each image for messages; empty for data in memory.
        key: Hash that changes with the images; '' for built-in sets.
        find_scale: Finds the scale of images with more than 8 bits a pixel.
        open: Opens the image of a row; None for data in memory.
        groups: Group of each image, int64 [N]; None if there are no groups.
        ignored: Names of files that are left out, by reason.
        warnings: What the owner of the images should know, one sentence each.
        default_px: Side of the input of targets that have none of their own; None is `image_px`.
        is_val_drawn: Whether the val split in `splits` was drawn, so that `data.draw` may draw it again.
    """

    labels: Tensor
    class_names: tuple[str, ...]
    image_px: int
    decode: Decode
    preset: Preset | None = None
    splits: NDArray[np.int8] | None = None
    names: Sequence[str] = field(default=(), repr=False)
    key: str = ""
    find_scale: Callable[[], BitDepth] = BitDepth
    open: Callable[[int], ImageSource] | None = None
    groups: NDArray[np.int64] | None = None
    ignored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    default_px: int | None = None
    is_val_drawn: bool = False

    @property
    def has_files(self) -> bool:
        """Whether the images come from files, which are decoded at any size without loss."""
        return bool(self.names)

    def name_of(self, row: int) -> str:
        """Return the name of an image for messages."""
        return self.names[row] if self.names else f"image {row}"

    @property
    def images(self) -> Tensor:
        """All images, uint8 [N, 3, image_px, image_px].

        Raises:
            InputError: If an image cannot be read.
        """
        out = np.empty((len(self.labels), 3, self.image_px, self.image_px), np.uint8)
        bad = self.decode(np.arange(len(out)), InputFormat(self.image_px), out, lambda count: None)
        if bad:
            raise InputError("data", self.describe_bad(bad))
        return torch.from_numpy(out)

    def describe_bad(self, bad: Mapping[int, str]) -> list[str]:
        """Return one problem for each image that cannot be read."""
        return [f"{self.name_of(row)}: {reason}" for row, reason in sorted(bad.items())]


def in_memory(
    images: Tensor,
    labels: Tensor,
    class_names: tuple[str, ...],
    *,
    preset: Preset,
    splits: NDArray[np.int8] | None = None,
    key: str = "",
) -> Dataset:
    """Make a data set of decoded images, uint8 [N, 3, H, W]."""

    def decode(
        rows: NDArray[np.int64], form: InputFormat, out: NDArray[np.uint8], on_progress: Callable[[int], object]
    ) -> dict[int, str]:
        chosen = images[torch.from_numpy(rows)]
        out[:] = scale_images(chosen, form).numpy()
        on_progress(len(rows))
        return {}

    return Dataset(labels, class_names, int(images.shape[-1]), decode, preset, splits, key=key)


def scale_images(images: Tensor, form: InputFormat) -> Tensor:
    """Bring images in 0..255, [N, C, H, W], to uint8 squares as files are; those of the size stay as they are."""
    size = (form.size_px, form.size_px)
    if images.shape[-2:] == size:
        return images
    pieces = [
        interpolate(piece.float(), size=_inner(piece, form), mode=form.interpolation, antialias=True)
        for piece in _cropped(images, form).split(256)
    ]
    return _padded(torch.cat([piece.round().clamp(0, 255).to(torch.uint8) for piece in pieces]), form)


def _cropped(images: Tensor, form: InputFormat) -> Tensor:
    """Cut the longer side to the shorter one, at its middle."""
    if form.resize != "crop":
        return images
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def _inner(images: Tensor, form: InputFormat) -> tuple[int, int]:
    """Return height and width of the picture within the square."""
    height, width = images.shape[-2:]
    if form.resize != "pad":
        return form.size_px, form.size_px
    longer = max(height, width)
    return max(1, round(height / longer * form.size_px)), max(1, round(width / longer * form.size_px))


def _padded(images: Tensor, form: InputFormat) -> Tensor:
    """Add black borders around the middle."""
    height, width = images.shape[-2:]
    top, left = (form.size_px - height) // 2, (form.size_px - width) // 2
    return pad(images, (left, form.size_px - width - left, top, form.size_px - height - top))
