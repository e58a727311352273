"""Stratified division of groups, each of which stays whole."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.groups import Groups
from tdmr_ray.errors import InputError

Indices = NDArray[np.int64]
Members = Mapping[int, Mapping[int, int]]
"""Number of images of each class in each group."""

ATTEMPTS, SEED_STEP = 5, 1_000_003
"""Divisions of groups that are tried, and the distance of their seeds."""
TOO_FEW_GROUPS = "every class must have images in at least 3 groups, so that train, val and test all show it"


def split_groups_off(
    rows: Indices,
    fraction: float,
    least: int,
    labels: Indices,
    groups: Groups,
    seed: int,
    *,
    large_first: bool = True,
) -> tuple[Indices, Indices]:
    """Split whole groups off; of several divisions, take the one whose classes are nearest to the fraction.

    Args:
        rows: Row numbers, [M].
        fraction: Share of the images that leaves.
        least: Number of groups of each class that leave at least, if there are as many.
        labels: Class of each row, [M].
        groups: Group of each row, [M].
        seed: Seed of the order in which groups are placed.
        large_first: Whether larger groups are placed first. That balances the sides best, but leaves nothing to
            chance if all groups differ in size.

    Returns:
        The rows that stay and those that leave.

    Raises:
        InputError: If there is only one group.
    """
    members = _members(labels, groups)
    if len(members) < 2:
        raise InputError("data", f"{TOO_FEW_GROUPS}, got one group")
    total, num_groups = np.bincount(labels), _count_groups(members)
    best, smallest = np.zeros(len(rows), bool), np.inf
    for attempt in range(ATTEMPTS):
        names = np.random.default_rng(seed + SEED_STEP * attempt).permutation(list(members)).tolist()
        order = sorted(names, key=lambda name: -sum(members[name].values())) if large_first else names
        leaving = _choose_groups(members, order, fraction, least)
        leaves = np.isin(groups, leaving)
        shares = np.bincount(labels[leaves], minlength=len(total)) / np.maximum(total, 1)
        leaving_groups = _count_groups({name: members[name] for name in leaving})
        lacking = [leaving_groups[label] < least or leaving_groups[label] == num_groups[label] for label in num_groups]
        error = float(np.abs(shares - fraction)[total > 0].sum() + sum(lacking))
        if error < smallest:
            best, smallest = leaves, error
    return rows[~best], rows[best]


def _choose_groups(members: Members, order: Sequence[int], fraction: float, least: int) -> list[int]:
    """Choose groups that leave, one after the other: each goes where its classes lack more images.

    Classes that do not yet have a group on one side, or `least` groups among those that leave, come first.

    Source: the greedy rule of Sechidis et al., On the Stratification of Multi-Label Data, ECML PKDD 2011.
    """
    total: Counter[int] = Counter()
    for counts in members.values():
        total.update(counts)
    num_groups, leaves, stays = _count_groups(members), Counter[int](), Counter[int]()
    left = dict.fromkeys(total, 0)
    stayed = dict.fromkeys(total, 0)
    chosen = []
    for name in order:
        demand = need = 0.0
        for label, count in members[name].items():
            size = total[label]
            missing = (fraction * size - left[label]) - ((1 - fraction) * size - stayed[label])
            demand += count * missing / size**2
            need += ((leaves[label] < least) - (stays[label] < 1)) / num_groups[label]
        is_leaving = (need, demand) > (0, 0)
        for label, count in members[name].items():
            (left if is_leaving else stayed)[label] += count
            (leaves if is_leaving else stays)[label] += 1
        if is_leaving:
            chosen.append(name)
    return chosen


def _members(labels: Indices, groups: Groups) -> Members:
    """Return the number of images of each class in each group."""
    members: dict[int, dict[int, int]] = {}
    pairs, counts = np.unique(np.stack([groups, labels]), axis=1, return_counts=True)
    for group, label, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        members.setdefault(group, {})[label] = count
    return members


def _count_groups(members: Members) -> Counter[int]:
    """Return the number of groups of each class."""
    return Counter(label for counts in members.values() for label in counts)
