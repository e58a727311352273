"""Teacher outputs for the views that a target is trained on: stored in advance, or computed for every batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import ViewBatch, Views, resolve_views
from tdmr_ray.method.teacher import ProxySpace, Teacher
from tdmr_ray.training.config import OutputsConfig, TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.label_propagation import propagate_labels
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.workers import ALONE, Workers

ProxyFunction = Callable[[Tensor], ProxySpace]
"""Function of images in 0..1, [B, 3, H, W], that returns embedding and logits."""

NUM_AVERAGED_VIEWS = 8
"""Views of an image that enter its average."""


class TeacherOutputs(Protocol):
    """Embedding and logits of a teacher for the training views."""

    @property
    def num_views(self) -> int:
        """K, the number of views of each image that epochs cycle through."""

    @property
    def embedding_dim(self) -> int:
        """d."""

    def batch(self, view: ViewBatch) -> ProxySpace:
        """Return embedding [B, d] and logits [B, C] for a batch of views."""


@dataclass(frozen=True)
class StoredOutputs:
    """Teacher embeddings and logits for K seeded views of every training image, in half precision.

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

    @property
    def embedding_dim(self) -> int:
        """d."""
        return int(self.embedding.shape[-1])

    def batch(self, view: ViewBatch) -> ProxySpace:
        """Look up the outputs for a batch of views."""
        place = (view.numbers.numpy(), view.rows.numpy())
        embedding, logits = torch.from_numpy(self.embedding[place]), torch.from_numpy(self.logits[place])
        return ProxySpace(embedding.float(), logits.float())


class LiveOutputs:
    """Runs the teacher on every batch; rounds to half precision, so that live and stored outputs are equal.

    Args:
        teacher: A reprogrammed teacher.
        views: Views of the training images.
        settings: Number of views and strength of view averaging.
        device: Device of the teacher.
        workers: Processes that hold the same teacher and construct this at the same time.
    """

    def __init__(
        self,
        teacher: Teacher,
        views: Views,
        settings: OutputsConfig,
        device: torch.device,
        workers: Workers = ALONE,
    ) -> None:
        self.teacher, self.settings, self.device = teacher.eval(), settings, device
        self.num_views, self.micro_batches = settings.num_views, MicroBatches()
        self.averages = _averages(teacher, views, settings, device, workers) if settings.view_averaging else None
        self.embedding_dim = self._run(views.batch(torch.zeros(1, dtype=torch.int64), 0)).embedding.shape[-1]

    @torch.no_grad()
    def batch(self, view: ViewBatch) -> ProxySpace:
        """Run the teacher on a batch of views."""
        embedding, logits = self._run(view)
        return ProxySpace(embedding.half().float(), logits.half().float())

    def _run(self, view: ViewBatch) -> ProxySpace:
        parts = self.micro_batches.map(view.images, self._run_part)
        outputs = ProxySpace(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
        return outputs if self.averages is None else _blend(outputs, self.averages, view, self.settings.view_averaging)

    def _run_part(self, images: Tensor) -> ProxySpace:
        return ProxySpace(*(tensor.cpu() for tensor in self.teacher(images.to(self.device))))


def training_views(config: TrialConfig, task: Task) -> Views:
    """Return the views of the training images that teacher and target share."""
    settings = resolve_views(config.views, task.preset)
    return Views(task.train.images, settings, seed=config.seed, device=pick_device())


def store_outputs(live: LiveOutputs, views: Views, workers: Workers = ALONE) -> StoredOutputs:
    """Run a teacher on K views of every training image."""
    by_view = []
    for number in range(live.num_views):
        outputs = workers.map_rows(len(views), partial(_outputs_of_view, live, views, number))
        by_view.append([tensor.half().numpy() for tensor in outputs])
    embedding, logits = (np.stack(arrays) for arrays in zip(*by_view, strict=True))
    return StoredOutputs(embedding, logits)


def _outputs_of_view(live: LiveOutputs, views: Views, number: int, rows: Tensor) -> ProxySpace:
    return live.batch(views.batch(rows, number))


def _averages(
    teacher: Teacher, views: Views, settings: OutputsConfig, device: torch.device, workers: Workers
) -> ProxySpace:
    averages = average_over_views(teacher, views, device, workers)
    if not settings.propagation_neighbors:
        return averages
    return propagate_labels(averages, neighbors=settings.propagation_neighbors, alpha=settings.propagation_alpha)


@torch.no_grad()
def average_over_views(
    network: ProxyFunction, views: Views, device: torch.device, workers: Workers = ALONE
) -> ProxySpace:
    """Average a network's outputs for each image: half from the image itself, half from the mean over unmixed views.

    A single strong view can mislead a teacher that is right about the image.

    Returns:
        Embedding [N, d] and logits [N, C].
    """
    plain = Views(views.images, views.settings.unmixed(), seed=views.seed, device=device)

    def average(rows: Tensor) -> tuple[Tensor, ...]:
        clean = network(views.images[rows].to(device).float().div(255.0))
        moved = [network(plain.batch(rows, number).images) for number in range(NUM_AVERAGED_VIEWS)]
        means = [torch.stack(outputs).mean(dim=0) for outputs in zip(*moved, strict=True)]
        return tuple(((own + mean) / 2).cpu() for own, mean in zip(clean, means, strict=True))

    return ProxySpace(*workers.map_rows(len(views), average))


def _blend(outputs: ProxySpace, averages: ProxySpace, view: ViewBatch, share: float) -> ProxySpace:
    """Move the outputs for views towards the averages of their images; a mixed view has two images."""
    blended = [
        torch.lerp(own, mix_of_images(average, view), share) for own, average in zip(outputs, averages, strict=True)
    ]
    return ProxySpace(*blended)


def mix_of_images(values: Tensor, view: ViewBatch) -> Tensor:
    """Combine values of images [N, ...] into values of views [B, ...], each image by its ratio in the view."""
    ratio = view.ratio[:, None].float()
    return ratio * values[view.rows] + (1 - ratio) * values[view.partner]
