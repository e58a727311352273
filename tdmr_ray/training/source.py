"""Where a teacher that is being fitted gets its foundation's outputs from: the network itself, or stored features."""

from typing import Protocol

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Images
from tdmr_ray.data.views import Views, ViewSettings
from tdmr_ray.method.teacher import ProxySpace, Teacher
from tdmr_ray.training.features import NUM_SHARED_VIEWS, Features
from tdmr_ray.training.micro_batches import MicroBatches


class Source(Protocol):
    """What fitting needs to know of a teacher's foundation.

    Attributes:
        trained: Module that maps `inputs` to embedding and logits; holds the trained parameters.
        num_views: Views that training cycles through; None for a new one each time.
    """

    trained: nn.Module
    num_views: int | None

    def outputs(self, images: Images, *, prompted: bool = True) -> tuple[Tensor, Tensor]:
        """Return features [N, d] and source logits [N, S] of images as they are, with or without the prompt."""

    def inputs(self, images: Images, rows: Tensor, numbers: Tensor) -> Tensor:
        """Return what `trained` takes for views: rows [B] of the images and view numbers [B]."""


class LiveSource:
    """Runs the foundation whenever an image is needed.

    Args:
        teacher: The teacher.
        settings: Views to train on.
        seed: Seed of the views.
        num_views: See `Source`.
        device: Device of the teacher.
    """

    def __init__(
        self, teacher: Teacher, settings: ViewSettings, seed: int, num_views: int | None, device: torch.device
    ) -> None:
        self.trained: nn.Module = teacher
        self.num_views = num_views
        self.teacher, self.settings, self.seed, self.device = teacher, settings, seed, device

    @torch.no_grad()
    def outputs(self, images: Images, *, prompted: bool = True) -> tuple[Tensor, Tensor]:
        """See `Source`."""

        def run(part: Tensor) -> tuple[Tensor, Tensor]:
            return self.teacher.source(part.to(self.device).float().div(255.0), prompted=prompted)

        parts = MicroBatches().map(images.images, run)
        features, source_logits = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        return features, source_logits

    def inputs(self, images: Images, rows: Tensor, numbers: Tensor) -> Tensor:
        """Return views in 0..1, [B, 3, H, W]."""
        views = Views(images.images, self.settings, seed=self.seed, ids=images.ids, device=self.device)
        return views.batch(rows, numbers).images


class FeatureSource:
    """Looks features up; for teachers without a learned prompt.

    Args:
        teacher: The teacher.
        features: Features of all images that may be asked for.
        device: Device of the teacher.
    """

    def __init__(self, teacher: Teacher, features: Features, device: torch.device) -> None:
        self.trained: nn.Module = _OnFeatures(teacher)
        self.num_views: int | None = NUM_SHARED_VIEWS
        self.teacher, self.features, self.device = teacher, features, device

    @torch.no_grad()
    def outputs(self, images: Images, *, prompted: bool = True) -> tuple[Tensor, Tensor]:
        """See `Source`."""
        assert images.ids is not None, "stored features are found by ids"
        features = self.features.plain(images.ids).to(self.device)
        return features, self.teacher.source_logits(features)

    def inputs(self, images: Images, rows: Tensor, numbers: Tensor) -> Tensor:
        """Return features of views, [B, d]."""
        assert images.ids is not None, "stored features are found by ids"
        return self.features.views(images.ids[rows], numbers).to(self.device)


class _OnFeatures(nn.Module):
    """The part of a teacher behind its foundation."""

    def __init__(self, teacher: Teacher) -> None:
        super().__init__()
        self.teacher = teacher

    def forward(self, features: Tensor) -> ProxySpace:
        return self.teacher.read(features)
