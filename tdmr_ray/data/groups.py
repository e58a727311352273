"""Groups of images that must stay in one split: shots of one object, patient or burst."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tdmr_ray.data.listing.listing import some_of
from tdmr_ray.errors import InputError

Groups = NDArray[np.int64]
"""Group of each image, [N]; an image without one has a number of its own."""


def number_groups(names: Sequence[str]) -> Groups:
    """Return the number of each image's group, [N], given its name; '' means none."""
    keys = [name or f"\0{row}" for row, name in enumerate(names)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.int64)


def groups_in_names(names: Sequence[str], pattern: str) -> tuple[list[str], list[str]]:
    """Find the group of each image in its name.

    Args:
        names: Paths of the images.
        pattern: Regular expression; its first parenthesis, or else the whole match, is the group.

    Returns:
        A group for each image, '' where nothing matches; and warnings.

    Raises:
        InputError: If the pattern matches no name.
    """
    found = [re.search(pattern, name) for name in names]
    unmatched = [name for name, match in zip(names, found, strict=True) if match is None]
    if len(unmatched) == len(names):
        raise InputError("data", f"data.group_by must match paths such as {some_of(names)}, got '{pattern}'")
    lonely = f"data.group_by does not match {len(unmatched)} images, each of which is a group of its own"
    warnings = [f"{lonely}: {some_of(unmatched)}"] if unmatched else []
    return [(match[1 if match.re.groups else 0] or "") if match else "" for match in found], warnings


def join_groups(one: Groups, other: Groups) -> Groups:
    """Return the groups [N] of images that are connected by either of two groupings."""
    count = len(one)
    rows = np.arange(count)
    nodes = np.concatenate([count + one, count + one.max(initial=0) + 1 + other])
    size = int(nodes.max(initial=0)) + 1
    graph = coo_array((np.ones(2 * count, bool), (np.concatenate([rows, rows]), nodes)), shape=(size, size))
    joined: NDArray[np.int32] = connected_components(graph, directed=False)[1][:count]
    return joined.astype(np.int64)


def count_groups(groups: Groups) -> int:
    """Return the number of groups with at least two images."""
    return int((np.unique(groups, return_counts=True)[1] > 1).sum())
