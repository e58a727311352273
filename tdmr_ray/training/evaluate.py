"""Measuring a network on held-out images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tdmr_ray.data.task import Images
from tdmr_ray.training.micro_batches import AT_ONCE, MicroBatches


@dataclass(frozen=True)
class Evaluation:
    """What a network said about held-out images.

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
        """Counts, [true class][predicted class]."""
        num_classes = self.logits.shape[1]
        places = self.labels * num_classes + self.logits.argmax(dim=1)
        table: list[list[int]] = places.bincount(minlength=num_classes**2).view(num_classes, num_classes).tolist()
        return table


@torch.no_grad()
def evaluate(
    predict: Callable[[Tensor], Tensor], images: Images, *, device: torch.device, batch_size: int = AT_ONCE
) -> Evaluation:
    """Run `predict` (images in 0..1 to logits) over images as they are, without augmentation."""

    def say(part: Tensor) -> Tensor:
        return predict(part.to(device).float().div(255.0)).float().cpu()

    return Evaluation(torch.cat(MicroBatches().ask(images.images, say, batch_size)), images.labels)
