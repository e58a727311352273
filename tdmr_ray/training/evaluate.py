"""Evaluation of a network on held-out images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor
from torch.nn.functional import cross_entropy

from tdmr_ray.data.task import Images
from tdmr_ray.training.micro_batches import INFERENCE_BATCH, MicroBatches


@dataclass(frozen=True)
class Evaluation:
    """Logits of a network for held-out images.

    Attributes:
        logits: [N, C].
        labels: [N].
    """

    logits: Tensor
    labels: Tensor

    @property
    def top1(self) -> float:
        """Fraction of images whose class is right."""
        return float((self.logits.argmax(dim=1) == self.labels).float().mean())

    @property
    def loss(self) -> float:
        """Cross entropy in nats."""
        return float(cross_entropy(self.logits, self.labels))

    @property
    def confusion(self) -> list[list[int]]:
        """Counts by true class, then by predicted class."""
        classes = range(self.logits.shape[1])
        table: list[list[int]] = confusion_matrix(self.labels, self.logits.argmax(dim=1), labels=[*classes]).tolist()
        return table


@torch.no_grad()
def evaluate(
    predict: Callable[[Tensor], Tensor], images: Images, *, device: torch.device, batch_size: int = INFERENCE_BATCH
) -> Evaluation:
    """Run `predict`, a function from images in 0..1 to logits, over images without augmentation."""

    def logits_of(part: Tensor) -> Tensor:
        return predict(part.to(device).float().div(255.0)).float().cpu()

    return Evaluation(torch.cat(MicroBatches().map(images.images, logits_of, batch_size)), images.labels)
