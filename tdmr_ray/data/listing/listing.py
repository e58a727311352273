"""The listing of a data set, which the other files of this folder make from one kind of source each."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.reading import ImageSource

SHOWN = 5
"""Number of items of a list that a message shows."""

SHOWN_CHARACTERS = 80
"""Number of characters of a cell that a message shows."""

LONGEST_NUMBER = 1000
"""Number of digits that are no number any more; Python refuses to read very long ones."""

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
        has_files: Whether each image is a file of its own.
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
    has_files: bool = False


def stat_key(paths: Iterable[Path], labels: NDArray[np.int64], splits: NDArray[np.int8]) -> str:
    """Hash paths, sizes and modification times of files, with their labels and splits."""
    digest = hashlib.sha256(labels.tobytes() + splits.tobytes())
    for path in paths:
        digest.update(os.fsencode(path.absolute()) + f"|{_state(path)}\n".encode())
    return digest.hexdigest()


def _state(path: Path) -> str:
    """Return size and modification time of a file, or '' if it is gone or hidden: decoding says so."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size}|{status.st_mtime_ns}"


def listing_of_files(
    rows: Sequence[tuple[Path, int, int]],
    class_names: Sequence[str],
    root: Path,
    *,
    groups: Sequence[str] = (),
    ignored: Mapping[str, Sequence[str]] | None = None,
    warnings: Sequence[str] = (),
) -> Listing:
    """Make the listing of image files.

    Args:
        rows: Path, label and split of each image.
        class_names: Names of the classes.
        root: Folder to which names in messages are relative.
        groups: See `Listing`.
        ignored: See `Listing`.
        warnings: See `Listing`.
    """
    paths = [path for path, _, _ in rows]
    labels = np.array([label for _, label, _ in rows], np.int64)
    splits = np.array([split for _, _, split in rows], np.int8)

    def open_image(row: int) -> ImageSource:
        return paths[row]

    names = [readable(path.relative_to(root) if path.is_relative_to(root) else path) for path in paths]
    key = stat_key(paths, labels, splits)
    if groups:
        key = hashlib.sha256("\n".join([key, *groups]).encode()).hexdigest()
    return Listing(
        names, labels, tuple(class_names), splits, open_image, key, groups, ignored or {}, warnings, has_files=True
    )


def readable(path: Path) -> str:
    """Return a path for messages; bytes that are no text become question marks."""
    return os.fsencode(path).decode(errors="replace")


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts class 2 before class 10."""
    return [
        (int(part) if part.isdecimal() and len(part) < LONGEST_NUMBER else -1, part)
        for part in re.split(r"(\d+)", name)
    ]


def some_of(items: Sequence[str]) -> str:
    """Join the first items of a list for a message, with the number of the others."""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def shortened(text: str) -> str:
    """Return the beginning of a text for a message."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."


def similar_names(where: str, names: Sequence[str]) -> list[str]:
    """Return a warning for class names that differ in nothing but case, spaces or the spelling of accents."""
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(" ".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    pairs = [" and ".join(f"'{shortened(name)}'" for name in same) for same in alike.values() if len(same) > 1]
    return [f"{where}: classes that are almost equal stay apart: {some_of(pairs)}"] if pairs else []
