"""TeacherOutputs: a teacher's answers for the views that a target will see."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, diags_array
from sklearn.neighbors import kneighbors_graph
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import ViewBatch, Views
from tdmr_ray.method.teacher import ProxySpace, Teacher
from tdmr_ray.training.config import OutputsConfig, TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.micro_batches import MicroBatches
from tdmr_ray.training.workers import ALONE, Workers

Answerer = Callable[[Tensor], ProxySpace]
"""From images in 0..1, [B, 3, H, W], to what is said of them."""

NUM_AVERAGED_VIEWS = 8
"""Views of an image that are averaged for what a teacher says of it as a whole."""
SPREADING_STEPS = 30
"""Of the series over neighbours; 0.8**30 is 0.001."""


class TeacherOutputs(Protocol):
    """What a teacher says of the training views."""

    @property
    def num_views(self) -> int:
        """K, the views of each image that are gone round."""

    @property
    def embedding_dim(self) -> int:
        """d."""

    def batch(self, view: ViewBatch) -> ProxySpace:
        """What it says of these views: embedding [B, d], logits [B, C]."""


@dataclass(frozen=True)
class StoredOutputs:
    """The proxy space of every training image in every view, in half precision.

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
        """What was stored for these views."""
        place = (view.numbers.numpy(), view.rows.numpy())
        embedding, logits = torch.from_numpy(self.embedding[place]), torch.from_numpy(self.logits[place])
        return ProxySpace(embedding.float(), logits.float())


class LiveOutputs:
    """A teacher that is asked for every batch; rounded as stored outputs are, so that both say the same.

    Args:
        teacher: Already reprogrammed.
        views: Of the training images.
        settings: K, and how far what is said of a view moves to what is said of the whole image.
        device: Of the teacher.
        workers: Who else has the same teacher and begins with it at the same time.
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
        self.whole = _whole_images(teacher, views, settings, device, workers) if settings.view_averaging else None
        self.embedding_dim = self._say(views.batch(torch.zeros(1, dtype=torch.int64), 0)).embedding.shape[-1]

    @torch.no_grad()
    def batch(self, view: ViewBatch) -> ProxySpace:
        """What the teacher says of these views now."""
        embedding, logits = self._say(view)
        return ProxySpace(embedding.half().float(), logits.half().float())

    def _say(self, view: ViewBatch) -> ProxySpace:
        answers = self.micro_batches.ask(view.images, self._answer)
        said = ProxySpace(*(torch.cat(tensors) for tensors in zip(*answers, strict=True)))
        return said if self.whole is None else _blend(said, self.whole, view, self.settings.view_averaging)

    def _answer(self, images: Tensor) -> ProxySpace:
        return ProxySpace(*(tensor.cpu() for tensor in self.teacher(images.to(self.device))))


def training_views(config: TrialConfig, task: Task) -> Views:
    """The views of the training images that teacher and target share."""
    return Views(task.train.images, config.views, seed=config.seed, mirror=task.mirror, device=pick_device())


def store_outputs(live: LiveOutputs, views: Views, workers: Workers = ALONE) -> StoredOutputs:
    """Ask a teacher about K views of every image."""
    answers = []
    for number in range(live.num_views):
        said = workers.ask(len(views), partial(_say_of_view, live, views, number))
        answers.append([tensor.half().numpy() for tensor in said])
    embedding, logits = (np.stack(of_views) for of_views in zip(*answers, strict=True))
    return StoredOutputs(embedding, logits)


def _say_of_view(live: LiveOutputs, views: Views, number: int, rows: Tensor) -> ProxySpace:
    return live.batch(views.batch(rows, number))


def _whole_images(
    teacher: Teacher, views: Views, settings: OutputsConfig, device: torch.device, workers: Workers
) -> ProxySpace:
    said = average_over_views(teacher, views, device, workers)
    if not settings.propagation_neighbors:
        return said
    return propagate_labels(said, neighbors=settings.propagation_neighbors, spread=settings.propagation_alpha)


def propagate_labels(said: ProxySpace, *, neighbors: int, spread: float) -> ProxySpace:
    """What is said of each image, averaged with what is said of similar ones, of those similar to them, and so on.

    Z = (1 - spread) * (said + spread * P @ said + spread**2 * P @ P @ said + ...), where the rows of P weigh an image's
    neighbours by their similarity and sum to 1. Images that look alike to a foundation mostly have one class, so an
    answer that stands alone among its neighbours is outvoted. Unchanged where all say the same, or for spread 0.

    Args:
        said: Embedding [N, d], which also says who is similar (cosine), and logits [N, C].
        neighbors: Of each image, at most N - 1; a neighbour of an image has it as one, too.
        spread: 0..1, not 1.

    Source: Zhou et al. 2003, "Learning with Local and Global Consistency" (with the random walk in place of the
    symmetric matrix, so that logits keep their scale); for deep networks Iscen et al. 2019, arXiv 1904.04717.
    """
    walk = _walk_to_neighbors(said.embedding.numpy(), min(neighbors, len(said.embedding) - 1))
    start = np.concatenate([tensor.numpy() for tensor in said], axis=1)
    spread_out = start
    for _ in range(SPREADING_STEPS):
        spread_out = (1 - spread) * start + spread * (walk @ spread_out)
    width = said.embedding.shape[1]
    both = torch.from_numpy(spread_out.astype(np.float32))
    return ProxySpace(both[:, :width], both[:, width:])


def _walk_to_neighbors(embedding: NDArray[np.float32], neighbors: int) -> csr_array:
    """Probabilities of a step from an image to a similar one, [N, N]; rows sum to 1."""
    graph = kneighbors_graph(embedding, neighbors, mode="distance", metric="cosine")
    graph.data = np.clip(1.0 - graph.data, 1e-6, 1.0) ** 3
    similarity = graph.maximum(graph.T)
    return csr_array(diags_array(1.0 / np.asarray(similarity.sum(axis=1)).ravel()) @ similarity)


@torch.no_grad()
def average_over_views(teacher: Answerer, views: Views, device: torch.device, workers: Workers = ALONE) -> ProxySpace:
    """What a network says of each image as a whole: half of it as it is, half averaged over unmixed views.

    Embedding [N, d] and logits [N, C]. A single strong view misleads a teacher that was right about the image.
    """
    unmixed = views.config.model_copy(update={"mix": 0.0})
    plain = Views(views.images, unmixed, seed=views.seed, mirror=views.mirror, device=device)

    def say(rows: Tensor) -> tuple[Tensor, ...]:
        clean = teacher(views.images[rows].to(device).float().div(255.0))
        moved = [teacher(plain.batch(rows, number).images) for number in range(NUM_AVERAGED_VIEWS)]
        means = [torch.stack(answers).mean(dim=0) for answers in zip(*moved, strict=True)]
        return tuple(((own + mean) / 2).cpu() for own, mean in zip(clean, means, strict=True))

    return ProxySpace(*workers.ask(len(views), say))


def _blend(answer: ProxySpace, whole: ProxySpace, view: ViewBatch, share: float) -> ProxySpace:
    """Move answers for a view towards those for its image; a mixed view has two images, each by its ratio."""
    blended = [
        torch.lerp(own, of_both_images(of_image, view), share) for own, of_image in zip(answer, whole, strict=True)
    ]
    return ProxySpace(*blended)


def of_both_images(values: Tensor, view: ViewBatch) -> Tensor:
    """What belongs to images, [N, ...], for views of them, [B, ...]: a mixed view has two, each by its ratio."""
    ratio = view.ratio[:, None].float()
    return ratio * values[view.rows] + (1 - ratio) * values[view.partner]
