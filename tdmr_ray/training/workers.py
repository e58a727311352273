"""Processes that do one piece of work together: what each of them needs to know of the others."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
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
    """The place of this process among those that train one network together.

    Attributes:
        rank: 0 .. count - 1.
        count: 1 for a process alone.
        wrap: Makes a module average its gradients over the workers.
        mean: Averages metrics over the workers.
        gather: Puts every worker's tensor [n, ...] one below the other, [count * n, ...].
        align: Averages over the workers what a module remembers of its inputs, such as statistics of batch norm.
    """

    rank: int = 0
    count: int = 1
    wrap: Callable[[nn.Module], nn.Module] = _alone
    mean: Callable[[Metrics], Metrics] = _own_mean
    gather: Callable[[Tensor], Tensor] = _own_rows
    align: Callable[[nn.Module], None] = _nothing

    def ask(self, num_rows: int, say: Callable[[Tensor], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What is said of the rows 0 .. num_rows - 1, each [N, ...]; every worker asks about its share, all get all.

        Args:
            num_rows: N.
            say: From rows [n] to tensors [n, ...].
        """
        share = -(-num_rows // self.count)
        own = torch.arange(self.rank * share, (self.rank + 1) * share) % num_rows
        parts = MicroBatches().ask(own, say)
        return tuple(self.gather(torch.cat(tensors))[:num_rows] for tensors in zip(*parts, strict=True))


ALONE = Workers()


def joined_workers() -> Workers:
    """The processes of torch's default process group, which somebody has set up; alone if there is none."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return ALONE
    return Workers(distributed.get_rank(), distributed.get_world_size(), _wrap, _mean, _gather, _align)


def _wrap(module: nn.Module) -> nn.Module:
    """Statistics of batch norm are aligned once an epoch, not at each step."""
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
    for buffer in module.buffers():
        if buffer.is_floating_point():
            distributed.all_reduce(buffer)
            buffer /= distributed.get_world_size()
