"""Summaries of tasks, made when their images are decoded."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.groups import count_groups
from tdmr_ray.data.listing import some_of
from tdmr_ray.data.preset import Preset
from tdmr_ray.data.reading import BadImage, open_image
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.data.task import Task

BAD_IMAGE = "unreadable"
"""Reason in `DataSummary.ignored`."""
MOST_MEASURED = 500
"""Number of images whose original size is looked up."""


def summarize(
    task: Task,
    dataset: Dataset,
    config: DataConfig,
    rows: NDArray[np.int64],
    bad: Mapping[int, str],
    near_duplicates: NDArray[np.int64],
) -> DataSummary:
    """Summarize a task and what was left out on the way to it.

    Args:
        task: The task.
        dataset: The data set that it comes from.
        config: Its data section.
        rows: Row of each image of the task in the data set, [N].
        bad: Unreadable rows, with the reason.
        near_duplicates: Rows of near-identical images in different splits, [P, 2].
    """
    splits = {"train": task.labeled.labels, "val": task.val.labels, "test": task.test.labels}
    counts = {split: np.bincount(labels.numpy(), minlength=task.num_classes) for split, labels in splits.items()}
    pairs = [(dataset.name_of(first), dataset.name_of(second)) for first, second in near_duplicates.tolist()]
    ignored = {reason: len(names) for reason, names in dataset.ignored.items()}
    sizes = _original_sizes(dataset, rows)
    held_out = rows[len(task.train) :]
    form, num_unlabeled = task.input_format, len(task.train) - task.num_labeled
    return DataSummary(
        source=config.name,
        classes={
            name: {split: int(counts[split][number]) for split in splits}
            for number, name in enumerate(task.class_names)
        },
        unlabeled=num_unlabeled,
        ignored=ignored | ({BAD_IMAGE: len(bad)} if bad else {}),
        near_duplicates=pairs,
        groups=0 if dataset.groups is None else count_groups(dataset.groups),
        smallest_px=min(sizes, key=np.prod, default=None),
        largest_px=max(sizes, key=np.prod, default=None),
        size_px=form.size_px,
        resize=form.resize,
        interpolation=form.interpolation,
        warnings=(
            *dataset.warnings,
            *_warn_of_bad(dataset, bad),
            *_warn_of_near_duplicates(pairs, config, len(np.intersect1d(near_duplicates, held_out)), len(held_out)),
            *_warn_of_unlabeled(config, num_unlabeled),
        ),
    )


def describe_views(preset: Preset) -> str:
    """Return a sentence on the views that were chosen for the owner."""
    if preset == "photo":
        advice = "set views.preset: document or views.mirror: false if a mirrored image changes its class"
        return f"views: preset 'photo', mirrored; {advice}"
    advice = "set views.preset: photo if they are photographs"
    return f"views: preset '{preset}', not mirrored, because all images are grey; {advice}"


def _original_sizes(dataset: Dataset, rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return width and height of evenly chosen images."""
    if dataset.open is None:
        return []
    chosen = rows[:: -(-len(rows) // MOST_MEASURED)]
    sizes = []
    for row in np.sort(chosen):
        try:
            with open_image(dataset.open(int(row))) as image:
                sizes.append(image.size)
        except BadImage:
            continue
    return sizes


def _warn_of_bad(dataset: Dataset, bad: Mapping[int, str]) -> list[str]:
    if not bad:
        return []
    names = some_of([dataset.name_of(row) for row in sorted(bad)])
    return [f"{len(bad)} images cannot be read and are left out: {names}"]


def _warn_of_near_duplicates(
    pairs: Sequence[tuple[str, str]], config: DataConfig, count: int, num_held_out: int
) -> list[str]:
    if not pairs:
        return []
    shown = some_of([f"{first} ~ {second}" for first, second in pairs])
    advice = "" if config.near_duplicates == "group" else "; set data.near_duplicates: group to keep them together"
    return [
        f"{count} of {num_held_out} images of val and test have a nearly identical one in another split, "
        f"which inflates their accuracy: {shown}{advice}"
    ]


def _warn_of_unlabeled(config: DataConfig, count: int) -> list[str]:
    """Warn if images without labels are wanted but there are none."""
    if config.unlabeled is not True or count:
        return []
    advice = "put images into a folder unlabeled/ beside the classes, or set data.unlabeled to a folder or csv:FILE"
    return [f"data.unlabeled: true adds nothing, because every training image has its label; {advice}"]
