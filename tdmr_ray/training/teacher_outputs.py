"""Teacher outputs for the views that a target is trained on: stored in advance, or computed for every batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import ViewBatch, Views, resolve_views
from tdmr_ray.method.teacher import ProxySpace, Teacher, to_half
from tdmr_ray.training.activity import doing
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.features import NUM_SHARED_VIEWS, Features, half_from_views
from tdmr_ray.training.label_propagation import propagate_labels
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.sections import OutputsConfig
from tdmr_ray.training.workers import ALONE, Workers

ProxyFunction = Callable[[Tensor], ProxySpace]
"""Function of images in 0..1, [B, 3, H, W], that returns embedding and logits."""


class TeacherOutputs(Protocol):
    """Embedding and logits of a teacher for the training views."""

    @property
    def num_views(self) -> int | None:
        """K, the number of views of each image that epochs cycle through; None if no view comes twice."""

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


@dataclass(frozen=True)
class AveragedOutputs:
    """One embedding and one vector of logits for every training image, whatever its view, in half precision.

    A target can then be trained on a new view in every pass, mixed or not, and the foundation need not see it.

    Attributes:
        embedding: [N, d].
        logits: [N, C].
    """

    embedding: NDArray[np.float16]
    logits: NDArray[np.float16]

    @property
    def num_views(self) -> None:
        """None: no view comes twice."""
        return None

    @property
    def embedding_dim(self) -> int:
        """d."""
        return int(self.embedding.shape[-1])

    def batch(self, view: ViewBatch) -> ProxySpace:
        """Look up the outputs for a batch of views; a mixed view has two images."""
        return ProxySpace(*(self._of(view, values) for values in (self.embedding, self.logits)))

    def _of(self, view: ViewBatch, values: NDArray[np.float16]) -> Tensor:
        rows, partner = (torch.from_numpy(values[rows.numpy()]).float() for rows in (view.rows, view.partner))
        return torch.lerp(partner, rows, view.ratio[:, None].float())


class LiveOutputs:
    """Runs the teacher on every batch; rounds to half precision, so that live and stored outputs are equal.

    Args:
        teacher: A reprogrammed teacher.
        views: Views of the training images.
        settings: Number of views and strength of view averaging.
        device: Device of the teacher.
        workers: Processes that hold the same teacher and construct this at the same time.
        features: Features of the images and their unmixed views; None runs the foundation.
    """

    def __init__(
        self,
        teacher: Teacher,
        views: Views,
        settings: OutputsConfig,
        device: torch.device,
        workers: Workers = ALONE,
        features: Features | None = None,
    ) -> None:
        self.teacher, self.views, self.settings, self.device = teacher.eval(), views, settings, device
        self.micro_batches, self.features = MicroBatches(), features
        self.averages = self._averages(workers) if settings.view_averaging else None
        self.embedding_dim = self.of_view(0, torch.zeros(1, dtype=torch.int64)).embedding.shape[-1]

    @property
    def num_views(self) -> int | None:
        """K; None if all views of an image have the same outputs."""
        return self.settings.num_different_views

    @torch.no_grad()
    def batch(self, view: ViewBatch) -> ProxySpace:
        """Run the teacher on a batch of views, unless all views of an image have the same outputs."""
        outputs = None if self.num_views is None else self._run(view)
        if self.averages is None:
            assert outputs is not None, "only averages make views alike"
            return _rounded(outputs)
        averages = ProxySpace(*(mix_of_images(average, view) for average in self.averages))
        return _rounded(averages if outputs is None else self._towards(outputs, averages))

    @torch.no_grad()
    def of_view(self, number: int, rows: Tensor) -> ProxySpace:
        """Return the outputs for view `number` of the images in `rows` [B]; stored features spare making the views."""
        place = f"image {int(rows[0]) + 1} of {len(self.views)}"
        doing(f"teacher outputs, view {number + 1} of {self.settings.num_views}, {place}")
        if self.features is None or self.views.settings.mix:
            return self.batch(self.views.batch(rows, number))
        outputs = self._read(number, rows)
        if self.averages is not None:
            outputs = self._towards(outputs, [average[rows] for average in self.averages])
        return _rounded(outputs)

    def _run(self, view: ViewBatch) -> ProxySpace:
        parts = self.micro_batches.map(view.images, self._run_part)
        return ProxySpace(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    def _run_part(self, images: Tensor) -> ProxySpace:
        return ProxySpace(*(tensor.cpu() for tensor in self.teacher(images.to(self.device))))

    def _read(self, number: int | None, rows: Tensor) -> ProxySpace:
        """Return the outputs for a view, None for the image itself, from stored features."""
        assert self.features is not None, "there are stored features"
        ids = self.views.ids[rows]
        found = self.features.plain(ids) if number is None else self.features.views(ids, torch.full_like(ids, number))
        return ProxySpace(*(tensor.cpu() for tensor in self.teacher.read(found.to(self.device))))

    def _averages(self, workers: Workers) -> ProxySpace:
        if self.features is None:
            averages = average_over_views(self.teacher, self.views, self.device, workers)
        else:
            averages = _average(self._read, len(self.views), workers)
        if not self.settings.propagation_neighbors:
            return averages
        neighbors, alpha = self.settings.propagation_neighbors, self.settings.propagation_alpha
        return propagate_labels(averages, neighbors=neighbors, alpha=alpha)

    def _towards(self, outputs: ProxySpace, averages: Sequence[Tensor]) -> ProxySpace:
        share = self.settings.view_averaging
        return ProxySpace(*(torch.lerp(own, mean, share) for own, mean in zip(outputs, averages, strict=True)))


def _rounded(outputs: ProxySpace) -> ProxySpace:
    return ProxySpace(*(to_half(tensor).float() for tensor in outputs))


def training_views(config: TrialConfig, task: Task) -> Views:
    """Return the views of the training images that teacher and target share."""
    settings = resolve_views(config.views, task.preset)
    return Views(task.train.images, settings, seed=config.view_seed, ids=task.train.ids, device=pick_device())


def store_outputs(live: LiveOutputs, workers: Workers = ALONE) -> StoredOutputs | AveragedOutputs:
    """Run a teacher on K views of every training image, or keep the averages over views if they are all that counts."""
    if live.num_views is None:
        assert live.averages is not None, "only averages make views alike"
        return AveragedOutputs(*(to_half(tensor).numpy() for tensor in live.averages))
    by_view = []
    for number in range(live.num_views):
        outputs = workers.map_rows(len(live.views), partial(live.of_view, number))
        by_view.append([tensor.half().numpy() for tensor in outputs])
    embedding, logits = (np.stack(arrays) for arrays in zip(*by_view, strict=True))
    return StoredOutputs(embedding, logits)


def average_over_views(
    network: ProxyFunction, views: Views, device: torch.device, workers: Workers = ALONE
) -> ProxySpace:
    """Average a network's outputs for each image: half from the image itself, half from the mean over unmixed views.

    A single strong view can mislead a teacher that is right about the image.

    Returns:
        Embedding [N, d] and logits [N, C].
    """
    plain = Views(views.images, views.settings.unmixed(), seed=views.seed, ids=views.ids, device=device)

    def run(number: int | None, rows: Tensor) -> ProxySpace:
        if number is None:
            return network(views.images[rows].to(device).float().div(255.0))
        return network(plain.batch(rows, number).images)

    return _average(run, len(views), workers)


@torch.no_grad()
def _average(run: Callable[[int | None, Tensor], ProxySpace], num_images: int, workers: Workers) -> ProxySpace:
    """Average a function of a view's number, None for the image itself, and rows [n]."""

    def average(rows: Tensor) -> tuple[Tensor, ...]:
        doing(f"averages over views, image {int(rows[0]) + 1} of {num_images}")
        clean = run(None, rows)
        moved = [run(number, rows) for number in range(NUM_SHARED_VIEWS)]
        return tuple(half_from_views(*outputs).cpu() for outputs in zip(clean, zip(*moved, strict=True), strict=True))

    return ProxySpace(*workers.map_rows(num_images, average))


def mix_of_images(values: Tensor, view: ViewBatch) -> Tensor:
    """Combine values of images [N, ...] into values of views [B, ...], each image by its ratio in the view."""
    ratio = view.ratio[:, None].float()
    return ratio * values[view.rows] + (1 - ratio) * values[view.partner]
