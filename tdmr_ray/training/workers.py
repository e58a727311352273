"""Processes that train one network together, and what each of them needs to know of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from timm.utils.distributed import distribute_bn
from torch import Tensor, distributed, nn
from torch.nn.functional import pad
from torch.nn.parallel import DistributedDataParallel

from tdmr_ray.training.device import pick_device
from tdmr_ray.training.micro_batches import MicroBatches

Metrics = dict[str, float]


def _alone(module: nn.Module) -> nn.Module:
    return module


def _own_mean(metrics: Metrics) -> Metrics:
    return metrics


def _own_rows(rows: Tensor) -> Tensor:
    return rows


def _own_batch(rows: Tensor, batch_size: int) -> Tensor:
    return rows


def _nothing(module: nn.Module) -> None:
    pass


@dataclass(frozen=True)
class Workers:
    """Rank of this process among those that train one network together, and their collective operations.

    Attributes:
        rank: 0 .. count - 1.
        count: 1 for a process alone.
        wrap: Makes a module average its gradients over the workers.
        mean: Averages metrics over the workers.
        gather: Concatenates every worker's tensor [n, ...] to [count * n, ...].
        join: Restores a matrix [B, d] of which each worker holds the rows of its `Batch.part`, and B. What every worker
            computes alike from it then has the gradient of one process, once `wrap` has averaged over the workers.
        align: Averages the running statistics of a module's batch norms over the workers.
    """

    rank: int = 0
    count: int = 1
    wrap: Callable[[nn.Module], nn.Module] = _alone
    mean: Callable[[Metrics], Metrics] = _own_mean
    gather: Callable[[Tensor], Tensor] = _own_rows
    join: Callable[[Tensor, int], Tensor] = _own_batch
    align: Callable[[nn.Module], None] = _nothing

    def join_all(self, parts: Sequence[Tensor], batch_size: int) -> list[Tensor]:
        """Restore several tensors of a batch, [b, d] or [b], at the cost of one exchange.

        Args:
            parts: This worker's rows; whole numbers must stay below 2**24.
            batch_size: Rows of the whole batch, B.

        Returns:
            Tensors [B, d] or [B] of the same types; floating-point ones have gradients as in `join`.
        """
        if self.count == 1:
            return list(parts)
        columns = [part if part.ndim == 2 else part[:, None] for part in parts]
        joined = self.join(torch.cat(columns, dim=1), batch_size)
        split = joined.split([column.shape[1] for column in columns], dim=1)
        return [whole.reshape(-1, *part.shape[1:]).to(part.dtype) for whole, part in zip(split, parts, strict=True)]

    def map_rows(self, num_rows: int, run: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Run a function over rows 0 .. num_rows - 1, each worker over its share; all workers get all results.

        Args:
            num_rows: N.
            run: Function from row numbers [n] to tensors [n, ...].

        Returns:
            Tensors [N, ...].
        """
        share = -(-num_rows // self.count)
        own = torch.arange(self.rank * share, (self.rank + 1) * share) % num_rows
        parts = MicroBatches().map(own, run)
        return tuple(self.gather(torch.cat(tensors))[:num_rows] for tensors in zip(*parts, strict=True))


ALONE = Workers()


def joined_workers() -> Workers:
    """Return the processes of torch's default process group; `ALONE` if there is none."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return ALONE
    return Workers(distributed.get_rank(), distributed.get_world_size(), _wrap, _mean, _gather, _join, _align)


def _wrap(module: nn.Module) -> nn.Module:
    """Batch-norm statistics are aligned once an epoch, not at each step."""
    return DistributedDataParallel(module, broadcast_buffers=False)


def _mean(metrics: Metrics) -> Metrics:
    values = torch.tensor(list(metrics.values()), dtype=torch.float64, device=pick_device())
    distributed.all_reduce(values)
    return dict(zip(metrics, (values / distributed.get_world_size()).tolist(), strict=True))


def _gather(rows: Tensor) -> Tensor:
    own = rows.contiguous().to(pick_device())
    parts = [torch.empty_like(own) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, own)
    return torch.cat(parts).to(rows.device)


def _join(rows: Tensor, batch_size: int) -> Tensor:
    joined: Tensor = _Join.apply(rows, batch_size)
    return joined


class _Join(torch.autograd.Function):
    """Rows of all workers, in the order of the batch; the gradient of a worker's own rows times their number.

    All workers compute the same loss, so that each knows the gradient of all of it for its own rows. The factor cancels
    the average over workers. Parameters that enter the loss elsewhere, such as a learned temperature, need none.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, batch_size: int) -> Tensor:
        count = distributed.get_world_size()
        longest = -(-batch_size // count)
        own = pad(rows, (0, 0, 0, longest - len(rows))).contiguous()
        parts = [torch.empty_like(own) for _ in range(count)]
        distributed.all_gather(parts, own)
        return torch.stack(parts, dim=1).flatten(0, 1)[:batch_size]

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None]:
        rank, count = distributed.get_rank(), distributed.get_world_size()
        return gradients[0][rank::count] * count, None


def _align(module: nn.Module) -> None:
    distribute_bn(module, distributed.get_world_size(), reduce=True)
