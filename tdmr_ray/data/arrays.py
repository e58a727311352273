"""Numpy arrays of the user as a data set: checked, brought to one layout, labels mapped to classes."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from tdmr_ray.data.dataset import Dataset, in_memory
from tdmr_ray.data.listing import natural_order, some_of
from tdmr_ray.data.preset import PRESET_NAMES, Preset
from tdmr_ray.data.split_names import ANY, TEST, TRAIN, UNLABELED, VAL
from tdmr_ray.errors import InputError

MIN_PX = 8
LabeledArrays = tuple[ArrayLike, ArrayLike]
"""Images and labels."""
Read = TypeVar("Read")


def dataset_from_arrays(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    class_names: Sequence[str] | None,
    unlabeled: ArrayLike | None,
    val: LabeledArrays | None,
    test: LabeledArrays | None,
    preset: Preset,
    image_px: int | None,
) -> Dataset:
    """Make a data set of arrays; see `Task.from_arrays` for the arguments.

    Raises:
        InputError: With every problem of the arrays.
    """
    problems: list[str] = []
    if preset not in PRESET_NAMES:
        problems.append(f"preset must be one of {', '.join(PRESET_NAMES)}, got {preset!r}")
    labeled = {"": (images, labels, ANY)}
    labeled |= {"val": (*val, VAL)} if val is not None else {}
    labeled |= {"test": (*test, TEST)} if test is not None else {}
    pixels, words, splits = [], [], []
    for name, (given, values, split) in labeled.items():
        block = _collect(problems, partial(read_pixels, f"{name} images".strip(), given))
        count = len(block) if block is not None else None
        read = _collect(problems, partial(read_labels, f"{name} labels".strip(), values, class_names, count))
        if block is not None and read is not None:
            pixels.append(block)
            words.append(read)
            splits.append(np.full(len(block), split, np.int8))
    hidden = None if unlabeled is None else _collect(problems, partial(read_pixels, "unlabeled images", unlabeled))
    if hidden is not None:
        pixels.append(hidden)
        splits.append(np.full(len(hidden), TRAIN, np.int8))
    problems += _check_sizes(pixels, image_px)
    names = list(class_names or sorted(set(words[0]), key=natural_order)) if words else []
    problems += _check_classes(words, names) if len(words) == len(labeled) else []
    if problems:
        raise InputError("arrays", problems)
    numbers = {name: number for number, name in enumerate(names)}
    rows = [numbers[word] for block_words in words for word in block_words]
    rows += [UNLABELED] * (0 if hidden is None else len(hidden))
    stacked, labels_out = np.concatenate(pixels), np.array(rows, np.int64)
    key = hashlib.sha256(stacked.tobytes() + labels_out.tobytes()).hexdigest()
    tensors = torch.from_numpy(stacked), torch.from_numpy(labels_out)
    return in_memory(*tensors, tuple(names), preset=preset, splits=np.concatenate(splits), key=key)


def read_pixels(what: str, images: ArrayLike) -> NDArray[np.uint8]:
    """Return images as uint8 [N, 3, H, W].

    Args:
        what: Name for messages.
        images: uint8, or floating point in 0..1; [N, H, W, 3], [N, 3, H, W] or grey [N, H, W].

    Raises:
        InputError: If shape, type or values are none of these.
    """
    try:
        array = np.asarray(images)
    except ValueError as error:
        raise InputError("arrays", f"{what} must be one array of equally large images: {error}") from error
    shape = array.shape
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and shape[1] not in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3) or min(array.shape[2:]) < MIN_PX or not len(array):
        rule = f"[N, H, W, 3], [N, 3, H, W] or [N, H, W] with N > 0 and sides of at least {MIN_PX} px"
        raise InputError("arrays", f"{what} must have the shape {rule}, got {list(shape)}")
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            advice = "divide by 255, or convert to uint8"
            raise InputError("arrays", f"{what} in floating point must be in 0..1, got {low:g}..{high:g}; {advice}")
        array = (array * 255).round().astype(np.uint8)
    if array.dtype != np.uint8:
        raise InputError("arrays", f"{what} must be uint8, or floating point in 0..1, got {array.dtype}; convert them")
    return np.ascontiguousarray(np.broadcast_to(array, (len(array), 3, *array.shape[2:])))


def read_labels(what: str, labels: ArrayLike, class_names: Sequence[str] | None, count: int | None) -> list[str]:
    """Return the class name of each image; integers index into `class_names`, or are names themselves.

    Raises:
        InputError: If they are neither integers nor strings, or not as many as there are images (`count`, if known).
    """
    array: NDArray[Any] = np.asarray(labels)
    texts = array.dtype.kind == "U" or (array.dtype == object and all(isinstance(each, str) for each in array.flat))
    if array.ndim != 1 or not (texts or array.dtype.kind in "iu"):
        raise InputError("arrays", f"{what} must be integers or strings [N], got {array.dtype} {list(array.shape)}")
    problems = []
    if count is not None and len(array) != count:
        problems.append(f"{what} must be as many as their images, got {len(array)} for {count} images")
    if not texts:
        limit = len(class_names) if class_names is not None else None
        outside = sorted({int(each) for each in array if each < 0 or (limit is not None and each >= limit)})
        if outside:
            rule = "must not be negative" if limit is None else f"must be in 0..{limit - 1}, the classes"
            advice = "pass images without labels as unlabeled="
            problems.append(f"{what} {rule}, got {some_of([str(each) for each in outside])}; {advice}")
    if problems:
        raise InputError("arrays", problems)
    return [str(each) if texts or class_names is None else class_names[int(each)] for each in array]


def _collect(problems: list[str], read: Callable[[], Read]) -> Read | None:
    """Return what `read` returns; if it raises, add its problems to the list and return None."""
    try:
        return read()
    except InputError as error:
        problems += error.problems
        return None


def _check_sizes(pixels: list[NDArray[np.uint8]], image_px: int | None) -> list[str]:
    sizes = sorted({block.shape[2:] for block in pixels})
    if len(sizes) > 1:
        got = ", ".join(f"{height} x {width}" for height, width in sizes)
        return [f"images, val, test and unlabeled must have one size, got {got}; scale them"]
    if sizes and sizes[0][0] != sizes[0][1] and image_px is None:
        return [f"images must be square, got {sizes[0][0]} x {sizes[0][1]}; crop them, or squash them with image_px="]
    return []


def _check_classes(words: list[list[str]], names: list[str]) -> list[str]:
    problems = []
    if len(names) < 2:
        problems.append(f"labels must show at least two classes, got {some_of(names) or 'none'}")
    if len(set(names)) < len(names):
        problems.append(f"class_names must differ, got {some_of(names)}")
    unknown = sorted({word for block in words for word in block} - set(names), key=natural_order)
    if unknown:
        problems.append(f"labels must be among the classes {some_of(names)}, got {some_of(unknown)}")
    empty = [name for name in names if name not in set(words[0])]
    if empty:
        problems.append(f"every class must have labelled images, got none of {some_of(empty)}")
    return problems
