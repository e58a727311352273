"""A task: the images of a data set, decoded and divided into splits."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from tdmr_ray.data.arrays import LabeledArrays, dataset_from_arrays
from tdmr_ray.data.bit_depth import BitDepth, given_scale
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.dataset import Dataset
from tdmr_ray.data.datasets import load_dataset
from tdmr_ray.data.preset import Preset, preset_of
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.split_names import UNLABELED
from tdmr_ray.data.splits import split_dataset
from tdmr_ray.errors import InputError


@dataclass(frozen=True)
class Images:
    """Images with labels: uint8 [N, 3, H, W] and int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Task:
    """The data that a trial may use.

    Attributes:
        train: Labelled images, followed by images whose label is `UNLABELED`.
        num_labeled: Number of labelled images in `train`.
        val: Images on which everything is chosen.
        test: Images that are read once for each finalist.
        class_names: C names.
        preset: Views that `views.preset: auto` means.
        fingerprint: SHA-256 of images, labels, split and preset.
        notes: Remarks for the report, such as images that are in both train and test.
        form: Format in which the images were decoded; None if they came as they are.
        default_px: Side of the input of targets that have none of their own; None is the side of the images.
    """

    train: Images
    num_labeled: int
    val: Images
    test: Images
    class_names: tuple[str, ...]
    preset: Preset
    fingerprint: str
    notes: tuple[str, ...] = ()
    form: InputFormat | None = None
    default_px: int | None = None

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        labels: ArrayLike,
        *,
        class_names: Sequence[str] | None = None,
        unlabeled: ArrayLike | None = None,
        val: LabeledArrays | None = None,
        test: LabeledArrays | None = None,
        shots: int | None = None,
        split_seed: int = 0,
        shots_seed: int = 0,
        preset: Preset = "document",
        image_px: int | None = None,
    ) -> "Task":
        """Make a task of numpy arrays. Splits that are not given are drawn from `images`, as `load_task` does.

        Args:
            images: uint8, or floating point in 0..1; [N, H, W, 3], [N, 3, H, W] or grey [N, H, W].
            labels: Integers or strings, [N].
            class_names: Names of the classes 0..C-1; None takes the labels themselves.
            unlabeled: Training images without labels.
            val: Images and labels of the val split.
            test: Images and labels of the test split.
            shots: Labelled training images a class; the others join without labels. None uses every label.
            split_seed: Seed of the splits that are drawn.
            shots_seed: Seed of the choice of labelled images.
            preset: Views that suit the images: `photo` is for photographs and mirrors; `document` suits writing and
                everything else that has a direction; `none` leaves images as they are.
            image_px: Side to which the images are scaled; None keeps theirs.

        Raises:
            InputError: With every problem of the arguments.
        """
        limits = (("shots", shots, 1), ("split_seed", split_seed, 0), ("shots_seed", shots_seed, 0))
        problems = [
            f"{name} must be at least {least}, got {value}"
            for name, value, least in (*limits, ("image_px", image_px, 8))
            if value is not None and value < least
        ]
        try:
            dataset = dataset_from_arrays(
                images,
                labels,
                class_names=class_names,
                unlabeled=unlabeled,
                val=val,
                test=test,
                preset=preset,
                image_px=image_px,
            )
        except InputError as error:
            problems += error.problems
        if problems:
            raise InputError("arrays", problems)
        config = DataConfig(
            shots=shots, unlabeled=True, image_px=image_px, split_seed=split_seed, shots_seed=shots_seed
        )
        return prepare_task(dataset, config)

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_px(self) -> int:
        """Height (and width) of the images in pixels."""
        return int(self.train.images.shape[-1])

    @property
    def input_format(self) -> InputFormat:
        """Format in which further images are to be read."""
        return self.form or InputFormat(self.image_px)

    def target_px(self, input_px: int | None) -> int:
        """Return the side of a target's input, for the `input_px` that it may have of its own."""
        return input_px or self.default_px or self.image_px

    @property
    def labeled(self) -> Images:
        """The labelled images of `train`."""
        return Images(self.train.images[: self.num_labeled], self.train.labels[: self.num_labeled])


Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]
"""Allocates an array for images [N, 3, H, W]."""


def _in_memory(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, np.uint8)


def load_task(
    config: DataConfig, allocate: Allocate = _in_memory, on_progress: Callable[[int], object] = lambda count: None
) -> Task:
    """Load, split and decode a data set; its splits are consecutive slices of one array.

    Args:
        config: Data section of the configuration.
        allocate: Allocates the array.
        on_progress: Called with the number of newly decoded images.

    Raises:
        InputError: If the name is unknown, a class has too few images, or an image cannot be read.
    """
    return prepare_task(load_dataset(config), config, allocate, on_progress)


