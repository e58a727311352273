"""Measure what it is worth to keep the memory of freed tensors, for one training process and for two at a time.

Run:    python benchmarks/freed_memory.py
Cost:   5 minutes on 2 cores of an otherwise idle machine.
Result: results/freed_memory.json and .md.

Each process trains a target with one thread on batches of 64 random images. `default` is glibc as it comes, `kept` is
`training.memory.reuse_freed_memory`. Two processes start their steps together. A step is the median over those after
the first; memory is the largest resident size of a process.
"""

import resource
import sys
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import mean, median
from time import perf_counter

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from benchmarks.step_profile import make_distillation
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training.memory import reuse_freed_memory

NAME = "freed_memory"
CASES = (("tf_efficientnet_lite0", 96), ("mobilenetv3_large_100", 96), ("mobilenetv3_small_050", 64))
PASSES, PATIENCE_S = 3, 300
WAYS = ("default", "kept")

Measured = tuple[float, float]
"""Seconds of a step, and the largest resident size in GB."""


def train(target: str, px: int, kept: bool, together: Barrier) -> Measured:
    """Train a target for a few epochs."""
    torch.set_num_threads(1)
    if kept:
        reuse_freed_memory()
    distillation = make_distillation(target, px)
    steps = len(distillation._batches(0))
    distillation._train(distillation.stages[0])
    together.wait(PATIENCE_S)
    seconds = []
    for _ in range(PASSES):
        started = perf_counter()
        distillation._train(distillation.stages[0])
        seconds.append((perf_counter() - started) / steps)
    return median(seconds), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure(target: str, px: int, way: str, processes: int) -> Measured:
    """Return the mean over processes that train at the same time."""
    context = get_context("spawn")
    with context.Manager() as manager:
        together = manager.Barrier(processes)
        with context.Pool(processes) as pool:
            found = pool.starmap(train, [(target, px, way == "kept", together)] * processes)
    return mean(seconds for seconds, _ in found), mean(size for _, size in found)


def main() -> None:
    """Measure, print and keep the figures."""
    lines = ["| target | px | processes | default, ms | kept, ms | default / kept | default, GB | kept, GB |"]
    lines.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    figures: dict[str, float | Estimate] = {}
    for target, px in CASES:
        for processes in (1, 2):
            found = {way: measure(target, px, way, processes) for way in WAYS}
            (default_s, default_gb), (kept_s, kept_gb) = found["default"], found["kept"]
            figures[f"speedup_{target}_{px}px_{processes}"] = default_s / kept_s
            cells = [f"{1000 * default_s:.0f}", f"{1000 * kept_s:.0f}", f"{default_s / kept_s:.2f}"]
            cells += [f"{default_gb:.2f}", f"{kept_gb:.2f}"]
            lines.append(f"| {target} | {px} | {processes} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    main()
