"""Data sets by name: the built-in ones, saved tasks, and lists of the user's own images."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.builtin import DATASETS
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.listing import Listing, is_listed, list_images
from tdmr_ray.data.reading import BadImage
from tdmr_ray.data.task_folder import ARRAYS, open_dataset
from tdmr_ray.errors import InputError, near_match

LISTED_PX = 224
"""Default side of the user's own images."""


def check_dataset(name: str) -> list[str]:
    """Return the problems with a data set's name; none if it can be listed."""
    if name in DATASETS:
        return []
    if not is_listed(name) and not name.startswith(ARRAYS):
        known = f"{near_match(name, DATASETS)}; or a folder, csv:FILE, torch/NAME, hfds/OWNER/NAME, wds/SHARDS"
        return [f"must be a known data set, got '{name}'{known}"]
    try:
        load_dataset(name)
    except InputError as error:
        return list(error.problems)
    return []


@cache
def load_dataset(name: str) -> Dataset:
    """Load a data set by name; its images are not decoded yet.

    Raises:
        InputError: If there is no such data set, or it cannot be listed.
    """
    if name in DATASETS:
        return DATASETS[name]()
    if name.startswith(ARRAYS):
        return open_dataset(Path(name.removeprefix(ARRAYS)))
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
    """Decode with one thread a core: decoding and scaling release Python's global lock."""

    def decode(index: int) -> tuple[int, str]:
        row = int(rows[index])
        try:
            out[index] = listing.read(row, size_px)
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
