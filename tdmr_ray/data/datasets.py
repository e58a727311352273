"""Data sets by name: the built-in ones, saved tasks, and lists of the user's own images."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.bit_depth import find_scale
from tdmr_ray.data.builtin import DATASETS
from tdmr_ray.data.config import ARRAYS, LOOSE, DataConfig
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.groups import groups_in_names, number_groups
from tdmr_ray.data.listing import SOURCES, Listing, is_listed, list_images
from tdmr_ray.data.listing.more_unlabeled import add_unlabeled
from tdmr_ray.data.reading import BadImage, InputFormat, read_image
from tdmr_ray.data.small_classes import drop_small_classes
from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.data.task_folder import open_dataset
from tdmr_ray.errors import InputError, near_match
from tdmr_ray.machine import available_cores

LISTED_PX = 224
"""Default side of the user's own images."""


def check_dataset(config: DataConfig) -> list[str]:
    """Return the problems with a data set; none if it can be listed."""
    name = config.name
    if name in DATASETS:
        return _check_own_images(config)
    if not is_listed(name) and not name.startswith(ARRAYS):
        prefix, colon, _ = name.partition(":")
        if colon and prefix in SOURCES.refused:
            return [SOURCES.refused[prefix]]
        known = f"{near_match(name, DATASETS)}; or a folder, csv:FILE, torch/NAME, hfds/OWNER/NAME, wds/SHARDS"
        return [f"must be a known data set, got '{name}'{known}"]
    try:
        load_dataset(config)
    except InputError as error:
        return list(error.problems)
    return []


def load_dataset(config: DataConfig) -> Dataset:
    """Load the data set of a configuration; its images are not decoded yet.

    Raises:
        InputError: If there is no such data set, or it cannot be listed.
    """
    return _load(config.listing_part())


def has_unlabeled(config: DataConfig) -> bool:
    """Return whether images without labels take part, or may do so because `shots` hides the labels of some."""
    if config.unlabeled is False:
        return False
    return config.hides_labels or bool((load_dataset(config).labels == UNLABELED).any())


def forget_datasets() -> None:
    """List every data set again when it is loaded next."""
    _load.cache_clear()


def _check_own_images(config: DataConfig) -> list[str]:
    """Return the problems with keys that have no effect on this kind of data set."""
    problems = []
    if config.unlabeled == LOOSE and not Path(config.name).is_absolute():
        problems.append(f"data.unlabeled: {LOOSE} must have a folder of images in data.name, got '{config.name}'")
    elif isinstance(config.unlabeled, str) and config.name in DATASETS:
        problems.append(
            f"data.unlabeled must be true or false for the built-in '{config.name}', got {config.unlabeled}"
        )
    if config.group_by is not None and config.name in DATASETS:
        problems.append(f"data.group_by must not be set for the built-in '{config.name}', whose images have no paths")
    return problems


@cache
def _load(config: DataConfig) -> Dataset:
    name = config.name
    if problems := _check_own_images(config):
        raise InputError("data", problems)
    if name in DATASETS:
        return DATASETS[name]()
    if name.startswith(ARRAYS):
        return open_dataset(Path(name.removeprefix(ARRAYS)))
    if not is_listed(name):
        raise InputError("data", check_dataset(config))
    listing = _with_groups(list_images(config), config)
    if isinstance(config.unlabeled, str) and config.unlabeled != LOOSE:
        listing = add_unlabeled(listing, config.unlabeled, config)
    if config.drop_small_classes:
        listing = drop_small_classes(listing)
    return Dataset(
        labels=torch.from_numpy(listing.labels),
        class_names=listing.class_names,
        image_px=LISTED_PX,
        decode=partial(_decode_listed, listing),
        splits=listing.splits,
        names=listing.names,
        key=listing.key,
        open=listing.open,
        groups=number_groups(listing.groups) if listing.groups else None,
        ignored=listing.ignored,
        warnings=listing.warnings,
        find_scale=cache(lambda: find_scale(map(listing.open, range(len(listing.names))))),
    )


def _with_groups(listing: Listing, config: DataConfig) -> Listing:
    """Return a listing with the groups that `data.group_by` finds in the names of its images.

    Raises:
        InputError: If the pattern matches none, or the data set has groups of its own.
    """
    if config.group_by is None:
        return listing
    if any(listing.groups):
        rule = f"data.group_by must not be set for a data set with a column '{config.columns.group}'"
        raise InputError("data", f"{rule}; leave it out, or name another column in data.columns")
    groups, warnings = groups_in_names(listing.names, config.group_by)
    key = f"{listing.key}-{config.group_by}"
    return replace(listing, groups=groups, key=key, warnings=[*listing.warnings, *warnings])


def _decode_listed(
    listing: Listing,
    rows: NDArray[np.int64],
    form: InputFormat,
    out: NDArray[np.uint8],
    on_progress: Callable[[int], object],
) -> dict[int, str]:
    """Decode with one thread a core: decoding and scaling release Python's global lock."""

    def decode(index: int) -> tuple[int, str]:
        row = int(rows[index])
        try:
            out[index] = read_image(listing.open(row), form)
        except BadImage as bad:
            return row, str(bad)
        return row, ""

    bad = {}
    with ThreadPoolExecutor(available_cores()) as pool:
        for row, reason in pool.map(decode, range(len(rows))):
            on_progress(1)
            if reason:
                bad[row] = reason
    return bad
