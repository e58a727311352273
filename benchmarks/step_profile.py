"""Measure where a step of a target's training goes: forward and backward, and all that is not the network.

Run:    python benchmarks/step_profile.py
Cost:   6 minutes on one core of an otherwise idle machine.
Result: results/step_profile.json and .md.

Each target learns from stored teacher outputs, in batches of 64 views of random images, on one thread. The parts of a
step are timed one by one: views, looking up the teacher's outputs, forward, loss, backward, clipping, and optimiser.
The rest is Python. A figure is the median over the epochs after the first.

A second table holds what one core decodes and augments in a second beside what the fastest target takes.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.decoding_speed import FILES, make_files
from benchmarks.results_file import show_and_keep
from tdmr_ray.data.reading import InputFormat, read_image
from tdmr_ray.data.task import Images, Task
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training import distill
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.teacher_outputs import StoredOutputs

NAME = "step_profile"
TARGETS = ("mobilenetv3_small_050", "mobilenetv3_large_100", "tf_efficientnet_lite0")
SIZES_PX = (64, 96, 224)
NUM_CLASSES, NUM_VIEWS, TEACHER_DIM, BATCH = 4, 8, 384, 64
STEPS, EPOCHS = {64: 8, 96: 8, 224: 8}, 2
PARTS = ("views", "lookup", "forward", "loss", "backward", "clip", "optimizer")
NETWORK = ("forward", "backward")

Seconds = dict[str, float]


class Stopwatch:
    """Adds up the seconds inside functions, by name."""

    def __init__(self) -> None:
        self.seconds: Seconds = defaultdict(float)

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time taken."""

        def run(*arguments: Any, **named: Any) -> Any:
            started = perf_counter()
            try:
                return work(*arguments, **named)
            finally:
                self.seconds[name] += perf_counter() - started

        return run


@contextmanager
def watched(distillation: Distillation) -> Iterator[Stopwatch]:
    """Take the time of every part of the steps inside this context."""
    watch = Stopwatch()
    places: dict[str, tuple[Any, str]] = {
        "views": (distillation.views, "batch"),
        "lookup": (distillation, "_teacher_outputs"),
        "forward": (distillation.learner, "forward"),
        "loss": (distill, "loss_terms"),
        "backward": (torch.Tensor, "backward"),
        "clip": (torch.nn.utils, "clip_grad_norm_"),
        "optimizer": (distillation.optimizer, "step"),
    }
    with ExitStack() as stack:
        for name, (owner, attribute) in places.items():
            stack.enter_context(patch.object(owner, attribute, watch.timed(name, getattr(owner, attribute))))
        yield watch


def make_distillation(target: str, px: int) -> Distillation:
    """Return the training of a target on random images and random teacher outputs."""
    config = TrialConfig().with_values(
        {"target.name": target, "data.image_px": px, "distill.batch_size": BATCH, "outputs.num_views": NUM_VIEWS}
    )
    count = BATCH * STEPS[px]
    labels = torch.arange(count) % NUM_CLASSES
    images = Images(torch.randint(0, 256, (count, 3, px, px), dtype=torch.uint8), labels)
    few = Images(images.images[:NUM_CLASSES], labels[:NUM_CLASSES])
    task = Task(images, count, few, few, class_names=tuple("abcd"), preset="photo", fingerprint="")
    rng = np.random.default_rng(0)
    outputs = StoredOutputs(
        rng.standard_normal((NUM_VIEWS, count, TEACHER_DIM)).astype(np.float16),
        rng.standard_normal((NUM_VIEWS, count, NUM_CLASSES)).astype(np.float16),
    )
    return Distillation(config, task, outputs)


def profile(target: str, px: int) -> Seconds:
    """Return the seconds of a step by part, with `rest` for what is in none of them."""
    distillation = make_distillation(target, px)
    num_steps = len(distillation._batches(0))
    epochs: list[Seconds] = []
    for _ in range(EPOCHS + 1):
        with watched(distillation) as watch:
            started = perf_counter()
            distillation._train(distillation.stages[0])
            total = perf_counter() - started
        distillation.epoch += 1
        rest = total - sum(watch.seconds.values())
        epochs.append({name: value / num_steps for name, value in {**watch.seconds, "rest": rest}.items()})
    return {name: median(epoch[name] for epoch in epochs[1:]) for name in (*PARTS, "rest")}


def decoded_per_s(px: int) -> dict[str, float]:
    """Return the images of each kind of file that are decoded in a second."""
    speeds = {}
    with TemporaryDirectory() as folder:
        for kind, paths in make_files(Path(folder)).items():
            form = InputFormat(px, "squash", "bicubic")
            seconds = []
            for _ in range(EPOCHS):
                started = perf_counter()
                for path in paths:
                    read_image(path, form=form)
                seconds.append(perf_counter() - started)
            speeds[kind] = len(paths) / median(seconds)
    return speeds


def feeding(px: int, views_s: float, network_s: float) -> tuple[str, dict[str, float]]:
    """Return a row and figures of what feeds a step at a size, and of what the fastest target takes."""
    decoded = decoded_per_s(px)
    views, needed = BATCH / views_s, BATCH / network_s
    figures = {f"decoded_per_s_{kind}_{px}px": speed for kind, speed in decoded.items()}
    figures |= {f"views_per_s_{px}px": views, f"needed_per_s_{px}px": needed}
    cells = [*decoded.values(), views, needed]
    return f"| {px} | {' | '.join(f'{speed:.0f}' for speed in cells)} |", figures


def main() -> None:
    """Measure, print and keep the figures."""
    torch.set_num_threads(1)
    lines = [f"| target | px | step, ms | {' | '.join((*PARTS, 'rest'))} | outside the network |"]
    lines.append("|---|--:|--:|" + "--:|" * (len(PARTS) + 2))
    figures: dict[str, float | Estimate] = {}
    fastest: dict[int, Seconds] = {}
    for target in TARGETS:
        for px in SIZES_PX:
            seconds = profile(target, px)
            fastest.setdefault(px, seconds)
            step = sum(seconds.values())
            overhead = 1 - sum(seconds[name] for name in NETWORK) / step
            figures |= {f"step_ms_{target}_{px}px": 1000 * step, f"step_overhead_{target}_{px}px": overhead}
            shares = " | ".join(f"{100 * value / step:.1f} %" for value in seconds.values())
            lines.append(f"| {target} | {px} | {1000 * step:.0f} | {shares} | {100 * overhead:.1f} % |")
            print(lines[-1], flush=True)
    figures["step_overhead"] = max(value for name, value in figures.items() if name.startswith("step_overhead_"))  # type: ignore[type-var]
    lines += ["", f"| px | decoded: {' | decoded: '.join(FILES)} | views | {TARGETS[0]} |"]
    lines.append("|--:|" + "--:|" * (len(FILES) + 2))
    for px, seconds in fastest.items():
        row, found = feeding(px, seconds["views"], sum(seconds[name] for name in NETWORK))
        lines.append(row)
        figures |= found
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
