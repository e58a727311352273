"""Measure how much of a foundation's own speed reprogramming keeps.

Run:    python benchmarks/reprogram_step.py
Cost:   4 minutes on one core of an otherwise idle machine.
Result: results/reprogram_step.json and .md.

The floor is the foundation alone: a forward pass and a backward pass to its input, on a batch in memory. Reprogramming
adds views, prompt, mapping, loss and optimiser. The foundations are a ViT-Ti/16 at 224 px with random weights and a
built-in one at 32 px.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Annotated

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.local_hub import make_hub
from benchmarks.results_file import show_and_keep
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.models import Foundation, load_foundation
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.device import pick_device
from tdmr_ray.training.reprogram import fit_teacher

NAME = "reprogram_step"
BIG = "vit_tiny_patch16_224"
FOUNDATIONS = {BIG: (1, 16), "glyph_vit": (10, 2)}
"""Number of images per class and width of the prompt, by foundation."""
REPEATS = 3


def floor_images_per_s(foundation: Foundation, batch_size: int) -> float:
    """Return the speed of forward and backward passes to the input."""
    size = foundation.spec.size_px
    images = torch.rand(batch_size, 3, size, size, device=pick_device(), requires_grad=True)
    foundation.features(images).sum().backward()
    started = perf_counter()
    for _ in range(8):
        foundation.features(images).sum().backward()
    return 8 * batch_size / (perf_counter() - started)


def reprogram_images_per_s(config: TrialConfig, task: Task, foundation: Foundation) -> float:
    """Return the speed of the last epoch of reprogramming."""
    return fit_teacher(config, task, foundation, pick_device()).history[-1]["reprogram/images_per_s"]


def main(threads: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Measure floor and reprogramming in turn, print and keep the figures."""
    torch.set_num_threads(threads)
    lines = ["| foundation | floor, images/s | reprogramming, images/s | fraction |", "|---|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    with tempfile.TemporaryDirectory() as folder:
        make_hub(Path(folder), (BIG,))
        for name, (shots, prompt_px) in FOUNDATIONS.items():
            config = TrialConfig().with_values(
                {
                    "data.shots": shots,
                    "foundation.name": name,
                    "prompt.size_px": prompt_px,
                    "mapping.kind": "linear",
                    "reprogram.epochs": 1,
                    "reprogram.batch_size": 32,
                }
            )
            foundation, task = load_foundation(name).to(pick_device()), load_task(config.data)
            pairs = [
                (floor_images_per_s(foundation, 32), reprogram_images_per_s(config, task, foundation))
                for _ in range(REPEATS)
            ]
            floor, speed = (median(values) for values in zip(*pairs, strict=True))
            figures[f"fraction_of_floor{'' if name == BIG else '_' + name}"] = median(own / of for of, own in pairs)
            lines.append(f"| {name} | {floor:.1f} | {speed:.1f} | {speed / floor:.3f} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
