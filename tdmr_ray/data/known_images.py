"""Images that a task holds already: they are copied into another task of the same data set, not decoded again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.config import Grouping
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.groups import Groups
from tdmr_ray.data.origin import Rows
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.task import Task

BLOCK_BYTES = 32_000_000
"""Memory for the images that are copied or decoded at once."""


def with_known_images(dataset: Dataset, key: str, known: Sequence[Task]) -> Dataset:
    """Return the data set; rows that some task holds in the wanted format are copied from there.

    Args:
        dataset: The data set.
        key: See `Origin.key`.
        known: Tasks, the first of which are asked first. Those of other rows change nothing.
    """
    same = [task for task in known if task.origin is not None and task.origin.key == key]
    return replace(dataset, decode=partial(_copy_or_decode, dataset, same)) if same else dataset


def known_groups(key: str, grouping: Grouping, form: InputFormat, known: Sequence[Task]) -> Groups | None:
    """Return the groups of a task with the same rows, grouping and format, or None if there is none.

    Args:
        key: See `Origin.key`.
        grouping: Value of `data.near_duplicates`.
        form: Format of the images.
        known: Tasks.
    """
    for task in known:
        origin = task.origin
        if origin is not None and (origin.key, origin.grouping, task.input_format) == (key, grouping, form):
            return origin.groups
    return None


def _places(rows: Rows, count: int) -> Rows:
    """Return the place of each of so many rows in a list of rows, [count], or -1."""
    places = np.full(count, -1)
    places[rows] = np.arange(len(rows))
    return places


def _copy_or_decode(
    dataset: Dataset,
    known: Sequence[Task],
    rows: Rows,
    form: InputFormat,
    out: NDArray[np.uint8],
    on_progress: Callable[[int], object],
) -> dict[int, str]:
    """Fill `out` with the images of some rows; see `Decode`."""
    if not any(task.input_format == form for task in known):
        return dataset.decode(rows, form, out, on_progress)
    missing = np.arange(len(rows))
    for task in known:
        if task.origin is not None and task.input_format == form and len(missing):
            places = _places(task.origin.rows, len(dataset.labels))[rows[missing]]
            _copy(task, places, missing, out)
            missing = missing[places < 0]
    bad: dict[int, str] = {}
    for part in _blocks(missing, out):
        images = np.empty((len(part), *out.shape[1:]), np.uint8)
        bad |= dataset.decode(rows[part], form, images, on_progress)
        out[part] = images
    return bad


def _copy(task: Task, places: Rows, targets: Rows, out: NDArray[np.uint8]) -> None:
    """Copy the images at some places of a task, -1 for none, to their targets in `out`."""
    splits = (task.train, task.val, task.test)
    ends = pairwise(np.cumsum([0, *map(len, splits)]).tolist())
    for (start, end), split in zip(ends, splits, strict=True):
        for part in _blocks(np.flatnonzero((places >= start) & (places < end)), out):
            out[targets[part]] = split.images[torch.from_numpy(places[part] - start)].numpy()


def _blocks(places: Rows, out: NDArray[np.uint8]) -> Iterator[Rows]:
    """Yield places in pieces whose images fit into a block."""
    size = max(1, BLOCK_BYTES // int(np.prod(out.shape[1:])))
    for start in range(0, len(places), size):
        yield places[start : start + size]
