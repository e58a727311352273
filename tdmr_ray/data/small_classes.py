"""Classes with too few images for train, val and test."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.groups import Groups, number_groups
from tdmr_ray.data.listing import Listing, some_of
from tdmr_ray.data.split_names import TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

SMALL_CLASS = "of a class that is too small"
"""Reason in `Listing.ignored`."""
LEAST_IMAGES = {3: 5, 2: 4, 1: 1}
"""Images that a class needs for this number of splits, so that a stratified division shows it in all of them."""
ADVICE = "add images, or set data.drop_small_classes: true"
HELD_OUT = {VAL: "val", TEST: "test"}


def find_small_classes(
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    splits: NDArray[np.int8] | None = None,
    groups: Groups | None = None,
) -> dict[str, str]:
    """Return the classes with too few images, and what each has.

    Args:
        labels: Class of each image, or `UNLABELED`, [N].
        class_names: C names.
        splits: See `Listing`; None if all splits are drawn.
        groups: Group of each image, [N]; None if each is alone.
    """
    known = np.full(len(labels), TRAIN) if splits is None else splits
    given = [split for split in HELD_OUT if (known == split).any()]
    drawn = 3 - len(given)
    small = {}
    for number, name in enumerate(class_names):
        own = labels == number
        pool = own & (known <= TRAIN)
        count = int(pool.sum())
        alone = count if groups is None else len(np.unique(groups[pool]))
        lacking = [HELD_OUT[split] for split in given if not (own & (known == split)).any()]
        if count < LEAST_IMAGES[drawn]:
            small[name] = f"{count} images to train" if drawn == 1 else f"{count} images"
        elif alone < drawn:
            small[name] = f"{count} images in only {alone} groups"
        elif lacking:
            small[name] = f"none in {' and '.join(lacking)}"
    return small


def describe_small_classes(small: dict[str, str], *, dropping: bool = False) -> list[str]:
    """Return the problem with classes that are too small, if there are any.

    Args:
        small: See `find_small_classes`.
        dropping: Whether such classes are dropped anyway, so that only unreadable images can have made these small.
    """
    if not small:
        return []
    rule = f"every class must have at least {LEAST_IMAGES[3]} labelled images, so that train, val and test all show it"
    advice = "replace their unreadable images, or remove these classes" if dropping else ADVICE
    return [f"{rule}, got {describe(small)}; {advice}"]


def describe(small: dict[str, str]) -> str:
    """Return the names of classes that are too small, with what each has."""
    return some_of([f"'{name}' ({what})" for name, what in small.items()])


def drop_small_classes(listing: Listing) -> Listing:
    """Return a listing without the classes that are too small.

    Raises:
        InputError: If fewer than two classes are left.
    """
    groups = number_groups(listing.groups) if listing.groups else None
    small = find_small_classes(listing.labels, listing.class_names, listing.splits, groups)
    if not small:
        return listing
    if len(listing.class_names) - len(small) < 2:
        rule = "data.drop_small_classes must leave at least two classes"
        raise InputError("data", f"{rule}, but too small are {describe(small)}; add images")
    stays = np.array([name not in small for name in listing.class_names])
    numbers = np.append(np.where(stays, np.cumsum(stays) - 1, -2), UNLABELED)
    labels = numbers[listing.labels]
    rows = np.flatnonzero(labels != -2).tolist()
    left = [listing.names[row] for row in np.flatnonzero(labels == -2).tolist()]
    return replace(
        listing,
        names=[listing.names[row] for row in rows],
        labels=labels[rows].astype(np.int64),
        class_names=tuple(np.array(listing.class_names)[stays].tolist()),
        splits=listing.splits[rows],
        open=lambda row: listing.open(rows[row]),
        groups=[listing.groups[row] for row in rows] if listing.groups else (),
        ignored={**listing.ignored, SMALL_CLASS: left} if left else listing.ignored,
        warnings=[*listing.warnings, f"{len(small)} classes are too small and left out: {describe(small)}"],
    )
