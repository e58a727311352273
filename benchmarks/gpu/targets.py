"""Training steps of targets, eager, captured as CUDA graphs and compiled; distillation against labels alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu.clock import seconds_per_call, watched_seconds_per_call
from benchmarks.gpu.material import make_config, make_distillation, make_task, train_epoch
from benchmarks.gpu.recorder import Recorder, or_unknown
from benchmarks.gpu.sizes import Sizes
from benchmarks.gpu.teachers import count_flops
from tdmr_ray.models import Target, TargetOutput
from tdmr_ray.training.config import Precision
from tdmr_ray.training.distill import Distillation

Change = Callable[[Distillation], object]
"""Changes a training before its first step."""


class TensorsOnly(nn.Module):
    """A target whose inputs and outputs are tensors, as capturing asks for."""

    def __init__(self, target: Target) -> None:
        super().__init__()
        self.target = target

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features [B, d] and logits [B, C] of images [B, 3, H, W]."""
        features, logits = self.target(images)
        return features, logits


class GraphedTarget(nn.Module):
    """A target whose forward and backward pass in training are replayed as CUDA graphs.

    Args:
        target: The target.
        images: A batch as those that follow, in size and memory format.
    """

    def __init__(self, target: Target, images: Tensor) -> None:
        super().__init__()
        with torch.autocast("cuda", torch.bfloat16, cache_enabled=False):
            self.body: Any = torch.cuda.make_graphed_callables(TensorsOnly(target.train()), (images,))

    def forward(self, images: Tensor, detach_head: bool = False) -> TargetOutput:
        """See `Target`; a stage that detaches the head is not captured."""
        assert not detach_head, "there is one stage only"
        features, logits = self.body(images)
        return TargetOutput(features, logits)


def use_graphs(sizes: Sizes, distillation: Distillation) -> None:
    """Replace the target of a training by a captured one."""
    images = torch.rand(sizes.batch, 3, sizes.px, sizes.px, device="cuda").to(memory_format=torch.channels_last)
    distillation.learner.target = GraphedTarget(distillation.learner.target, images)  # type: ignore[assignment]


def use_compiler(sizes: Sizes, distillation: Distillation) -> None:
    """Compile the target of a training; on a GPU its kernels are replayed as CUDA graphs."""
    mode = "reduce-overhead" if torch.cuda.is_available() else None
    distillation.learner.target.compile(backend=sizes.backend, mode=mode)


def leave(distillation: Distillation) -> None:
    """Change nothing."""


def measure(recorder: Recorder, sizes: Sizes) -> None:
    """Measure every target in every way, those that compile last."""
    has_gpu = torch.cuda.is_available()
    ways: dict[str, tuple[Precision, bool, Change]] = {
        "fp32": ("fp32", False, leave),
        "bf16": ("bf16", False, leave),
        "bf16_images_on_card": ("bf16", True, leave),
        "bf16_graphs": ("bf16", True, partial(use_graphs, sizes)),
        "bf16_compiled": ("bf16", has_gpu, partial(use_compiler, sizes)),
    }
    for way, (precision, on_device, change) in ways.items():
        if not has_gpu and (on_device or "graphs" in way):
            recorder.note(f"{way} needs a GPU")
            continue
        for target in sizes.targets:
            with recorder.attempt(f"{target}, {way}"):
                measure_step(recorder, sizes, target, way, precision, on_device, change)
        if way == "bf16":
            with recorder.attempt("distillation against labels alone, and views"):
                measure_teaching(recorder, sizes)
                measure_views(recorder, sizes)


def measure_step(
    recorder: Recorder, sizes: Sizes, target: str, way: str, precision: Precision, on_device: bool, change: Change
) -> None:
    """Measure the training steps of a target: views, teacher outputs, forward, loss, backward, clipping, optimiser."""
    distillation = make_distillation(
        make_config(sizes, target, precision), sizes, make_task(sizes, on_device=on_device)
    )
    flops = 3 * count_flops(distillation.learner.target.eval(), sizes.px, distillation.device)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    change(distillation)
    epoch_s, utilisation = watched_seconds_per_call(lambda: train_epoch(distillation), sizes.seconds)
    step_s = epoch_s / sizes.steps
    per_s = sizes.batch / step_s
    share = recorder.share_of_gemm_peak(per_s * flops / 1e12, precision)
    gigabytes = torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None
    recorder.figure(f"step_ms_{target}_{way}", 1000 * step_s)
    recorder.figure(f"target_images_per_s_{target}_{way}", per_s)
    recorder.row(
        target=target,
        way=way,
        step_ms=1000 * step_s,
        images_per_s=per_s,
        share_of_GEMM_peak=or_unknown(share),
        utilisation_percent=or_unknown(utilisation),
        peak_memory_GB=or_unknown(gigabytes),
    )


def measure_teaching(recorder: Recorder, sizes: Sizes) -> None:
    """Measure a step with stored teacher outputs against one with labels alone, in turns."""
    for target in sizes.targets:
        config = make_config(sizes, target, "bf16")
        both = make_distillation(config, sizes), make_distillation(config.replace(method="scratch"), sizes)
        times = [[seconds_per_call(partial(train_epoch, run), sizes.seconds / 4) for run in both] for _ in range(3)]
        taught, plain = (sorted(column)[1] / sizes.steps for column in zip(*times, strict=True))
        recorder.figure(f"distill_over_supervised_{target}", taught / plain)
        recorder.row(
            target=target, supervised_step_ms=1000 * plain, distill_step_ms=1000 * taught, ratio=taught / plain
        )


def measure_views(recorder: Recorder, sizes: Sizes) -> None:
    """Measure the views alone, from images in the machine's memory and from images on the card."""
    for on_device in (False, True) if torch.cuda.is_available() else (False,):
        task = make_task(sizes, on_device=on_device)
        views = make_distillation(make_config(sizes, sizes.targets[0]), sizes, task).views
        rows = torch.arange(sizes.batch)
        seconds = seconds_per_call(partial(views.batch, rows, 0), sizes.seconds)
        place = "card" if on_device else "machine"
        recorder.figure(f"views_per_s_from_{place}", sizes.batch / seconds)
        recorder.row(images_lie_in=f"memory of the {place}", views_per_s=sizes.batch / seconds)
