"""A process group of a Ray of our own: its rendezvous listens on loopback, where PyTorch would take all interfaces."""

import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import ray
import torch.distributed as dist
from ray.train._internal.base_worker_group import BaseWorkerGroup
from ray.train.backend import BackendConfig
from ray.train.torch import TorchConfig
from ray.train.torch.config import _set_torch_distributed_env_vars, _TorchBackend
from ray.train.v2._internal.execution.worker_group import WorkerGroup

LOOPBACK = "127.0.0.1"


@dataclass
class LoopbackConfig(TorchConfig):
    """Sets up torch's process group on one machine, with gloo on CPUs and nccl on GPUs."""

    @property
    def backend_cls(self) -> type["LoopbackBackend"]:
        """The class that does it."""
        return LoopbackBackend


class LoopbackBackend(_TorchBackend):
    """Ray's backend for torch, with another rendezvous."""

    def on_start(self, worker_group: BaseWorkerGroup, backend_config: BackendConfig) -> None:
        """Make the process group; called by Ray Train once all workers run."""
        assert isinstance(worker_group, WorkerGroup)
        assert isinstance(backend_config, TorchConfig)
        worker_group.execute(_set_torch_distributed_env_vars)
        backend = "nccl" if worker_group.get_resources_per_worker().get("GPU", 0) else "gloo"
        (port, descriptor), size = worker_group.execute_single(0, listen), len(worker_group)
        timeout = timedelta(seconds=backend_config.timeout_s)
        joining: list[Any] = [
            worker_group.execute_single_async(rank, join, backend, rank, size, port, descriptor, timeout)
            for rank in range(size)
        ]
        ray.get(joining)


def listen() -> tuple[int, int]:
    """Open the socket of the rendezvous in the worker of rank 0; return its port and its descriptor there."""
    server = socket.create_server((LOOPBACK, 0))
    return server.getsockname()[1], server.detach()


def join(backend: str, rank: int, size: int, port: int, descriptor: int, timeout: timedelta) -> None:
    """Join the process group; rank 0 serves the rendezvous with its descriptor."""
    store = dist.TCPStore(  # type: ignore[attr-defined]
        LOOPBACK, port, size, rank == 0, timeout, master_listen_fd=descriptor if rank == 0 else None
    )
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
