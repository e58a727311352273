"""Stratified splits that depend on labels, groups and seeds alone."""

import warnings
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from tdmr_ray.data.groups import Groups
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

Indices = NDArray[np.int64]

VAL_FRACTION = 0.2
TEST_FRACTION = 0.3
FOLDS, ATTEMPTS, SEED_STEP = 10, 5, 1_000_003
"""Folds into which groups are divided, divisions that are tried, and the distance of their seeds."""
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
    """Split whole groups off: of several divisions into folds, the folds whose classes are nearest to the fraction."""
    num_folds = min(FOLDS, len(np.unique(groups)), int(np.bincount(labels).max()))
    if num_folds < 2:
        raise InputError("data", f"{TOO_FEW_GROUPS}, got one group")
    chosen = np.array(list(product([False, True], repeat=num_folds))[1:-1])
    _, first = np.unique(np.stack([labels, groups]), axis=1, return_index=True)
    best, smallest = np.zeros(len(rows), bool), np.inf
    for attempt in range(ATTEMPTS):
        fold = _folds(labels, groups, num_folds, seed + SEED_STEP * attempt)
        shares = chosen @ _count(fold, labels, num_folds) / np.maximum(np.bincount(labels), 1)
        parts = _count(fold[first], labels[first], num_folds)
        leaving = chosen @ parts
        lacking = (leaving < least) | (leaving == parts.sum(axis=0))
        errors = (np.abs(shares - fraction) + lacking)[:, np.bincount(labels) > 0].sum(axis=1)
        if errors.min() < smallest:
            best, smallest = chosen[errors.argmin()][fold], errors.min()
    return rows[~best], rows[best]


def _folds(labels: Indices, groups: Groups, num_folds: int, seed: int) -> Indices:
    """Return a fold for each image, [N]; a group is in one fold, and classes are spread evenly where possible."""
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    fold = np.zeros(len(labels), np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        for number, (_, part) in enumerate(splitter.split(labels, labels, groups)):
            fold[part] = number
    return fold


def _count(fold: Indices, labels: Indices, num_folds: int) -> Indices:
    """Return the number of images of each class in each fold, [F, C]."""
    counts = np.zeros((num_folds, int(labels.max()) + 1), np.int64)
    np.add.at(counts, (fold, labels), 1)
    return counts


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
