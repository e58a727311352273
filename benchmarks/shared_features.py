"""Measure what teachers gain from a foundation's stored features, and whether they are as accurate.

Run:    python benchmarks/shared_features.py
Cost:   about 6 minutes on one core of an otherwise idle machine.
Result: results/shared_features.json and .md.

glyph_vit without a prompt becomes teachers with two mappings on both built-in tasks, 5 labelled images a class and the
other training images without labels. One way runs the foundation for each teacher, with new views in each epoch; the
other reads features of 8 views of each image. Each seed draws train, val and the labelled images anew.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import show_and_keep
from tdmr_ray.data.loading import load_task
from tdmr_ray.data.task import Task
from tdmr_ray.method.teacher import Teacher
from tdmr_ray.report.statistics import Estimate, estimate
from tdmr_ray.training import reprogram
from tdmr_ray.training.config import TrialConfig
from tdmr_ray.training.evaluate import evaluate
from tdmr_ray.training.features import Features, compute_features, with_ids
from tdmr_ray.training.networks import resident_foundation
from tdmr_ray.training.teacher_outputs import LiveOutputs, store_outputs, training_views

NAME = "shared_features"
CPU = torch.device("cpu")
TASKS: dict[str, dict[str, Any]] = {"digits": {}, "script": {"views.strength": 0.5}}
MAPPINGS = ("linear", "prototype")
FIRST_DRAW = 20
"""Divisions that no other benchmark reports."""


@dataclass(frozen=True)
class Made:
    """Seconds that a teacher and its outputs took, and its accuracy on test in percent."""

    seconds: float
    accuracy: float


def make(config: TrialConfig, task: Task, features: Features | None) -> Made:
    """Make a teacher and its stored outputs, from features or by running the foundation."""
    foundation = resident_foundation(config.foundation)
    started = perf_counter()
    views = None if features is None else reprogram.NUM_SHARED_VIEWS
    with patch.object(reprogram, "NUM_SHARED_VIEWS", views):
        teacher: Teacher = reprogram.fit_teacher(config, task, foundation, CPU, features=features).teacher
    live = LiveOutputs(teacher, training_views(config, task), config.outputs, CPU, features=features)
    store_outputs(live)
    seconds = perf_counter() - started
    measured = evaluate(lambda images: teacher(images).logits, task.test, device=CPU)
    return Made(seconds, 100 * measured.measure(("top1",))["top1"])


def main(seeds: Annotated[int, typer.Option(min=3)] = 5) -> None:
    """Make all teachers both ways; print and keep the figures."""
    torch.set_num_threads(1)
    lines = [
        "| task | mapping | own foundation passes, s | from features, s | features once, s | difference on test |",
        "|---|---|--:|--:|--:|--:|",
    ]
    figures: dict[str, float | Estimate] = {}
    for name, values in TASKS.items():
        made: dict[str, list[tuple[Made, Made]]] = {mapping: [] for mapping in MAPPINGS}
        once = []
        for seed in range(seeds):
            own = {"data.name": name, "data.shots": 5, "data.unlabeled": True, "data.draw": FIRST_DRAW + seed}
            base = TrialConfig().with_values({"foundation.name": "glyph_vit", "seed": seed, **own, **values})
            task = with_ids(load_task(base.data))
            resident_foundation(base.foundation)
            started = perf_counter()
            features = compute_features(base, task)
            once.append(perf_counter() - started)
            for mapping, pairs in made.items():
                config = base.replace(mapping__kind=mapping)
                pairs.append((make(config, task, None), make(config, task, features)))
        for mapping, pairs in made.items():
            before, after = (mean(pair[way].seconds for pair in pairs) for way in (0, 1))
            gain = estimate([new.accuracy - old.accuracy for old, new in pairs])
            figures |= {f"{name}.{mapping}.times_as_fast": before / after, f"{name}.{mapping}.difference": gain}
            shown = f"{gain.mean:+.1f} [{gain.low:+.1f}, {gain.high:+.1f}]"
            lines.append(f"| {name} | {mapping} | {before:.1f} | {after:.2f} | {mean(once):.1f} | {shown} |")
        figures[f"{name}.features_s"] = mean(once)
    show_and_keep(NAME, lines, figures)


if __name__ == "__main__":
    typer.run(main)
