"""Another division of the images outside test into train and val."""

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.grouped_splits import Indices, split_groups_off
from tdmr_ray.data.groups import Groups

ATTEMPTS = 8
"""Divisions of groups that are tried before the first one stays."""


def redraw(
    train: Indices, val: Indices, labels: Indices, groups: Groups | None, least: int, seed: list[int]
) -> tuple[Indices, Indices]:
    """Divide train and val anew.

    Without groups, each class keeps its number of images in both, so that whatever held for the first division holds
    for all. With groups, the numbers differ a little. If no division of the groups shows every class in both splits,
    with `least` images of it in train, the first one is returned.

    Args:
        train: Rows of the first division, which shows every class in both splits.
        val: Its other rows.
        labels: Class of each image of the data set, [N].
        groups: Group of each image, [N]; None if each is alone.
        least: Images of each class that train must have.
        seed: Numbers that determine the division.

    Returns:
        The rows of train and val.
    """
    pool = np.sort(np.concatenate([train, val]))
    if groups is None or len(np.unique(groups[pool])) == len(pool):
        return _redraw_images(pool, labels, np.bincount(labels[val]), seed)
    num_classes = len(np.unique(labels[pool]))
    for number in np.random.SeedSequence(seed).generate_state(ATTEMPTS).tolist():
        stays, leaves = split_groups_off(
            pool, len(val) / len(pool), 1, labels[pool], groups[pool], number, large_first=False
        )
        counts = np.unique(labels[stays], return_counts=True)[1]
        if len(counts) == num_classes == len(np.unique(labels[leaves])) and counts.min() >= least:
            return stays, leaves
    return train, val


def _redraw_images(
    pool: Indices, labels: Indices, num_val: NDArray[np.int64], seed: list[int]
) -> tuple[Indices, Indices]:
    """Draw so many images of each class into val."""
    shuffled = np.random.default_rng(seed).permutation(pool)
    by_class = [shuffled[labels[shuffled] == label] for label in range(len(num_val))]
    val = np.concatenate([rows[:count] for rows, count in zip(by_class, num_val, strict=True)])
    return np.setdiff1d(pool, val), val