def prepare_task(
    dataset: Dataset,
    config: DataConfig,
    allocate: Allocate = _in_memory,
    on_progress: Callable[[int], object] = lambda count: None,
) -> Task:
    """Split and decode a data set; see `load_task`."""
    scale = dataset.find_scale() if config.bit_depth is None else given_scale(config.bit_depth)
    form = _input_format(config, dataset, scale)
    left_out = np.empty(0, np.int64)
    while True:
        kept = np.setdiff1d(np.arange(len(dataset.labels)), left_out)
        rows_of = _split(config, dataset, kept)
        images, bad = _decode(form, dataset, np.concatenate(rows_of), allocate, on_progress)
        if not bad:
            break
        if config.on_bad_image == "fail":
            advice = "repair or remove them, or set data.on_bad_image: skip"
            raise InputError("data", [*dataset.describe_bad(bad), f"{len(bad)} images cannot be read; {advice}"])
        left_out = np.union1d(left_out, np.fromiter(bad, np.int64))
    labels, num_labeled = [dataset.labels[torch.from_numpy(rows)] for rows in rows_of], len(rows_of[0])
    labels[1] = torch.full_like(labels[1], UNLABELED)
    ends = np.cumsum([len(rows_of[0]) + len(rows_of[1]), len(rows_of[2]), len(rows_of[3])])
    train, val, test = (
        Images(torch.from_numpy(images[start:end]), split_labels)
        for start, end, split_labels in zip((0, *ends), ends, (torch.cat(labels[:2]), *labels[2:]), strict=False)
    )
    notes = _notes_on_unreadable(dataset, left_out) + (_notes_on_duplicates(train, val, test) if dataset.key else ())
    notes += scale.notes
    preset = dataset.preset or preset_of(train.images)
    notes += (_note_on_views(preset),) if dataset.preset is None else ()
    fingerprint = _fingerprint([train, val, test], preset)
    return Task(
        train,
        num_labeled,
        val,
        test,
        dataset.class_names,
        preset,
        fingerprint,
        notes,
        form,
        config.image_px or dataset.image_px,
    )


def _input_format(config: DataConfig, dataset: Dataset, scale: BitDepth) -> InputFormat:
    """Return the format in which images are decoded; files may be decoded larger than `image_px`."""
    side = config.image_px or dataset.image_px
    if dataset.has_files:
        side = max(side, config.decode_px or 0)
    return InputFormat(side, config.resize, config.interpolation, scale.bits, scale.float_max)


def _split(config: DataConfig, dataset: Dataset, kept: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the rows of labelled train, unlabelled train (empty unless configured), val and test."""
    split = split_dataset(
        dataset.labels.numpy()[kept],
        shots=config.shots,
        split_seed=config.split_seed,
        shots_seed=config.shots_seed,
        given=None if dataset.splits is None else dataset.splits[kept],
    )
    unlabeled = split.unlabeled if config.hides_labels else split.unlabeled[:0]
    return [kept[rows] for rows in (split.labeled, unlabeled, split.val, split.test)]


def _decode(
    form: InputFormat,
    dataset: Dataset,
    rows: NDArray[np.int64],
    allocate: Allocate,
    on_progress: Callable[[int], object],
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    images = allocate((len(rows), 3, form.size_px, form.size_px))
    return images, dataset.decode(rows, form, images, on_progress)


def _notes_on_unreadable(dataset: Dataset, left_out: NDArray[np.int64]) -> tuple[str, ...]:
    if not len(left_out):
        return ()
    return (f"{len(left_out)} images cannot be read and are left out: {_some(dataset.names[row] for row in left_out)}",)


def _notes_on_duplicates(train: Images, val: Images, test: Images) -> tuple[str, ...]:
    """Note images of val and test that are also in train."""
    seen = {_digest(image) for image in train.images}
    notes = []
    for name, split in {"val": val, "test": test}.items():
        count = sum(_digest(image) in seen for image in split.images)
        if count:
            notes.append(f"{count} of {len(split)} images of {name} are also in train, which inflates its accuracy")
    return tuple(notes)


def _note_on_views(preset: Preset) -> str:
    if preset == "photo":
        advice = "set views.preset: document or views.mirror: false if a mirrored image changes its class"
        return f"views: preset 'photo', mirrored; {advice}"
    advice = "set views.preset: photo if they are photographs"
    return f"views: preset '{preset}', not mirrored, because all images are grey; {advice}"


def _digest(image: Tensor) -> bytes:
    return hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()


def _some(names: Iterable[str], most: int = 5) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")


def _fingerprint(splits: list[Images], preset: Preset) -> str:
    digest = hashlib.sha256(preset.encode())
    for split in splits:
        digest.update(str(tuple(split.images.shape)).encode())
        for block in split.images.split(1024):
            digest.update(block.contiguous().numpy())
        digest.update(split.labels.contiguous().numpy().tobytes())
    return digest.hexdigest()
