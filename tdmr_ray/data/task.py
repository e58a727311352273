"""A task: a data set, split, with the training images ready for seeded views."""

import hashlib
from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tdmr_ray.data.datasets import load_dataset, scale_images
from tdmr_ray.data.splits import split_dataset

UNLABELED = -1


class DataConfig(BaseModel):
    """Which images, how many of them with labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "digits"
    shots: int | None = Field(default=None, ge=1)
    """Labelled training images a class; None uses every label."""
    unlabeled: bool = False
    """Whether the other training images join without their labels."""
    image_px: int | None = Field(default=None, ge=8)
    """Side to which the images are scaled; None leaves them as they are."""
    split_seed: int = Field(default=0, ge=0)
    shots_seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Images:
    """Images with labels: uint8 [N, 3, H, W] and int64 [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Task:
    """Everything a trial may look at.

    Attributes:
        train: Labelled images first, then those without labels, marked `UNLABELED`.
        num_labeled: How many of `train` have a label.
        val: For every choice.
        test: Read once for each finalist.
        class_names: C names.
        mirror: Whether views may be mirrored.
        fingerprint: SHA-256 of images, labels and split.
    """

    train: Images
    num_labeled: int
    val: Images
    test: Images
    class_names: tuple[str, ...]
    mirror: bool
    fingerprint: str

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def image_px(self) -> int:
        """Height (and width) of the images in pixels."""
        return int(self.train.images.shape[-1])

    @property
    def labeled(self) -> Images:
        """The labelled part of `train`."""
        return Images(self.train.images[: self.num_labeled], self.train.labels[: self.num_labeled])


def load_task(config: DataConfig) -> Task:
    """Load and split a data set.

    Raises:
        InputError: If the name is unknown or a class has fewer images than `shots`.
    """
    dataset = load_dataset(config.name)
    if config.image_px is not None:
        dataset = replace(dataset, images=scale_images(dataset.images, config.image_px))
    labels = dataset.labels.numpy()
    split = split_dataset(
        labels,
        shots=config.shots,
        split_seed=config.split_seed,
        shots_seed=config.shots_seed,
        in_test=None if dataset.in_test is None else dataset.in_test.numpy(),
    )
    labeled, unlabeled = torch.from_numpy(split.labeled), torch.from_numpy(split.unlabeled)
    train = Images(dataset.images[labeled], dataset.labels[labeled])
    if config.unlabeled:
        hidden = torch.full_like(unlabeled, UNLABELED)
        train = Images(torch.cat([train.images, dataset.images[unlabeled]]), torch.cat([train.labels, hidden]))
    val, test = (
        Images(dataset.images[torch.from_numpy(part)], dataset.labels[torch.from_numpy(part)])
        for part in (split.val, split.test)
    )
    parts = [train, val, test]
    return Task(train, len(labeled), val, test, dataset.class_names, dataset.mirror, _fingerprint(parts))


def _fingerprint(parts: list[Images]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(tuple(part.images.shape)).encode())
        digest.update(part.images.contiguous().numpy().tobytes())
        digest.update(part.labels.contiguous().numpy().tobytes())
    return digest.hexdigest()
