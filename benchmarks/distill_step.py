"""Measure what a teacher adds to the training of a target: an epoch with stored outputs against a supervised one.

Run:    python benchmarks/distill_step.py
Cost:   2 minutes on one core of an otherwise idle machine.
Result: results/distill_step.json and .md.

Both use the same target, images, views, batches and number of threads, and alternate epoch by epoch. Teacher outputs
are memory-mapped from disk, as in a search.
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

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.loading import load_task
from tdmr_ray.report.statistics import Estimate
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.distill import Distillation
from tdmr_ray.training.teacher_artifact import TeacherArtifact, load_artifact, make_teacher, save_artifact
from tdmr_ray.training.teacher_outputs import TeacherOutputs

NAME = "distill_step"
SIZES_PX = {32: (800, 9), 128: (200, 5)}
"""Number of images and of epochs of each kind, by the side of the images."""


def config_for(image_px: int, num_images: int) -> TrialConfig:
    """Return the method's defaults with a label for every image."""
    return TrialConfig().with_values(
        {
            "data.name": "digits",
            "data.shots": num_images // 10,
            "data.image_px": image_px,
            "foundation.name": "glyph_vit",
            "target.name": "mobilenetv3_small_050",
            "reprogram.epochs": 1,
        }
    )


def stored(config: TrialConfig, folder: Path) -> TeacherArtifact:
    """Make an artifact, save it and load it again."""
    folder.mkdir()
    save_artifact(make_teacher(config, load_task(config.data)), folder)
    return load_artifact(folder)


def seconds_of(image_px: int, outputs: TeacherOutputs | None, config: TrialConfig, epochs: int) -> tuple[float, float]:
    """Return the median seconds of an epoch with outputs and without them; the first epoch of each is left out."""
    task = load_task(config.data)
    both = Distillation(config, task, outputs), Distillation(config.replace(method="scratch"), task, None)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(epochs + 1):
        for run, times in zip(both, seconds, strict=True):
            started = perf_counter()
            run.run_epoch()
            times.append(perf_counter() - started)
    return median(seconds[0][1:]), median(seconds[1][1:])


def main(threads: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Measure at each size, print and keep the figures."""
    torch.set_num_threads(threads)
    lines = ["| images, px | supervised epoch, s | epoch with teacher outputs, s | ratio |", "|--:|--:|--:|--:|"]
    figures: dict[str, float | Estimate] = {}
    for image_px, (num_images, epochs) in SIZES_PX.items():
        config = config_for(image_px, num_images)
        with tempfile.TemporaryDirectory() as folder:
            artifact = stored(config, Path(folder) / "artifact")
            taught, plain = seconds_of(image_px, artifact.outputs, config, epochs)
        suffix = "" if image_px == min(SIZES_PX) else f"_{image_px}px"
        figures[f"epoch_ratio_to_supervised{suffix}"] = taught / plain
        lines.append(f"| {image_px} | {plain:.2f} | {taught:.2f} | {taught / plain:.3f} |")
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
