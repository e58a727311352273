"""Ray Train: a function that several processes run together, on CPUs (gloo) or GPUs (nccl)."""

import os
from collections.abc import Callable
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.constants import HEALTH_CHECK_INTERVAL_S_ENV_VAR
from ray.train.v2.api.callback import UserCallback

from tdmr_ray.runner.loopback_group import LOOPBACK, LoopbackConfig
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.process_loss import MAX_RESTARTS
from tdmr_ray.storage import StoragePath

POLL_S = 0.2
"""Interval at which Ray Train polls its workers; its default of 2 s is longer than an epoch of a small task."""


def run_with_ray_train(
    work: Callable[[dict[str, Any]], None],
    config: dict[str, Any],
    *,
    name: str,
    settings: WorkerSettings,
    files: StoragePath,
    workers: int,
    min_workers: int | None = None,
    callbacks: list[UserCallback] | None = None,
) -> None:
    """Run a function in several workers. If one is lost, all begin again, and continue from the last checkpoint.

    Args:
        work: Function that each worker runs with `config`.
        config: Its argument.
        name: Name of the run.
        settings: Threads and GPUs of each worker.
        files: Directory for Ray Train's own files, which all workers reach.
        workers: Number of workers.
        min_workers: Number that suffices where machines are missing; None insists on `workers`.
        callbacks: Receive what workers report.

    Raises:
        TrainingFailedError: If the workers fail too often.
    """
    os.environ.setdefault(HEALTH_CHECK_INTERVAL_S_ENV_VAR, str(POLL_S))
    TorchTrainer(
        work,
        train_loop_config=config,
        torch_config=LoopbackConfig() if ray.util.get_node_ip_address() == LOOPBACK else None,
        scaling_config=ScalingConfig(
            num_workers=(min_workers, workers) if min_workers and min_workers < workers else workers,  # type: ignore[arg-type]
            use_gpu=settings.gpu > 0,
            resources_per_worker={"CPU": settings.threads, **({"GPU": settings.gpu} if settings.gpu else {})},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(files),
            failure_config=FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=callbacks or [],  # type: ignore[arg-type]
        ),
    ).fit()
