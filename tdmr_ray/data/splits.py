"""Stratified splits that depend on labels, groups and seeds alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from tdmr_ray.data.groups import Groups
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

Indices = NDArray[np.int64]
Members = Mapping[int, Mapping[int, int]]
"""Number of images of each class in each group."""

VAL_FRACTION = 0.2
TEST_FRACTION = 0.3
ATTEMPTS, SEED_STEP = 5, 1_000_003
"""Divisions of groups that are tried, and the distance of their seeds."""
TOO_FEW = "every class must have at least 5 images, so that train, val and test all show it"
TOO_FEW_GROUPS = "every class must have images in at least 3 groups, so that train, val and test all show it"


class TooManyShots(InputError):
    """A number of labelled images a class that exceeds the training images of the smallest class."""


@dataclass(frozen=True)
class Split:
    """Row numbers of a data set, disjoint.

    Attributes:
        labeled: Training images with labels.
        hidden: Training images whose labels `shots` hides.
        unlabeled: Images without labels.
        val: Images on which everything is chosen.
        test: Images that are read once for each finalist.
    """

    labeled: Indices
    hidden: Indices
    unlabeled: Indices
    val: Indices
    test: Indices


def split_dataset(
    labels: Indices,
    *,
    shots: int | None,
    split_seed: int,
    shots_seed: int,
    given: NDArray[np.int8] | None = None,
    groups: Groups | None = None,
) -> Split:
    """Split into train / val / test (50 / 20 / 30 %), and draw the labelled training images.

    A split that the data set names itself is kept; those that it lacks are split off the rest. The three splits follow
    from `split_seed` alone, so that every number of shots is tested on the same images. A group never straddles splits
    that are drawn: its images without labels are left out if it is in val or test, and so are the training images
    that `shots` cuts off a group.

    Args:
        labels: Class of each image, or `UNLABELED`, [N].
        shots: Labelled images a class; None takes every training image with its label.
        split_seed: Seed of train / val / test.
        shots_seed: Seed of the choice of labelled training images.
        given: `TRAIN`, `VAL`, `TEST` or `ANY` for each image, [N].
        groups: Group of each image, [N]; None if each is alone.

    Raises:
        TooManyShots: If a class has fewer training images than `shots`.
        InputError: If a class has too few images to be in all three splits.
    """
    rows = np.flatnonzero(labels != UNLABELED)
    known = np.full(len(rows), ANY) if given is None else given[rows]
    rest, val, test = rows[known <= TRAIN], rows[known == VAL], rows[known == TEST]
    split_off = partial(_split_off, labels=labels, groups=groups, seed=split_seed)
    if not len(test) and not len(val):
        held = VAL_FRACTION + TEST_FRACTION
        train, rest = split_off(rest, held, 2)
        val, test = split_off(rest, TEST_FRACTION / held)
    elif not len(test):
        train, test = split_off(rest, TEST_FRACTION)
    elif not len(val):
        train, val = split_off(rest, VAL_FRACTION / (1 - TEST_FRACTION))
    else:
        train = rest
    _check_splits(labels, {"train": train, "val": val, "test": test}, TOO_FEW if groups is None else TOO_FEW_GROUPS)
    labeled = train if shots is None else _draw_shots(train, labels, shots, shots_seed, groups)
    hidden, unlabeled = np.setdiff1d(train, labeled), np.flatnonzero(labels == UNLABELED)
    if groups is not None:
        hidden = hidden[~np.isin(groups[hidden], groups[labeled])]
        unlabeled = unlabeled[~np.isin(groups[unlabeled], groups[np.concatenate([val, test])])]
    return Split(*(np.sort(rows) for rows in (labeled, hidden, unlabeled, val, test)))


def _split_off(
    rows: Indices, fraction: float, least: int = 1, *, labels: Indices, groups: Groups | None, seed: int
) -> tuple[Indices, Indices]:
    """Return the rows that stay and a stratified fraction that leaves, in at least `least` groups of each class."""
    if groups is not None and len(np.unique(groups[rows])) < len(rows):
        return _split_groups_off(rows, fraction, least, labels[rows], groups[rows], seed)
    try:
        stays, leaves = train_test_split(rows, test_size=fraction, stratify=labels[rows], random_state=seed)
    except ValueError as error:
        fewest = np.bincount(labels[rows]).min() if len(rows) else 0
        raise InputError("data", f"{TOO_FEW}, got a class with {fewest}") from error
    return stays, leaves


def _split_groups_off(
    rows: Indices, fraction: float, least: int, labels: Indices, groups: Groups, seed: int
) -> tuple[Indices, Indices]:
    """Split whole groups off; of several divisions, take the one whose classes are nearest to the fraction."""
    members = _members(labels, groups)
    if len(members) < 2:
        raise InputError("data", f"{TOO_FEW_GROUPS}, got one group")
    total, num_groups = np.bincount(labels), _count_groups(members)
    best, smallest = np.zeros(len(rows), bool), np.inf
    for attempt in range(ATTEMPTS):
        names = np.random.default_rng(seed + SEED_STEP * attempt).permutation(list(members)).tolist()
        order = sorted(names, key=lambda name: -sum(members[name].values()))
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


def _classes(labels: Indices) -> Indices:
    return np.unique(labels[labels != UNLABELED])


def _check_splits(labels: Indices, splits: dict[str, Indices], rule: str) -> None:
    classes = _classes(labels)
    lacking = [name for name, rows in splits.items() if len(np.unique(labels[rows])) < len(classes)]
    if lacking:
        raise InputError("data", f"{rule}; {' and '.join(lacking)} would lack some")


def _draw_shots(train: Indices, labels: Indices, shots: int, seed: int, groups: Groups | None) -> Indices:
    """Draw `shots` training images of each class; groups come one after the other, so that few are cut."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(np.sort(train))
    if groups is not None:
        first = {group: place for place, group in reversed(list(enumerate(groups[shuffled].tolist())))}
        shuffled = shuffled[np.argsort([first[group] for group in groups[shuffled].tolist()], kind="stable")]
    by_class = [shuffled[labels[shuffled] == name] for name in _classes(labels)]
    smallest = min(len(rows) for rows in by_class)
    if shots > smallest:
        raise TooManyShots("shots", f"must be at most {smallest}, the smallest class's training images, got {shots}")
    return np.concatenate([rows[:shots] for rows in by_class])
