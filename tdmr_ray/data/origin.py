"""Where the images of a task come from: rows of a data set."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.config import DataConfig, Grouping
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.groups import Groups

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Origin:
    """Rows of a data set that became a task.

    Attributes:
        key: Hash of the data set and of the keys of the data section that decide what its rows are.
        rows: Row of each image of the task: labelled train, train without labels, val, test, [N].
        bad: Rows that could not be read, with the reason; they are in no split.
        groups: Group of each row of the data set, with near-identical images in one group if `data.near_duplicates`
            asks for it; None if there are no groups.
        grouping: Value of `data.near_duplicates`, which `groups` follow.
        is_val_drawn: Whether the val split of `data.base` was drawn, so that `data.draw` draws it again.
    """

    key: str
    rows: Rows
    bad: Mapping[int, str]
    groups: Groups | None
    grouping: Grouping = "keep"
    is_val_drawn: bool = False


def origin_key(config: DataConfig, dataset: Dataset) -> str:
    """Return a hash that two data sets share only if their rows are the same images."""
    parts = config.listing_part().model_dump_json(), dataset.key
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:16]
