"""What is known of images that are not decoded yet; the other files here make it of one kind of source each."""

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
"""Of a list of problems in a message."""

Read = Callable[[int, int], NDArray[np.uint8]]
"""From the number of an image and a size in pixels to uint8 [3, size, size]; raises `BadImage`."""


@dataclass(frozen=True)
class Listing:
    """What is known of images that are not decoded yet.

    Attributes:
        names: What a message calls each.
        labels: int64, [N].
        class_names: C names.
        splits: int8, [N], of `ANY`, `TRAIN`, `VAL`, `TEST`.
        read: Decodes one.
        key: Changes when files come, go or change.
    """

    names: Sequence[str]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    splits: NDArray[np.int8]
    read: Read
    key: str


def stat_key(paths: Iterable[Path], labels: NDArray[np.int64], splits: NDArray[np.int8]) -> str:
    """A hash of where files lie, how long they are and when they changed, and what they are."""
    digest = hashlib.sha256(labels.tobytes() + splits.tobytes())
    for path in paths:
        status = path.stat()
        digest.update(f"{path.absolute()}|{status.st_size}|{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sorts class 2 before class 10."""
    return [(int(part) if part.isdigit() else -1, part) for part in re.split(r"(\d+)", name)]


def some_of(items: Sequence[str]) -> str:
    """The first of a list, for a message, and how many more there are."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more
