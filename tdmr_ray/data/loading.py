"""Loading of a task: split a data set, decode its images, and look at what came out."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.bit_depth import BitDepth, given_scale
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.groups import Groups, join_groups
from tdmr_ray.data.known_images import known_groups, with_known_images
from tdmr_ray.data.near_duplicates import near_groups, near_pairs, perceptual_hashes
from tdmr_ray.data.origin import Origin, Rows, origin_key
from tdmr_ray.data.preset import Preset, preset_of
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.split_names import UNLABELED, VAL
from tdmr_ray.data.summarize import describe_views, recount, summarize
from tdmr_ray.data.task import Images, Task
from tdmr_ray.data.task_rows import TaskRows, divide, split_rows
from tdmr_ray.errors import InputError

Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""Allocates an array for images [N, 3, H, W]."""
OnProgress = Callable[[int], object]
"""Receives the number of newly decoded images."""
MOST_PAIRS = 10_000
"""Number of near-identical images after which nobody looks for more."""
HASHED_PX = 64
"""Side at which images are compared before they are split."""


def _in_memory(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def _ignore(count: int) -> None:
    """Ignore the progress of decoding."""


def load_task(
    config: DataConfig,
    allocate: Allocate = _in_memory,
    on_progress: OnProgress = _ignore,
    known: Task | None = None,
    also_known: Sequence[Task] = (),
) -> Task:
    """Load, split and decode a data set; its splits are consecutive slices of one array.

    A redraw, a task whose val joins train, and a fold are variants of the task of `config.base`. They keep what that
    task decided: the unreadable images, the groups of near-identical ones, and the preset.

    Args:
        config: Data section of the configuration.
        allocate: Allocates the array.
        on_progress: Called with the number of newly decoded images.
        known: Task whose images are copied rather than decoded again. A variant needs that of `config.base`, which is
            loaded if it is None.
        also_known: Further tasks whose images are copied, if they are of the same data set.

    Raises:
        InputError: If the name is unknown, a class has too few images, or an image cannot be read.
    """
    dataset = load_dataset(config)
    if config != config.base:
        base = known or load_task(config.base, also_known=also_known)
        task = _prepare_variant(dataset, config, base, allocate, on_progress, also_known)
    else:
        task = prepare_task(dataset, config, allocate, on_progress, [known, *also_known] if known else also_known)
    return replace(task, source=config)


def prepare_task(
    dataset: Dataset,
    config: DataConfig,
    allocate: Allocate = _in_memory,
    on_progress: OnProgress = _ignore,
    known: Sequence[Task] = (),
) -> Task:
    """Split and decode a data set; see `load_task`. Images are copied from known tasks of the same data set."""
    scale = dataset.find_scale() if config.bit_depth is None else given_scale(config.bit_depth)
    form = _input_format(config, dataset, scale)
    key = origin_key(config, dataset)
    dataset = with_known_images(dataset, key, known)
    if config.near_duplicates == "group":
        groups = known_groups(key, "group", form, known)
        dataset = replace(dataset, groups=_join_near_duplicates(dataset, form) if groups is None else groups)
    rows, images, bad = _decode_readable(dataset, config, form, allocate, on_progress)
    train, val, test = divide(dataset, rows, images)
    preset = dataset.preset or preset_of(train.images)
    task = Task(
        train=train,
        num_labeled=len(rows.labeled),
        val=val,
        test=test,
        class_names=dataset.class_names,
        preset=preset,
        fingerprint=_fingerprint([train, val, test], preset),
        form=form,
        default_px=config.image_px or dataset.default_px or dataset.image_px,
        origin=Origin(key, rows.all, bad, dataset.groups, config.near_duplicates, _is_val_drawn(dataset)),
    )
    if not dataset.key:
        return task
    views = (describe_views(preset),) if dataset.preset is None else ()
    summary = summarize(task, dataset, config, rows.all, bad, _near_duplicates(task, rows.all))
    notes = (*summary.warnings, *scale.notes, *views)
    return replace(task, notes=notes, summary=summary.model_copy(update={"notes": (*scale.notes, *views)}))


def _prepare_variant(
    dataset: Dataset,
    config: DataConfig,
    base: Task,
    allocate: Allocate,
    on_progress: OnProgress,
    also_known: Sequence[Task],
) -> Task:
    """Split a data set in another way than its base, from which images are copied; notes are those of the base."""
    if base.origin is None:
        raise ValueError("the base of a variant must have been loaded, not made by hand")
    form, origin = base.input_format, base.origin
    dataset = with_known_images(dataset, origin_key(config, dataset), [base, *also_known])
    dataset = replace(dataset, groups=origin.groups)
    rows, images, bad = _decode_readable(dataset, config, form, allocate, on_progress, origin.bad)
    train, val, test = divide(dataset, rows, images)
    task = replace(
        base,
        train=train,
        num_labeled=len(rows.labeled),
        val=val,
        test=test,
        fingerprint=_fingerprint([train, val, test], base.preset),
        origin=replace(origin, rows=rows.all, bad=bad),
    )
    if base.summary is None:
        return task
    return replace(task, summary=recount(base.summary, task, dataset, config, rows.all, bad))


def _decode_readable(
    dataset: Dataset,
    config: DataConfig,
    form: InputFormat,
    allocate: Allocate,
    on_progress: OnProgress,
    known_bad: Mapping[int, str] | None = None,
) -> tuple[TaskRows, NDArray[np.uint8], dict[int, str]]:
    """Split and decode; split again without the images that turn out to be unreadable.

    Args:
        dataset: The data set.
        config: Its data section.
        form: Format of the images.
        allocate: Allocates the array.
        on_progress: Called with the number of newly decoded images.
        known_bad: Unreadable images of the base of a variant. The variant's own leave its splits as they are, so that
            it has the test split of the base.

    Raises:
        InputError: If there are any, and they are not to be skipped.
    """
    bad = dict(known_bad or {})
    while True:
        readable = _without(dataset, bad if known_bad is None else known_bad)
        rows = split_rows(config, dataset, readable).without(np.fromiter(bad, np.int64))
        images = allocate((len(rows.all), 3, form.size_px, form.size_px))
        new = dataset.decode(rows.all, form, images, on_progress)
        if not new:
            return rows, images, bad
        if config.on_bad_image == "fail":
            advice = "repair or remove them, or set data.on_bad_image: skip"
            raise InputError("data", [*dataset.describe_bad(new), f"{len(new)} images cannot be read; {advice}"])
        bad |= new


def _is_val_drawn(dataset: Dataset) -> bool:
    """Return whether the val split is drawn rather than given."""
    if dataset.splits is None:
        return True
    return dataset.is_val_drawn or not (dataset.splits[dataset.labels.numpy() != UNLABELED] == VAL).any()


def _without(dataset: Dataset, bad: Mapping[int, str]) -> Rows:
    return np.setdiff1d(np.arange(len(dataset.labels)), np.fromiter(bad, np.int64))


def _input_format(config: DataConfig, dataset: Dataset, scale: BitDepth) -> InputFormat:
    """Return the format in which images are decoded; files may be decoded larger than `image_px`."""
    side = config.image_px or dataset.image_px
    if dataset.has_files:
        side = max(side, config.decode_px or 0)
    return InputFormat(side, config.resize, config.interpolation, scale.bits, scale.float_max)


def _join_near_duplicates(dataset: Dataset, form: InputFormat) -> Groups:
    """Return the groups of a data set after near-identical labelled images have joined their groups."""
    labeled = np.flatnonzero(dataset.labels.numpy() != UNLABELED)
    images = np.zeros((len(labeled), 3, HASHED_PX, HASHED_PX), np.uint8)
    bad = dataset.decode(labeled, replace(form, size_px=HASHED_PX), images, _ignore)
    near = np.arange(len(dataset.labels))
    readable = ~np.isin(labeled, np.fromiter(bad, np.int64))
    near[labeled[readable]] = len(near) + near_groups(perceptual_hashes(torch.from_numpy(images[readable])))
    return near if dataset.groups is None else join_groups(dataset.groups, near)


def _near_duplicates(task: Task, rows: Rows) -> Rows:
    """Return the rows of near-identical images in different splits, [P, 2]."""
    hashes = np.concatenate([perceptual_hashes(split.images) for split in (task.train, task.val, task.test)])
    starts = np.cumsum([0, len(task.train), len(task.val), len(task.test)])
    train, val, test = (np.arange(*ends) for ends in pairwise(starts))
    sides = ((train, np.concatenate([val, test])), (val, test))
    pairs = [near_pairs(hashes, *side, most=MOST_PAIRS) for side in sides]
    return rows[np.concatenate(pairs)]


def _fingerprint(splits: list[Images], preset: Preset) -> str:
    digest = hashlib.sha256(preset.encode())
    for split in splits:
        digest.update(str(tuple(split.images.shape)).encode())
        for block in split.images.split(1024):
            digest.update(block.contiguous().numpy())
        digest.update(split.labels.contiguous().numpy().tobytes())
    return digest.hexdigest()
