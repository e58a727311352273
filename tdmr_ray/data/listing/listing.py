"""The listing of a data set, which the other files of this folder make from one kind of source each."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.reading import ImageSource

SHOWN = 5
"""Number of items of a list that a message shows."""

Open = Callable[[int], ImageSource]
"""Opens the image of a row."""


@dataclass(frozen=True)
class Listing:
    """Names, labels and splits of images that are not decoded yet.

    Attributes:
        names: Name of each image for messages.
        labels: int64 [N], each in 0..C-1, or `UNLABELED`.
        class_names: C names.
        splits: int8 [N]: `ANY`, `TRAIN`, `VAL` or `TEST`.
        open: Opens one image.
        key: Hash that changes when files are added, removed or modified.
        groups: Group of each image, '' for none; empty if there are no groups.
        ignored: Names of files that are left out, by reason.
        warnings: What the owner of the images should know, one sentence each.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: NDArray[np.int8]
    open: Open
    key: str
    groups: Sequence[str] = ()
    ignored: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def stat_key(paths: Iterable[Path], labels: NDArray[np.int64], splits: NDArray[np.int8]) -> str:
    """Hash paths, sizes and modification times of files, with their labels and splits."""
    digest = hashlib.sha256(labels.tobytes() + splits.tobytes())
    for path in paths:
        status = path.stat()
        digest.update(f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts class 2 before class 10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


def some_of(items: Sequence[str]) -> str:
    """Join the first items of a list for a message, with the number of the others."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
