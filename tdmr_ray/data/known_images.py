"""Images that a task holds already: they are copied into another task of the same data set, not decoded again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.origin import Rows
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.task import Task

BLOCK_BYTES = 32_000_000
"""Memory for the images that are copied or decoded at once."""


def with_known_images(dataset: Dataset, key: str, known: Task | None) -> Dataset:
    """Return the data set; rows that a task holds in the wanted format are copied from there.

    Args:
        dataset: The data set.
        key: See `Origin.key`.
        known: Task of the same rows; one of other rows, or None, changes nothing.
    """
    if known is None or known.origin is None or known.origin.key != key:
        return dataset
    place = np.full(len(dataset.labels), -1)
    place[known.origin.rows] = np.arange(len(known.origin.rows))
    return replace(dataset, decode=partial(_copy_or_decode, dataset, known, place))


def _copy_or_decode(
    dataset: Dataset,
    known: Task,
    place: Rows,
    rows: Rows,
    form: InputFormat,
    out: NDArray[np.uint8],
    on_progress: Callable[[int], object],
) -> dict[int, str]:
    """Fill `out` with the images of some rows; see `Decode`."""
    if form != known.input_format:
        return dataset.decode(rows, form, out, on_progress)
    places = place[rows]
    sizes = [len(known.train), len(known.val), len(known.test)]
    splits = zip(pairwise(np.cumsum([0, *sizes]).tolist()), (known.train, known.val, known.test), strict=True)
    for (start, end), split in splits:
        for part in _blocks(np.flatnonzero((places >= start) & (places < end)), out):
            out[part] = split.images[torch.from_numpy(places[part] - start)].numpy()
    bad: dict[int, str] = {}
    for part in _blocks(np.flatnonzero(places < 0), out):
        images = np.empty((len(part), *out.shape[1:]), np.uint8)
        bad |= dataset.decode(rows[part], form, images, on_progress)
        out[part] = images
    return bad


def _blocks(places: Rows, out: NDArray[np.uint8]) -> Iterator[Rows]:
    """Yield places in pieces whose images fit into a block."""
    size = max(1, BLOCK_BYTES // int(np.prod(out.shape[1:])))
    for start in range(0, len(places), size):
        yield places[start : start + size]
