"""Evaluation of a network on held-out images."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor

from tdmr_ray.data.task import Images
from tdmr_ray.models.at_once import images_at_once
from tdmr_ray.training.metrics import METRICS, measure
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.workers import Metrics


@dataclass(frozen=True)
class Evaluation:
    """Logits of a network for held-out images.

    Attributes:
        logits: [N, C].
        labels: [N].
    """

    logits: Tensor
    labels: Tensor

    @cached_property
    def metrics(self) -> Metrics:
        """All metrics that are defined, by name."""
        return self.measure()

    def measure(self, names: Iterable[str] = METRICS) -> Metrics:
        """Return some of the metrics, as far as they are defined, by name."""
        return measure(self.logits, self.labels, names)

    @property
    def top1(self) -> float:
        """Fraction of images whose class is right."""
        return self.measure(["top1"])["top1"]

    @property
    def right(self) -> list[str]:
        """For each class, '1' or '0' for each of its images in their order: whether it is classified rightly."""
        hits = self.logits.argmax(dim=1) == self.labels
        return ["".join("01"[hit] for hit in hits[self.labels == c].tolist()) for c in range(self.logits.shape[1])]

    @property
    def confusion(self) -> list[list[int]]:
        """Counts by true class, then by predicted class."""
        classes = range(self.logits.shape[1])
        table: list[list[int]] = confusion_matrix(self.labels, self.logits.argmax(dim=1), labels=[*classes]).tolist()
        return table


@torch.no_grad()
def evaluate(
    predict: Callable[[Tensor], Tensor], images: Images, *, device: torch.device, batch_size: int | None = None
) -> Evaluation:
    """Run `predict`, a function from images in 0..1 to logits, over images without augmentation.

    `batch_size` defaults to `images_at_once`.
    """
    count = batch_size or images_at_once(images.images.shape[-1], device)

    def logits_of(part: Tensor) -> Tensor:
        return predict(part.to(device).float().div(255.0)).float().cpu()

    return Evaluation(torch.cat(MicroBatches().map(images.images, logits_of, count)), images.labels)
