"""Stratified splits that depend on labels and seeds alone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

Indices = NDArray[np.int64]

VAL_FRACTION = 0.2
TEST_FRACTION = 0.3
TOO_FEW = "every class must have at least 5 images, so that train, val and test all show it"


class TooManyShots(InputError):
    """A number of labelled images a class that exceeds the training images of the smallest class."""


@dataclass(frozen=True)
class Split:
    """Row numbers of a data set, disjoint."""

    labeled: Indices
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
) -> Split:
    """Split into train / val / test (50 / 20 / 30 %), and draw the labelled training images.

    A split that the data set names itself is kept; those that it lacks are split off the rest.

    The three splits follow from `split_seed` alone, so that every number of shots is tested on the same images.
    `unlabeled` holds the other training images and every image without a label.

    Args:
        labels: Class of each image, or `UNLABELED`, [N].
        shots: Labelled images a class; None takes every training image with its label.
        split_seed: Seed of train / val / test.
        shots_seed: Seed of the choice of labelled training images.
        given: `TRAIN`, `VAL`, `TEST` or `ANY` for each image, [N].

    Raises:
        TooManyShots: If a class has fewer training images than `shots`.
        InputError: If a class has too few images to be in all three splits.
    """
    rows = np.flatnonzero(labels != UNLABELED)
    known = np.full(len(rows), ANY) if given is None else given[rows]
    rest, val, test = rows[known <= TRAIN], rows[known == VAL], rows[known == TEST]
    if not len(test) and not len(val):
        held = VAL_FRACTION + TEST_FRACTION
        train, rest = _split_off(rest, labels, held, split_seed)
        val, test = _split_off(rest, labels, TEST_FRACTION / held, split_seed)
    elif not len(test):
        train, test = _split_off(rest, labels, TEST_FRACTION, split_seed)
    elif not len(val):
        train, val = _split_off(rest, labels, VAL_FRACTION / (1 - TEST_FRACTION), split_seed)
    else:
        train = rest
    _check_splits(labels, {"train": train, "val": val, "test": test})
    labeled = train if shots is None else _draw_shots(train, labels, shots, shots_seed)
    unlabeled = np.concatenate([np.setdiff1d(train, labeled), np.flatnonzero(labels == UNLABELED)])
    return Split(np.sort(labeled), np.sort(unlabeled), np.sort(val), np.sort(test))


def _split_off(rows: Indices, labels: Indices, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Return the rows that stay and a stratified fraction of them that leaves."""
    fewest = int(np.bincount(labels[rows])[_classes(labels)].min()) if len(rows) else 0
    try:
        stays, leaves = train_test_split(rows, test_size=fraction, stratify=labels[rows], random_state=seed)
    except ValueError as error:
        raise InputError("data", f"{TOO_FEW}, got a class with {fewest}") from error
    return stays, leaves


def _classes(labels: Indices) -> Indices:
    return np.unique(labels[labels != UNLABELED])


def _check_splits(labels: Indices, splits: dict[str, Indices]) -> None:
    classes = _classes(labels)
    lacking = [name for name, rows in splits.items() if len(np.unique(labels[rows])) < len(classes)]
    if lacking:
        raise InputError("data", f"{TOO_FEW}; {' and '.join(lacking)} would lack some")


def _draw_shots(train: Indices, labels: Indices, shots: int, seed: int) -> Indices:
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(np.sort(train))
    by_class = [shuffled[labels[shuffled] == name] for name in _classes(labels)]
    smallest = min(len(rows) for rows in by_class)
    if shots > smallest:
        raise TooManyShots("shots", f"must be at most {smallest}, the smallest class's training images, got {shots}")
    return np.concatenate([rows[:shots] for rows in by_class])
