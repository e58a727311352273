"""`resources.gpu: auto`: how many trials share a GPU, by the memory that one was seen to take."""

from collections.abc import Callable
from typing import Any

import torch

from tdmr_ray.data.decoded import task_key
from tdmr_ray.runner.teacher_provider import resident_task
from tdmr_ray.runner.trial import Shop
from tdmr_ray.space import Space
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.fit import Run

SPARE = 1.2
"""Factor on what was seen: later batches and other configurations may take more."""
MAX_SHARED = 8
"""More trials than that wait for one another's kernels."""

Memory = Callable[[], tuple[int, int]]
"""Free and total bytes of a GPU."""


def with_gpu_share(space: Space, place: dict[str, Any]) -> Space:
    """The space with `auto` replaced by a share of a GPU, 0 where there is none. Needs a running Ray.

    Args:
        space: Whose `resources.gpu` is looked at.
        place: What a process must know to run a trial; see `place_of_trials`.
    """
    if space.resources.gpu != "auto":
        return space
    resources = space.resources.model_copy(update={"gpu": _measured_share(space, place)})
    return space.model_copy(update={"resources": resources})


def gpu_share(taken: int, total: int) -> float:
    """1 / k, so that k trials of `taken` bytes fit into `total` beside one another; 1 if only one does."""
    fit = int(total / (SPARE * taken))
    return 1 / min(max(1, fit), MAX_SHARED)


def taken_bytes(configs: list[dict[str, Any]], place: dict[str, Any], data: str, memory: Memory) -> tuple[int, int]:
    """What one trial after another took of a GPU that is theirs alone, and all that it has.

    Torch keeps the memory that it once had, and the process's own share is in it, so the end says the most.

    Args:
        configs: Of the trials.
        place: See `place_of_trials`.
        data: Key of their images.
        memory: Of the GPU.
    """
    shop = Shop(place)
    for config in configs:
        trial = TrialConfig.model_validate(config)
        Run(trial, resident_task(trial, shop.shared, key=data)).run_epoch()
    free, total = memory()
    return total - free, total


def _measured_share(space: Space, place: dict[str, Any]) -> float:
    import ray

    if not ray.cluster_resources().get("GPU"):
        return 0.0
    values = space.default_values()
    configs = [shortened(space.config(values, *pair)).model_dump(mode="json") for pair in space.all_pairs]
    measure = ray.remote(num_gpus=1, max_calls=1)(taken_bytes)
    taken, total = ray.get(measure.remote(configs, place, task_key(space.data), torch.cuda.mem_get_info))
    return gpu_share(taken, total)


def shortened(config: TrialConfig) -> TrialConfig:
    """A trial of an epoch, with batches as large as ever."""
    return config.replace(reprogram__epochs=1, outputs__num_views=1, distill__epochs=1, distill__num_stages=1)
