"""Images that travel with a model, so that a folder that was moved can still be exported and verified."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from tdmr_ray.data.task import Images, Task
from tdmr_ray.deploy.batches import Pixels
from tdmr_ray.errors import InputError

CHECK_IMAGES = "check_images.npz"
MAX_CHECKED, MAX_CALIBRATION = 500, 200
MAX_PIXELS = 10_000_000
"""Pixels of all images in the file without those of test, which are at most as many again: 60 MB in all."""
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, BadZipFile, zlib.error)
"""What numpy raises for a file that is no archive of arrays, or another one; the archive has checksums of its own."""


@dataclass(frozen=True)
class TestImages:
    """Images of test and their classes, [N]."""

    __test__ = False  # no tests for pytest

    pixels: Pixels
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class CheckImages:
    """Images by which an export is calibrated and verified.

    Attributes:
        split: Split that `pixels` are from: val; test after a refit that trained on val, train if it trained on both.
        pixels: Images on which a file is verified.
        labels: Their classes, [N].
        calibration: Training images, with labels or without, from which int8 takes its ranges.
        test: Images of test, where `split` is val; figures on them are reported, and no decision depends on them.
    """

    split: str
    pixels: Pixels
    labels: NDArray[np.int64]
    calibration: Pixels
    test: TestImages | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def save(self, folder: Path) -> None:
        """Write the file into a model's folder."""
        arrays: dict[str, Any] = {"split": np.array(self.split), "pixels": self.pixels, "labels": self.labels}
        if self.test is not None:
            arrays |= {"test_pixels": self.test.pixels, "test_labels": self.test.labels}
        np.savez_compressed(folder / CHECK_IMAGES, calibration=self.calibration, **arrays)


def check_images_of(task: Task, *, joined: str = "none") -> CheckImages:
    """Draw check images from a task; always the same ones.

    Args:
        task: The images.
        joined: Splits that the model was also trained on: none, val, or all of them.
    """
    splits = [("val", task.val), ("test", task.test), ("train", task.labeled)]
    left = splits[("none", "val", "all").index(joined) :]
    split, images = next((name, each) for name, each in left if len(each))
    most = max(1, MAX_PIXELS // task.train.images[0, 0].numel())
    num_calibration = min(MAX_CALIBRATION, max(1, most // 4))
    num_checked = min(MAX_CHECKED, max(1, most - num_calibration))
    checked = _some(images, num_checked)
    return CheckImages(
        split,
        _pixels(checked),
        checked.labels.numpy(),
        _pixels(_some(task.train, num_calibration)),
        _test_images(task, num_checked) if split == "val" else None,
    )


def load_check_images(folder: Path) -> CheckImages | None:
    """Open the check images in a model's folder; None if it has none.

    Raises:
        InputError: If the file is damaged.
    """
    path = folder / CHECK_IMAGES
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            test = TestImages(found["test_pixels"], found["test_labels"]) if "test_pixels" in found else None
            return CheckImages(str(found["split"]), found["pixels"], found["labels"], found["calibration"], test)
    except UNREADABLE as error:
        cure = "copy it again, or remove it to verify on the images of the search"
        raise InputError(str(path), f"is damaged ({type(error).__name__}); {cure}") from error


def _test_images(task: Task, count: int) -> TestImages | None:
    if not len(task.test):
        return None
    some = _some(task.test, count)
    return TestImages(_pixels(some), some.labels.numpy())


def _some(images: Images, count: int) -> Images:
    if len(images) <= count:
        return images
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images.pick(order[:count].sort().values)


def _pixels(images: Images) -> Pixels:
    return np.ascontiguousarray(images.images.permute(0, 2, 3, 1).numpy())
