"""Summaries of tasks, made when their images are decoded."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tdmr_ray.data.config import ARRAYS, DataConfig
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.groups import count_groups
from tdmr_ray.data.listing import some_of
from tdmr_ray.data.preset import Preset
from tdmr_ray.data.reading import BadImage, open_image
from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.data.task import Task

BAD_IMAGE = "unreadable"
UNWANTED = "without a label, as data.unlabeled: false asks"
HELD_OUT_GROUP = "without a label, of a group in val or test"
BEYOND_SHOTS = "with a label beyond data.shots"
"""Reasons in `DataSummary.ignored`."""
SHOWN_GROUPS = 3
"""Number of groups that a warning names."""
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
    pairs = [(dataset.name_of(first), dataset.name_of(second)) for first, second in near_duplicates.tolist()]
    sizes = _original_sizes(dataset, rows)
    held_out = rows[len(task.train) :]
    form, num_unlabeled = task.input_format, len(task.train) - task.num_labeled
    return DataSummary(
        source="arrays" if config.name.startswith(ARRAYS) else config.name,
        classes=_count_images(task),
        unlabeled=num_unlabeled,
        ignored=_count_ignored(dataset, config, rows, bad),
        near_duplicates=pairs,
        groups=0 if dataset.groups is None else count_groups(dataset.groups),
        smallest_px=min(sizes, key=np.prod, default=None),
        largest_px=max(sizes, key=np.prod, default=None),
        median_px=int(np.median([min(size) for size in sizes])) if sizes else None,
        size_px=form.size_px,
        resize=form.resize,
        interpolation=form.interpolation,
        warnings=(
            *dataset.warnings,
            *_warn_of_bad(dataset, bad),
            *_warn_of_straddling(task, dataset, rows),
            *_warn_of_near_duplicates(pairs, config, len(np.intersect1d(near_duplicates, held_out)), len(held_out)),
            *_warn_of_unlabeled(config, num_unlabeled),
        ),
    )


def recount(
    summary: DataSummary,
    task: Task,
    dataset: Dataset,
    config: DataConfig,
    rows: NDArray[np.int64],
    bad: Mapping[int, str],
) -> DataSummary:
    """Return the summary of a task with the numbers of images of a variant; see `summarize` for the arguments."""
    numbers = {
        "classes": _count_images(task),
        "unlabeled": len(task.train) - task.num_labeled,
        "ignored": _count_ignored(dataset, config, rows, bad),
    }
    return summary.model_copy(update=numbers)


def _count_images(task: Task) -> dict[str, dict[str, int]]:
    """Return the number of images of each class in each split."""
    splits = {"train": task.labeled.labels, "val": task.val.labels, "test": task.test.labels}
    counts = {split: np.bincount(labels.numpy(), minlength=task.num_classes) for split, labels in splits.items()}
    return {
        name: {split: int(counts[split][number]) for split in splits} for number, name in enumerate(task.class_names)
    }


def _count_ignored(
    dataset: Dataset, config: DataConfig, rows: NDArray[np.int64], bad: Mapping[int, str]
) -> dict[str, int]:
    """Return the number of files and images that are left out, by reason."""
    left = np.setdiff1d(np.arange(len(dataset.labels)), np.concatenate([rows, np.fromiter(bad, np.int64)]))
    num_unlabeled = int((dataset.labels.numpy()[left] == UNLABELED).sum())
    why_unlabeled = UNWANTED if config.unlabeled is False else HELD_OUT_GROUP
    counts = {reason: len(names) for reason, names in dataset.ignored.items()}
    counts |= {BAD_IMAGE: len(bad), why_unlabeled: num_unlabeled, BEYOND_SHOTS: len(left) - num_unlabeled}
    return {reason: count for reason, count in counts.items() if count}


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


def _warn_of_straddling(task: Task, dataset: Dataset, rows: NDArray[np.int64]) -> list[str]:
    """Warn of groups with images in several splits, which only splits of the data set itself can have."""
    if dataset.groups is None:
        return []
    sizes = (len(task.train), len(task.val), len(task.test))
    places = np.unique(np.stack([dataset.groups[rows], np.repeat(np.arange(3), sizes)]), axis=1)[0]
    groups, counts = np.unique(places, return_counts=True)
    straddling = groups[counts > 1]
    if not len(straddling):
        return []
    first = [dataset.name_of(int(rows[dataset.groups[rows] == group][0])) for group in straddling[:SHOWN_GROUPS]]
    return [
        f"{len(straddling)} groups have images in several of the splits that the data set gives, which inflates the "
        f"accuracy on val and test, such as the group of {some_of(first)}; move the images of a group into one split"
    ]


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
