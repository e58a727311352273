"""Which rows of a data set are in which split of a task."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.folds import split_fold
from tdmr_ray.data.groups import Groups
from tdmr_ray.data.origin import Rows
from tdmr_ray.data.small_classes import describe_small_classes, find_small_classes
from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.data.splits import Split, split_dataset
from tdmr_ray.data.task import Images
from tdmr_ray.errors import InputError


@dataclass(frozen=True)
class TaskRows:
    """Row numbers of a data set in a task: labelled train, train without labels, val and test."""

    labeled: Rows
    unlabeled: Rows
    val: Rows
    test: Rows

    @property
    def all(self) -> Rows:
        """The rows in the order of the images of a task."""
        return np.concatenate([self.labeled, self.unlabeled, self.val, self.test])

    def without(self, left_out: Rows) -> "TaskRows":
        """Return the rows that are not left out."""
        parts = (self.labeled, self.unlabeled, self.val, self.test)
        return TaskRows(*(rows[~np.isin(rows, left_out)] for rows in parts))


def split_rows(config: DataConfig, dataset: Dataset, kept: Rows) -> TaskRows:
    """Split the rows that are kept.

    Raises:
        InputError: If a class has too few images, or fewer than `shots`; or there are too few images for the folds.
    """
    labels = dataset.labels.numpy()[kept]
    groups = None if dataset.groups is None else dataset.groups[kept]
    if config.folds:
        split = split_fold(labels, groups, config.folds, config.fold, config.split_seed)
    else:
        given = None if dataset.splits is None else dataset.splits[kept]
        split = _split_once(config, dataset, labels, given, groups)
    hidden = split.hidden if config.hides_labels else split.hidden[:0]
    unlabeled = split.unlabeled[:0] if config.unlabeled is False else split.unlabeled
    without = np.sort(np.concatenate([hidden, unlabeled]))
    return TaskRows(*(kept[rows] for rows in (split.labeled, without, split.val, split.test)))


def _split_once(
    config: DataConfig, dataset: Dataset, labels: Rows, given: NDArray[np.int8] | None, groups: Groups | None
) -> Split:
    """Return train, val and test without cross-validation; see `split_dataset` for the arguments."""
    problems = describe_small_classes(
        find_small_classes(labels, dataset.class_names, given, groups), dropping=config.drop_small_classes
    )
    if problems:
        raise InputError("data", problems)
    return split_dataset(
        labels,
        shots=config.shots,
        split_seed=config.split_seed,
        shots_seed=config.shots_seed,
        given=given,
        groups=groups,
        draw=config.draw,
        is_val_drawn=dataset.is_val_drawn,
        join=config.join,
    )


def divide(dataset: Dataset, rows: TaskRows, images: NDArray[np.uint8]) -> tuple[Images, Images, Images]:
    """Return train, val and test as slices of the decoded images."""
    labels = dataset.labels[torch.from_numpy(rows.all)]
    first = len(rows.labeled) + len(rows.unlabeled)
    labels[len(rows.labeled) : first] = UNLABELED
    sizes = [first, len(rows.val), len(rows.test)]
    parts = (torch.from_numpy(images), labels, torch.from_numpy(rows.all))
    train, val, test = (Images(*split) for split in zip(*(part.split(sizes) for part in parts), strict=True))
    return train, val, test
