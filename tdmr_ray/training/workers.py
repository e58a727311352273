"""Processes that train one network together, and what each of them needs to know of the others."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from timm.utils.distributed import distribute_bn
from torch import Tensor, distributed, nn
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
        align: Averages the running statistics of a module's batch norms over the workers.
    """

    rank: int = 0
    count: int = 1
    wrap: Callable[[nn.Module], nn.Module] = _alone
    mean: Callable[[Metrics], Metrics] = _own_mean
    gather: Callable[[Tensor], Tensor] = _own_rows
    align: Callable[[nn.Module], None] = _nothing

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
    return Workers(distributed.get_rank(), distributed.get_world_size(), _wrap, _mean, _gather, _align)


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


def _align(module: nn.Module) -> None:
    distribute_bn(module, distributed.get_world_size(), reduce=True)
