"""The listing of a data set, which the other files of this folder make from one kind of source each."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ANY, TRAIN, VAL, TEST = -1, 0, 1, 2
"""The split of an image; `ANY` if the data set does not name one."""
SPLIT_NAMES = {"train": TRAIN, "training": TRAIN, "val": VAL, "valid": VAL, "validation": VAL, "test": TEST}
SHOWN = 5
"""Number of items of a list that a message shows."""

Read = Callable[[int, int], NDArray[np.uint8]]
"""Decodes an image, given its row and a size in pixels, to uint8 [3, size, size]; raises `BadImage`."""


@dataclass(frozen=True)
class Listing:
    """Names, labels and splits of images that are not decoded yet.

    Attributes:
        names: Name of each image for messages.
        labels: int64 [N].
        class_names: C names.
        splits: int8 [N]: `ANY`, `TRAIN`, `VAL` or `TEST`.
        read: Decoder of one image.
        key: Hash that changes when files are added, removed or modified.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: NDArray[np.int8]
    read: Read
    key: str


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
