"""Ray Train: one configuration as a data-parallel run of any number of workers, on CPUs (gloo) or GPUs (nccl)."""

import json
import tempfile
from pathlib import Path
from typing import Any

import ray.train
import torch
import torch.distributed
from ray.train import Checkpoint, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer, get_device, prepare_model
from torch import nn

from tdmr_ray.models import save_target
from tdmr_ray.runner.leases import cluster_leases
from tdmr_ray.runner.programs import SharedStore, StoredFoundry, resident_task
from tdmr_ray.store import Store
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distil import Metrics, Workers
from tdmr_ray.training.fit import Run

METRICS_FILE = "metrics.json"


def train_distributed(config: TrialConfig, *, workers: int, cpu: int, gpu: float, store: Path, out: Path) -> Metrics:
    """Run a configuration with `workers` processes; a global batch is divided between them.

    Because views are seeded for each image, N workers with the same global batch see the samples that one would see.
    Needs a running Ray.

    Args:
        config: What is trained.
        workers: Processes.
        cpu: Cores of each.
        gpu: GPUs of each.
        store: Folder of programs.
        out: Gets `target.safetensors` and `metrics.json`.

    Returns:
        The last epoch's metrics, with figures on test.
    """
    with tempfile.TemporaryDirectory(prefix="tdmr_ray-") as scratch:
        trainer = TorchTrainer(
            _work,
            train_loop_config={"config": config.model_dump(mode="json"), "store": str(store), "threads": cpu},
            scaling_config=ScalingConfig(
                num_workers=workers, use_gpu=gpu > 0, resources_per_worker={"CPU": cpu, **({"GPU": gpu} if gpu else {})}
            ),
            run_config=RunConfig(name="train", storage_path=scratch),
        )
        result = trainer.fit()
        if result.checkpoint is None:
            raise RuntimeError(f"Ray Train ended without a result: {result.error}")
        result.checkpoint.to_directory(str(out))
    metrics: Metrics = json.loads((out / METRICS_FILE).read_text())
    return metrics


def _work(loop: dict[str, Any]) -> None:
    """What each worker does."""
    torch.set_num_threads(loop["threads"])
    config = TrialConfig.model_validate(loop["config"])
    context = ray.train.get_context()
    rank, count = context.get_world_rank(), context.get_world_size()
    workers = Workers(rank, count, _wrap, _mean) if count > 1 else Workers()
    shared = SharedStore(Store(Path(loop["store"])), cluster_leases())
    run = Run(config, resident_task(config, shared), StoredFoundry(shared), workers)
    while True:
        metrics = run.run_epoch()
        if run.done:
            break
        ray.train.report(dict(metrics))
    _report_end(run, rank)


def _report_end(run: Run, rank: int) -> None:
    """The last report; the first worker adds weights and figures on test."""
    if rank > 0:
        ray.train.report(dict(run.metrics))
        return
    outcome = run.finish(read_test=True)
    with tempfile.TemporaryDirectory() as folder:
        if outcome.target is not None:
            save_target(outcome.target, Path(folder))
        (Path(folder) / METRICS_FILE).write_text(json.dumps(outcome.metrics))
        ray.train.report(dict(outcome.metrics), checkpoint=Checkpoint.from_directory(folder))


def _wrap(module: nn.Module) -> nn.Module:
    wrapped: nn.Module = prepare_model(module)
    return wrapped


def _mean(metrics: Metrics) -> Metrics:
    """Average over workers."""
    values = torch.tensor(list(metrics.values()), dtype=torch.float64, device=get_device())
    torch.distributed.all_reduce(values)
    return dict(zip(metrics, (values / torch.distributed.get_world_size()).tolist(), strict=True))
