"""`resources.gpu: auto`: the number of trials that share a GPU, from the measured memory of one."""

from collections.abc import Callable

import torch

from tdmr_ray.data.decoded import task_key
from tdmr_ray.models.weights import use_copies
from tdmr_ray.runner.gpu_share import gpu_share, shortened
from tdmr_ray.runner.messages import WorkerSettings
from tdmr_ray.runner.worker_context import open_context
from tdmr_ray.space import Space
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run

Memory = Callable[[], tuple[int, int]]
"""Returns free and total bytes of a GPU."""


def with_gpu_share(space: Space, settings: WorkerSettings) -> Space:
    """Replace `resources.gpu: auto` by a share of a GPU, or by 0 without GPUs. Needs a running Ray.

    Args:
        space: The space.
        settings: Settings of its workers.
    """
    if space.resources.gpu != "auto":
        return space
    resources = space.resources.model_copy(update={"gpu": _measured_share(space, settings)})
    return space.model_copy(update={"resources": resources})


def taken_bytes(configs: list[TrialConfig], settings: WorkerSettings, data_key: str, memory: Memory) -> tuple[int, int]:
    """Run one epoch of each trial on a GPU of its own; return the bytes taken and the bytes of the GPU.

    Torch keeps memory that it once allocated, and the process's own share is included, so the last reading is the
    largest.

    Args:
        configs: The trials.
        settings: Settings of the workers.
        data_key: Key of the decoded images.
        memory: Reads the GPU's memory.
    """
    context = open_context(settings)
    with use_copies(context.find_copy):
        for config in configs:
            Run(config, context.tasks.get(config.data, key=data_key)).run_epoch()
    free, total = memory()
    return total - free, total


def _measured_share(space: Space, settings: WorkerSettings) -> float:
    import ray

    if not ray.cluster_resources().get("GPU"):
        return 0.0
    pairs = space.all_pairs
    configs = [shortened(space.config(space.default_values(target), source, target)) for source, target in pairs]
    measure = ray.remote(num_gpus=1, max_calls=1)(taken_bytes)
    taken, total = ray.get(measure.remote(configs, settings, task_key(space.data), torch.cuda.mem_get_info))
    return gpu_share(taken, total)
