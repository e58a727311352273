"""A batch that does not fit into memory runs in micro-batches."""

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.clock import seconds_of
from benchmarks.gpu.material import make_config, make_distillation, make_task, train_epoch
from benchmarks.gpu.recorder import Recorder
from benchmarks.gpu.sizes import Sizes
from tdmr_ray.training.distill import Distillation

SHARE = 0.4
"""Share of the memory that a whole batch needs to which the process is limited."""


def measure(recorder: Recorder, sizes: Sizes) -> None:
    """Train with all memory, then with too little, and compare."""
    target = sizes.targets[-1]
    free_s, needed = measure_whole(sizes, target)
    limited = make_run(sizes, target)
    with limit(limited, sizes, int(SHARE * needed)):
        losses = train_epoch(limited)
        limited_s = seconds_of(lambda: train_epoch(limited))
    count = limited.micro_batches.count
    assert count > 1, "the batch fitted into the limited memory"
    assert math.isfinite(losses["train/loss"]), "the loss diverged"
    recorder.figure("out_of_memory_micro_batches", count)
    recorder.figure("out_of_memory_slowdown", limited_s / free_s)
    cells: dict[str, str | float] = {
        "target": target,
        "batch": sizes.memory_batch,
        "needed_GB": needed / 1e9,
        "allowed_GB": SHARE * needed / 1e9,
        "micro_batches": count,
        "epoch_s": free_s,
        "epoch_in_micro_batches_s": limited_s,
    }
    recorder.row(**cells)
    for note in limited.notes:
        recorder.note(note)


def measure_whole(sizes: Sizes, target: str) -> tuple[float, int]:
    """Return the seconds of an epoch with whole batches, and the bytes that they need on the card."""
    run = make_run(sizes, target)
    train_epoch(run)
    seconds = seconds_of(lambda: train_epoch(run))
    return seconds, torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def make_run(sizes: Sizes, target: str) -> Distillation:
    """Return a training with two large batches in an epoch."""
    config = make_config(sizes, target).with_values({"distill.batch_size": sizes.memory_batch})
    return make_distillation(config, sizes, make_task(sizes, 2 * sizes.memory_batch))


@contextmanager
def limit(run: Distillation, sizes: Sizes, allowed: int) -> Iterator[None]:
    """Limit this process to `allowed` bytes of the card; without a GPU a hook raises the error of a full one."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(allowed / torch.cuda.mem_get_info()[1])
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return

    def refuse(module: nn.Module, arguments: Any) -> None:
        if len(arguments[0]) > SHARE * sizes.memory_batch:
            raise torch.OutOfMemoryError("raised by the benchmark: there is no card that could be full")

    handle = run.learner.target.register_forward_pre_hook(refuse)
    try:
        yield
    finally:
        handle.remove()
