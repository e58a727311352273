"""A task: the images of a data set, decoded and divided into splits."""

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike
from torch import Tensor

from tdmr_ray.data.arrays import LabeledArrays, dataset_from_arrays
from tdmr_ray.data.config import DataConfig
from tdmr_ray.data.origin import Origin
from tdmr_ray.data.preset import Preset
from tdmr_ray.data.reading import InputFormat
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.errors import InputError


@dataclass(frozen=True)
class Images:
    """Images with labels.

    Attributes:
        images: uint8, [N, 3, H, W].
        labels: int64, [N].
        ids: Number of each image in its data set, int64 [N]; None for images that were put together by hand. It stays
            the same in all divisions of the data set, and so do an image's views.
    """

    images: Tensor
    labels: Tensor
    ids: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, rows: Tensor | slice) -> "Images":
        """Return some of the images."""
        return Images(self.images[rows], self.labels[rows], None if self.ids is None else self.ids[rows])


@dataclass(frozen=True)
class Task:
    """The data that a trial may use.

    Attributes:
        train: Labelled images, followed by images whose label is `UNLABELED`.
        num_labeled: Number of labelled images in `train`.
        val: Images on which everything is chosen; empty if they joined train (`data.join`, `data.folds`).
        test: Images that are read once for each finalist; empty if they joined train.
        class_names: C names.
        preset: Views that `views.preset: auto` means.
        fingerprint: SHA-256 of images, labels, split and preset.
        notes: Remarks for the report, such as images that are in both train and test.
        summary: Facts about the images for their owner; None for data in memory.
        form: Format in which the images were decoded; None if they came as they are.
        default_px: Side of the input of targets that have none of their own; None is the side of the images.
        source: Data section that the images were loaded with; None for arrays.
        origin: Rows of the data set that the images are; None for a task that was made by hand.
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
    summary: DataSummary | None = None
    source: DataConfig | None = None
    origin: Origin | None = None

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

        A search of the task confirms with other divisions of train and val (`data.draw`) if val is not given; labels
        that `shots` hides stay hidden. A given val and test are never divided anew, except into the folds of a
        cross-validation.

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
        from tdmr_ray.data.loading import prepare_task

        config = DataConfig(
            shots=shots, unlabeled=True, image_px=image_px, split_seed=split_seed, shots_seed=shots_seed
        )
        return prepare_task(dataset, config)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes that question the result, without those on what was decided."""
        return self.summary.warnings if self.summary else self.notes

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

    @property
    def label_counts(self) -> dict[str, list[int]]:
        """Labelled images of each class in train, val and test."""
        splits = {"train": self.labeled, "val": self.val, "test": self.test}
        return {name: each.labels.bincount(minlength=self.num_classes).tolist() for name, each in splits.items()}

    def target_px(self, input_px: int | None) -> int:
        """Return the side of a target's input, for the `input_px` that it may have of its own."""
        return input_px or self.default_px or self.image_px

    @property
    def labeled(self) -> Images:
        """The labelled images of `train`."""
        return self.train.pick(slice(self.num_labeled))

    @property
    def unlabeled(self) -> Images:
        """The images of `train` without labels."""
        return self.train.pick(slice(self.num_labeled, None))
