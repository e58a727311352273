"""Facts about the images and the machine on which the decisions rest."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tdmr_ray.data.preset import Preset
from tdmr_ray.data.summarize import BAD_IMAGE
from tdmr_ray.data.summary import DataSummary
from tdmr_ray.data.task import Task
from tdmr_ray.machine import available_cores


@dataclass(frozen=True)
class ImageFacts:
    """A data set in numbers.

    Attributes:
        class_sizes: Labelled images of each class, over all splits.
        num_train: Training images, with and without labels.
        num_test: Images of test.
        num_unlabeled: Training images without labels.
        median_px: Median of the shorter sides; None if the source has no files.
        num_near_duplicates: Pairs of nearly identical images in different splits.
        num_unreadable: Unreadable images.
        preset: Preset of views that suits the images.
    """

    class_sizes: Mapping[str, int]
    num_train: int
    num_test: int
    num_unlabeled: int
    median_px: int | None
    num_near_duplicates: int
    num_unreadable: int
    preset: Preset

    @classmethod
    def of(cls, task: Task, summary: DataSummary) -> "ImageFacts":
        """Return the facts of a task."""
        return cls(
            class_sizes={name: sum(counts.values()) for name, counts in summary.classes.items()},
            num_train=len(task.train),
            num_test=len(task.test),
            num_unlabeled=summary.unlabeled,
            median_px=summary.median_px,
            num_near_duplicates=len(summary.near_duplicates),
            num_unreadable=summary.ignored.get(BAD_IMAGE, 0),
            preset=task.preset,
        )


@dataclass(frozen=True)
class Machine:
    """The processors of this machine.

    Attributes:
        cores: Cores that this process may use.
        gpu: Name of the GPU that Ray counts; empty without one.
    """

    cores: int
    gpu: str = ""

    @classmethod
    def this(cls) -> "Machine":
        """Return the machine on which this process runs."""
        return cls(available_cores(), torch.cuda.get_device_name(0) if torch.cuda.is_available() else "")

    def describe(self) -> str:
        """Return the processors in words."""
        cores = f"{self.cores} core{'s' if self.cores > 1 else ''}"
        return f"{cores} and a GPU ({self.gpu})" if self.gpu else f"{cores} and no GPU"
