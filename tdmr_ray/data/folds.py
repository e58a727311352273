"""Folds of a cross-validation: every labelled image is in the test split of exactly one of them."""

from collections import defaultdict

import numpy as np

from tdmr_ray.data.grouped_splits import Indices
from tdmr_ray.data.groups import Groups
from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.data.splits import Split
from tdmr_ray.errors import InputError


def split_fold(labels: Indices, groups: Groups | None, folds: int, fold: int, seed: int) -> Split:
    """Return the split of one fold: the fold is test, all other labelled images are train, and val is empty.

    Splits that the data set gives and `data.shots` have no effect. Images without labels join unless their group is in
    the fold.

    Args:
        labels: Class of each image, or `UNLABELED`, [N].
        groups: Group of each image, [N]; None if each is alone.
        folds: Number of folds.
        fold: The fold that is test.
        seed: Seed of the division.

    Raises:
        InputError: If there is no such fold, or there are fewer groups than folds.
    """
    if not 0 <= fold < folds:
        raise InputError("data", f"data.fold must be below data.folds ({folds}) and not negative, got {fold}")
    fold_of = divide_into_folds(labels, groups, folds, seed)
    labeled, test = np.flatnonzero((fold_of >= 0) & (fold_of != fold)), np.flatnonzero(fold_of == fold)
    unlabeled = np.flatnonzero(labels == UNLABELED)
    if groups is not None:
        unlabeled = unlabeled[~np.isin(groups[unlabeled], groups[test])]
    return Split(labeled, labeled[:0], unlabeled, labeled[:0], test)


def divide_into_folds(labels: Indices, groups: Groups | None, folds: int, seed: int) -> Indices:
    """Return the fold of each image, [N], or -1 for images without labels.

    Groups come in random order, the largest first. Each goes where its classes have the fewest images so far; among
    equal folds, to the smallest. Without groups, the folds therefore differ by at most one image of each class and one
    image in all. A class with fewer groups than folds is missing from some folds.

    Args:
        labels: Class of each image, or `UNLABELED`, [N].
        groups: Group of each image, [N]; None if each is alone.
        folds: Number of folds.
        seed: Seed of the division.

    Raises:
        InputError: If there are fewer groups than folds.
    """
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(labels != UNLABELED))
    members: dict[int, list[int]] = defaultdict(list)
    for row, name in zip(rows.tolist(), (rows if groups is None else groups[rows]).tolist(), strict=True):
        members[name].append(row)
    if len(members) < folds:
        what = "labelled images" if groups is None else "groups of labelled images"
        raise InputError("data", f"data.folds must be at most the number of {what} ({len(members)}), got {folds}")
    classes, totals = labels.tolist(), np.bincount(labels[rows]).tolist()
    filled, sizes = [[0.0] * len(totals) for _ in range(folds)], [0] * folds
    fold_of = np.full(len(labels), -1)
    for group in sorted(members.values(), key=lambda group: (-len(group), classes[group[0]])):
        own = [classes[row] for row in group]
        costs = [(sum(shares[label] for label in own), size) for shares, size in zip(filled, sizes, strict=True)]
        chosen = costs.index(min(costs))
        for label in own:
            filled[chosen][label] += 1 / totals[label]
        sizes[chosen] += len(group)
        fold_of[group] = chosen
    return fold_of
