"""Batches that do not fit into a GPU's memory run in micro-batches; their number is found by trying.

This relies on torch's out-of-memory error. MPS raises a plain RuntimeError instead, and a machine whose own memory is
full ends the process.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tdmr_ray.models.at_once import MAX_IMAGES

Result = TypeVar("Result")


class MicroBatches:
    """Number of micro-batches that a batch is divided into: one until memory runs out; what was found stays.

    Args:
        may_divide: False for several workers that train together, since they must all divide alike.
    """

    def __init__(self, *, may_divide: bool = True) -> None:
        self.may_divide, self.count = may_divide, 1

    def retry(self, num_images: int, work: Callable[[int], Result]) -> Result:
        """Run `work` with the number of micro-batches, which doubles for as long as memory runs out.

        Args:
            num_images: Images in the whole batch.
            work: Function of the number of micro-batches; starts over each time.

        Raises:
            torch.OutOfMemoryError: If even two or three images at a time are too many, or nothing may be divided.
        """
        while True:
            try:
                return work(self.count)
            except torch.OutOfMemoryError:
                if not self.may_divide or num_images < 4 * self.count:
                    raise
            self.count *= 2
            torch.cuda.empty_cache()

    def map(self, rows: Tensor, run: Callable[[Tensor], Result], batch_size: int = MAX_IMAGES) -> list[Result]:
        """Run a function without gradients over rows [N, ...], at most `batch_size` at a time; results in order."""
        return self.retry(batch_size, lambda count: [run(part) for part in rows.split(max(1, batch_size // count))])

    def notes(self, network: str, batch_size: int) -> list[str]:
        """Return a remark for the reader of a record if batches were divided."""
        if self.count == 1:
            return []
        divided = f"batches of {batch_size} images ran in {self.count} micro-batches because memory ran out"
        return [f"{network}: {divided}; this affects only batch-norm statistics"]


def run_in_micro_batches(
    network: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, count: int
) -> tuple[Tensor, ...]:
    """Run a network on a batch with the activations of one micro-batch in memory at a time.

    Every micro-batch runs twice, once for its outputs and once more for its gradients. Losses of the whole batch and
    their gradients therefore equal those of an undivided batch. Batch norm differs: it takes its statistics from a
    micro-batch of at least two images, and its running statistics move with each of them, twice.

    Args:
        network: Function of images [B, ...] that returns outputs [B, ...].
        images: [B, ...].
        count: Number of micro-batches.

    Source: Chen et al. 2016, arXiv 1604.06174 (there over layers, here over images).
    """
    parts = images.tensor_split(max(1, min(count, len(images) // 2)))
    if len(parts) == 1:
        return network(images)
    outputs = [checkpoint(network, part, use_reentrant=False) for part in parts]
    return tuple(torch.cat(tensors) for tensors in zip(*outputs, strict=True))
