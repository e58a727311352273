"""Stratified splits that depend on nothing but the labels and a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from tdmr_ray.errors import InputError

Indices = NDArray[np.int64]

VAL_FRACTION = 0.2
TEST_FRACTION = 0.3


@dataclass(frozen=True)
class Split:
    """Row numbers of a data set; the four parts share no image."""

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
    in_test: NDArray[np.bool_] | None = None,
) -> Split:
    """Split into train / val / test (50 / 20 / 30 %), and draw the labelled images from the training part.

    The three parts follow from `split_seed` alone, so that every number of shots is tested on the same images.
    `unlabeled` is the rest of the training part.

    Args:
        labels: Class of each image, [N].
        shots: Labelled images a class; None takes every training image with its label.
        split_seed: Fixes train / val / test.
        shots_seed: Fixes which training images are labelled.
        in_test: Which images are for test, [N]; the others are then split 5 to 2 into train and val.

    Raises:
        InputError: If a class has fewer training images than `shots`.
    """
    rows = np.arange(len(labels), dtype=np.int64)
    held = VAL_FRACTION + TEST_FRACTION
    if in_test is None:
        train, rest = _split_off(rows, labels, held, split_seed)
        val, test = _split_off(rest, labels, TEST_FRACTION / held, split_seed)
    else:
        test = rows[in_test]
        train, val = _split_off(rows[~in_test], labels, VAL_FRACTION / (1 - TEST_FRACTION), split_seed)
    labeled = train if shots is None else _draw_shots(train, labels, shots, shots_seed)
    unlabeled = np.setdiff1d(train, labeled)
    return Split(np.sort(labeled), np.sort(unlabeled), np.sort(val), np.sort(test))


def _split_off(rows: Indices, labels: Indices, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """What stays, and a stratified share of the rows."""
    stays, leaves = train_test_split(rows, test_size=fraction, stratify=labels[rows], random_state=seed)
    return stays, leaves


def _draw_shots(train: Indices, labels: Indices, shots: int, seed: int) -> Indices:
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(np.sort(train))
    by_class = [shuffled[labels[shuffled] == name] for name in np.unique(labels)]
    smallest = min(len(rows) for rows in by_class)
    if shots > smallest:
        raise InputError(
            "data", f"data.shots: must be at most {smallest}, the smallest class's training images, got {shots}"
        )
    return np.concatenate([rows[:shots] for rows in by_class])
