"""Stratified splits that depend on labels, groups and seeds alone."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from tdmr_ray.data.grouped_splits import TOO_FEW_GROUPS, Indices, split_groups_off
from tdmr_ray.data.groups import Groups
from tdmr_ray.data.redraw import redraw
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

Join = Literal["none", "val", "all"]
"""Splits whose labelled images join train."""

VAL_FRACTION = 0.2
TEST_FRACTION = 0.3
TOO_FEW = "every class must have at least 5 images, so that train, val and test all show it"


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
    draw: int = 0,
    is_val_drawn: bool = False,
    join: Join = "none",
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
        draw: 0 for the splits of the seeds. Another number divides the labelled images outside test anew into train and
            val, unless val is given, and draws the labelled training images anew.
        is_val_drawn: Whether the val split in `given` was drawn, so that it may be drawn again.
        join: Splits whose labelled images join train; these splits are empty then. `shots` does not cut them.

    Raises:
        TooManyShots: If a class has fewer training images than `shots`.
        InputError: If a class has too few images to be in all three splits.
    """
    train, val, test, is_val_given = _divide(labels, split_seed, given, groups)
    _check_splits(labels, {"train": train, "val": val, "test": test}, TOO_FEW if groups is None else TOO_FEW_GROUPS)
    seed: int | list[int] = shots_seed
    if draw:
        seed = [shots_seed, draw, 1]
        if is_val_drawn or not is_val_given:
            train, val = redraw(train, val, labels, groups, shots or 1, [split_seed, draw])
    labeled = train if shots is None else _draw_shots(train, labels, shots, seed, groups)
    hidden, unlabeled = np.setdiff1d(train, labeled), np.flatnonzero(labels == UNLABELED)
    if join != "none":
        labeled, val = np.concatenate([labeled, val]), val[:0]
    if join == "all":
        labeled, test = np.concatenate([labeled, test]), test[:0]
    if groups is not None:
        hidden = hidden[~np.isin(groups[hidden], groups[labeled])]
        unlabeled = unlabeled[~np.isin(groups[unlabeled], groups[np.concatenate([val, test])])]
    return Split(*(np.sort(rows) for rows in (labeled, hidden, unlabeled, val, test)))


def _divide(
    labels: Indices, seed: int, given: NDArray[np.int8] | None, groups: Groups | None
) -> tuple[Indices, Indices, Indices, bool]:
    """Return the labelled images of train, val and test, and whether val is given."""
    rows = np.flatnonzero(labels != UNLABELED)
    known = np.full(len(rows), ANY) if given is None else given[rows]
    rest, val, test = rows[known <= TRAIN], rows[known == VAL], rows[known == TEST]
    is_val_given = bool(len(val))
    split_off = partial(_split_off, labels=labels, groups=groups, seed=seed)
    if not len(test) and not is_val_given:
        held = VAL_FRACTION + TEST_FRACTION
        train, rest = split_off(rest, held, 2)
        val, test = split_off(rest, TEST_FRACTION / held)
    elif not len(test):
        train, test = split_off(rest, TEST_FRACTION)
    elif not is_val_given:
        train, val = split_off(rest, VAL_FRACTION / (1 - TEST_FRACTION))
    else:
        train = rest
    return train, val, test, is_val_given


def _split_off(
    rows: Indices, fraction: float, least: int = 1, *, labels: Indices, groups: Groups | None, seed: int
) -> tuple[Indices, Indices]:
    """Return the rows that stay and a stratified fraction that leaves, in at least `least` groups of each class."""
    if groups is not None and len(np.unique(groups[rows])) < len(rows):
        return split_groups_off(rows, fraction, least, labels[rows], groups[rows], seed)
    try:
        stays, leaves = train_test_split(rows, test_size=fraction, stratify=labels[rows], random_state=seed)
    except ValueError as error:
        fewest = np.bincount(labels[rows]).min() if len(rows) else 0
        raise InputError("data", f"{TOO_FEW}, got a class with {fewest}") from error
    return stays, leaves


def _classes(labels: Indices) -> Indices:
    return np.unique(labels[labels != UNLABELED])


def _check_splits(labels: Indices, splits: dict[str, Indices], rule: str) -> None:
    classes = _classes(labels)
    lacking = [name for name, rows in splits.items() if len(np.unique(labels[rows])) < len(classes)]
    if lacking:
        raise InputError("data", f"{rule}; {' and '.join(lacking)} would lack some")


def _draw_shots(train: Indices, labels: Indices, shots: int, seed: int | list[int], groups: Groups | None) -> Indices:
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
