"""Where a teacher that is being fitted gets its foundation's outputs from: the network itself, or stored features."""

from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from tdmr_ray.data.task import Images
from tdmr_ray.data.views import Views, ViewSettings
from tdmr_ray.method.teacher import ProxySpace, Teacher
from tdmr_ray.training.features import NUM_SHARED_VIEWS, Features, half_from_views
from tdmr_ray.training.micro_batches import MicroBatches


class Source(Protocol):
    """What fitting needs to know of a teacher's foundation.

    Attributes:
        trained: Module that maps `inputs` to embedding and logits; holds the trained parameters.
        num_views: Views that training cycles through; None for a new one each time.
    """

    trained: nn.Module
    num_views: int | None

    def outputs(self, images: Images, *, prompted: bool = True, averaged: bool = False) -> tuple[Tensor, Tensor]:
        """Return features [N, d] and source logits [N, S] of images.

        Args:
            images: N images.
            prompted: Whether they carry the prompt.
            averaged: Whether half of the features come from the mean over views, unless the prompt learns; the rest
                comes from the images as they are.
        """

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
    def outputs(self, images: Images, *, prompted: bool = True, averaged: bool = False) -> tuple[Tensor, Tensor]:
        """See `Source`."""
        views = self._views(images)

        def plain(part: Tensor) -> Tensor:
            return self.teacher.source(part.to(self.device).float().div(255.0), prompted=prompted)[0]

        def view(rows: Tensor, number: int) -> Tensor:
            return self.teacher.source(views.batch(rows, number).images, prompted=prompted)[0]

        features = torch.cat(MicroBatches().map(images.images, plain))
        if averaged and not self.teacher.prompt.learns:
            rows = torch.arange(len(images))
            several = range(NUM_SHARED_VIEWS)
            moved = [torch.cat(MicroBatches().map(rows, partial(view, number=number))) for number in several]
            features = half_from_views(features, moved)
        return features, self.teacher.source_logits(features)

    def inputs(self, images: Images, rows: Tensor, numbers: Tensor) -> Tensor:
        """Return views in 0..1, [B, 3, H, W]."""
        return self._views(images).batch(rows, numbers).images

    def _views(self, images: Images) -> Views:
        return Views(images.images, self.settings, seed=self.seed, ids=images.ids, device=self.device)


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
    def outputs(self, images: Images, *, prompted: bool = True, averaged: bool = False) -> tuple[Tensor, Tensor]:
        """See `Source`."""
        ids = images.ids
        assert ids is not None, "stored features are found by ids"
        features = self.features.plain(ids)
        if averaged:
            views = [self.features.views(ids, torch.full_like(ids, number)) for number in range(NUM_SHARED_VIEWS)]
            features = half_from_views(features, views)
        features = features.to(self.device)
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
