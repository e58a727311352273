"""Batches that are too large for a GPU's memory are worked off in parts; in how many is found by trying.

Only where torch says that a device is out of memory. On MPS it says so by a plain RuntimeError, and a machine whose own
memory is full ends the process.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

Result = TypeVar("Result")
AT_ONCE = 256
"""Images that are shown to a network together when nothing is learned."""


class MicroBatches:
    """Into how many parts batches are divided: into one, until memory is short; what was found stays.

    Args:
        may_divide: False for several workers that learn together, of which the others would not know.
    """

    def __init__(self, *, may_divide: bool = True) -> None:
        self.may_divide, self.num_parts = may_divide, 1

    def run_with_retry(self, num_images: int, work: Callable[[int], Result]) -> Result:
        """What `work` returns for the number of parts, which is doubled as long as that needs too much memory.

        Args:
            num_images: Of the whole batch.
            work: Begins anew each time.

        Raises:
            torch.OutOfMemoryError: If even two or three images at a time are too many, or nothing may be divided.
        """
        while True:
            try:
                return work(self.num_parts)
            except torch.OutOfMemoryError:
                if not self.may_divide or num_images < 4 * self.num_parts:
                    raise
            self.num_parts *= 2
            torch.cuda.empty_cache()

    def ask(self, rows: Tensor, say: Callable[[Tensor], Result], at_once: int = AT_ONCE) -> list[Result]:
        """What a network says of rows [N, ...], `at_once` or fewer at a time; without gradients they all agree."""
        return self.run_with_retry(
            at_once, lambda num_parts: [say(part) for part in rows.split(max(1, at_once // num_parts))]
        )

    def notes(self, who: str, batch_size: int) -> list[str]:
        """What a reader of the record should know, if batches were divided."""
        if self.num_parts == 1:
            return []
        parts = f"batches of {batch_size} images went through it in {self.num_parts} parts, since memory was short"
        return [f"{who}: {parts}; only batch norm noticed, if it has any"]


def in_micro_batches(
    network: Callable[[Tensor], tuple[Tensor, ...]], images: Tensor, num_parts: int
) -> tuple[Tensor, ...]:
    """What a network says of a batch, [B, ...] each, with the activations of one part in memory at a time.

    Every part goes through it twice: for what is said, and once more for its gradients. So losses of the whole batch
    and their gradients are those of a batch in one. Not so with batch norm: it takes its statistics from a part, of at
    least two images, and what it remembers for later moves with each of them, twice.

    Source: Chen et al. 2016, arXiv 1604.06174 (there of layers, here of images).
    """
    parts = images.tensor_split(max(1, min(num_parts, len(images) // 2)))
    if len(parts) == 1:
        return network(images)
    said = [checkpoint(network, part, use_reentrant=False) for part in parts]
    return tuple(torch.cat(tensors) for tensors in zip(*said, strict=True))
