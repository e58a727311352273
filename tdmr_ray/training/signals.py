"""Signals: a teacher's answers for the views that a target will see."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import ViewBatch, Views
from tdmr_ray.method.teacher import ProxySpace, Teacher
from tdmr_ray.training.config import TrialConfig

Answerer = Callable[[Tensor], ProxySpace]
"""From images in 0..1, [B, 3, H, W], to what is said of them."""

CONSENSUS_VIEWS = 8
"""Views of an image that are averaged for what a teacher says of it as a whole."""


@dataclass(frozen=True)
class Signals:
    """The proxy space of every training image in every stored view, in half precision.

    Attributes:
        embedding: [K, N, d].
        logits: [K, N, C].
    """

    embedding: NDArray[np.float16]
    logits: NDArray[np.float16]

    @property
    def num_views(self) -> int:
        """K."""
        return len(self.logits)

    def batch(self, rows: Tensor, views: Tensor) -> ProxySpace:
        """What the teacher said about views `views` of images `rows`, both [B]."""
        place = (views.numpy(), rows.numpy())
        embedding, logits = torch.from_numpy(self.embedding[place]), torch.from_numpy(self.logits[place])
        return ProxySpace(embedding.float(), logits.float())


def training_views(config: TrialConfig, task: Task) -> Views:
    """The views of the training images that teacher and target share."""
    return Views(task.train.images, config.views, seed=config.seed, mirror=task.mirror)


@torch.no_grad()
def make_signals(
    teacher: Teacher, views: Views, *, num_views: int, consensus: float = 0.0, device: torch.device
) -> Signals:
    """Run a teacher over `num_views` views of every image.

    Args:
        teacher: Already reprogrammed.
        views: Of N images.
        num_views: K.
        consensus: Share, 0..1, of what the teacher says of the image as a whole in what it says of one view.
        device: Of the teacher.
    """
    whole = image_consensus(teacher, views, device) if consensus else None
    answers = [_answer_view(teacher, views, number, whole, consensus, device) for number in range(num_views)]
    embedding, logits = (np.stack(parts) for parts in zip(*answers, strict=True))
    return Signals(embedding, logits)


@torch.no_grad()
def image_consensus(teacher: Answerer, views: Views, device: torch.device) -> ProxySpace:
    """What a network says of each image as a whole: half of it as it is, half averaged over unmixed views.

    Embedding [N, d] and logits [N, C]. A single strong view misleads a teacher that was right about the image.
    """
    plain = Views(views.images, views.config.model_copy(update={"mix": 0.0}), seed=views.seed, mirror=views.mirror)
    parts = []
    for rows in torch.arange(len(views)).split(256):
        clean = teacher(views.images[rows].to(device).float().div(255.0))
        moved = [teacher(plain.batch(rows, number).images.to(device)) for number in range(CONSENSUS_VIEWS)]
        means = [torch.stack(answers).mean(dim=0) for answers in zip(*moved, strict=True)]
        parts.append([((own + mean) / 2).cpu() for own, mean in zip(clean, means, strict=True)])
    embedding, logits = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return ProxySpace(embedding, logits)


def _answer_view(
    teacher: Teacher, views: Views, number: int, whole: ProxySpace | None, consensus: float, device: torch.device
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    parts = []
    for rows in torch.arange(len(views)).split(256):
        view = views.batch(rows, number)
        answer = ProxySpace(*(tensor.cpu() for tensor in teacher(view.images.to(device))))
        parts.append(answer if whole is None else _blend(answer, whole, rows, view, consensus))
    embedding = torch.cat([part.embedding for part in parts]).half().numpy()
    return embedding, torch.cat([part.logits for part in parts]).half().numpy()


def _blend(answer: ProxySpace, whole: ProxySpace, rows: Tensor, view: ViewBatch, share: float) -> ProxySpace:
    """Move answers for a view towards those for its image; a mixed view has two images, each by its ratio."""
    blended = [
        torch.lerp(own, of_both_images(of_image, rows, view), share)
        for own, of_image in zip(answer, whole, strict=True)
    ]
    return ProxySpace(*blended)


def of_both_images(values: Tensor, rows: Tensor, view: ViewBatch) -> Tensor:
    """What belongs to images, [N, ...], for views of them, [B, ...]: a mixed view has two, each by its ratio."""
    ratio = view.ratio[:, None].float()
    return ratio * values[rows] + (1 - ratio) * values[view.partner]
