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


def passes_per_epoch(num_images: int) -> int:
    """Return the passes over the images in an epoch: one, or more if they are few and the epoch would be short."""
    return max(1, -(-MIN_VIEWS_PER_EPOCH // num_images))


def views_per_epoch(num_images: int) -> int:
    """Return the views in an epoch: as many of every image as there are passes."""
    return passes_per_epoch(num_images) * num_images


def batches_per_epoch(num_images: int, batch_size: int) -> int:
    """Return the optimisation steps of an epoch."""
    return _num_batches(views_per_epoch(num_images), batch_size)


def epoch_batches(
    num_images: int,
    *,
    batch_size: int,
    epoch: int,
    seed: int,
    num_views: int | None = None,
    length: int | None = None,
) -> Iterator[Batch]:
    """Yield the batches of one epoch, of nearly equal size; each pass shows another view of every image.

    The order depends on seed and epoch alone.

    Args:
        num_images: N.
        batch_size: Approximate samples in a batch.
        epoch: Number, from 0.
        seed: Seed of the order.
        num_views: Views that passes cycle through; None never repeats one.
        length: Samples in the epoch; what exceeds them in the last pass is left out at random. None is
            `views_per_epoch`.
    """
    length = length or views_per_epoch(num_images)
    passes = -(-length // num_images)
    order = np.random.default_rng([seed, epoch]).permutation(passes * num_images)[:length]
    views = epoch * passes + order // num_images
    if num_views is not None:
        views = views % num_views
    for part in np.array_split(np.arange(length), _num_batches(length, batch_size)):
        yield Batch(torch.from_numpy(order[part] % num_images), torch.from_numpy(views[part]))


def _num_batches(num_samples: int, batch_size: int) -> int:
    return max(1, round(num_samples / batch_size))


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
