"""The images of a task that are inspected, with the names by which their owner finds them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tdmr_ray.data.task import Images, Task


@dataclass(frozen=True)
class Pool:
    """Images with their names.

    Attributes:
        images: The images, with ids.
        splits: Split of each image.
        names: Path of each image below the data's folder, or `image N`, its number in a data set without files.
    """

    images: Images
    splits: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def ids(self) -> Tensor:
        """Number of each image in its data set, [N]."""
        assert self.images.ids is not None, "pools are made of images with ids"
        return self.images.ids


def labeled_pool(task: Task, names: Sequence[str]) -> Pool:
    """Return the labelled images of train and val.

    Args:
        task: Its images have ids.
        names: Name of each image of the data set; empty if they have none.
    """
    train, val = task.labeled, task.val
    both = Images(
        torch.cat([train.images, val.images]),
        torch.cat([train.labels, val.labels]),
        torch.cat([_ids(train), _ids(val)]),
    )
    return Pool(both, ("train",) * len(train) + ("val",) * len(val), _names(both, names))


def unlabeled_pool(task: Task, names: Sequence[str]) -> Pool:
    """Return the training images without labels; see `labeled_pool`."""
    images = task.unlabeled
    return Pool(images, ("unlabeled",) * len(images), _names(images, names))


def _ids(images: Images) -> Tensor:
    if images.ids is None:
        raise ValueError("images need ids; see with_ids")
    return images.ids


def _names(images: Images, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(names[each] if names else f"image {each}" for each in _ids(images).tolist())
