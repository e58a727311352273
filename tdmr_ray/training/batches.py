"""Order of images and views within an epoch, and the course of the learning rate."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MIN_VIEWS_PER_EPOCH = 500


@dataclass(frozen=True)
class Batch:
    """Row and view number of each sample of a batch, both int64 [B]."""

    rows: Tensor
    views: Tensor

    def part(self, rank: int, num_parts: int) -> "Batch":
        """Return every `num_parts`-th sample from `rank` on: one worker's share."""
        return Batch(self.rows[rank::num_parts], self.views[rank::num_parts])


def passes_per_epoch(num_images: int, min_views: int = MIN_VIEWS_PER_EPOCH) -> int:
    """Return the passes over the images in an epoch: one, or more if they are few and the epoch would be short."""
    return max(1, -(-min_views // num_images))


def batches_per_epoch(num_images: int, batch_size: int, min_views: int = MIN_VIEWS_PER_EPOCH) -> int:
    """Return the optimisation steps of an epoch."""
    return max(1, round(passes_per_epoch(num_images, min_views) * num_images / batch_size))


def epoch_batches(
    num_images: int,
    *,
    batch_size: int,
    epoch: int,
    seed: int,
    num_views: int | None = None,
    min_views: int = MIN_VIEWS_PER_EPOCH,
) -> Iterator[Batch]:
    """Yield the batches of one epoch, of nearly equal size; each pass shows another view of every image.

    The order depends on seed and epoch alone.

    Args:
        num_images: N.
        batch_size: Approximate samples in a batch.
        epoch: Number, from 0.
        seed: Seed of the order.
        num_views: Views that passes cycle through; None never repeats one.
        min_views: Minimum samples in an epoch.
    """
    passes = passes_per_epoch(num_images, min_views)
    order = np.random.default_rng([seed, epoch]).permutation(passes * num_images)
    views = epoch * passes + order // num_images
    if num_views is not None:
        views = views % num_views
    for part in np.array_split(np.arange(len(order)), batches_per_epoch(num_images, batch_size, min_views)):
        yield Batch(torch.from_numpy(order[part] % num_images), torch.from_numpy(views[part]))


def cycle(progress: float, *, warmup: float = 0.1) -> float:
    """Return the factor on the learning rate: linear warm-up, then a cosine down to 0.

    A function of progress needs no state, so that a restored training continues exactly; torch's schedulers have some.

    Args:
        progress: 0..1 within the cycle.
        warmup: Fraction of the cycle.
    """
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return float((1 + np.cos(np.pi * (progress - warmup) / (1 - warmup))) / 2)
