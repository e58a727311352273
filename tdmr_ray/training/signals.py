"""Signals: a teacher's answers for the views that a target will see."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tdmr_ray.data.task import Task
from tdmr_ray.data.views import Views
from tdmr_ray.method.teacher import ProxySpace, Teacher
from tdmr_ray.training.config import TrialConfig


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
def make_signals(teacher: Teacher, views: Views, *, num_views: int, device: torch.device) -> Signals:
    """Run a teacher over `num_views` views of every image."""
    answers = [_answer_view(teacher, views, number, device) for number in range(num_views)]
    embedding, logits = (np.stack(parts) for parts in zip(*answers, strict=True))
    return Signals(embedding, logits)


def _answer_view(
    teacher: Teacher, views: Views, number: int, device: torch.device
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    parts = [teacher(views.batch(rows, number).images.to(device)) for rows in torch.arange(len(views)).split(256)]
    embedding = torch.cat([part.embedding for part in parts]).half().cpu().numpy()
    return embedding, torch.cat([part.logits for part in parts]).half().cpu().numpy()
