"""Measure what a refit with the labels of val adds on test.

Run:    python benchmarks/refit.py            (run it again after an interruption: finished runs are kept)
Cost:   about 20 minutes on two cores.
Result: results/refit.json and .md; every run is a line of results/refit.jsonl.

glyph_vit teaches mobilenetv3_small_050 on both built-in tasks, with 5 labelled images a class and the other training
images without labels. Each seed draws train, val and the labelled subset anew; the test images stay. `scratch` and
TDMR's defaults train for the same number of steps. The refit trains the same configuration on train and val, to the
share of the schedule that was best on val, as a search does. Development has looked at these test images before.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.results_file import FOLDER, show_and_keep
from benchmarks.resumable import Row, run_missing
from tdmr_ray.data.loading import load_task
from tdmr_ray.report.statistics import Estimate, estimate, paired_difference
from tdmr_ray.training.config import TrialConfig, hash_json
from tdmr_ray.training.controls import build_control
from tdmr_ray.training.controls.scratch import Scratch
from tdmr_ray.training.fit import fit
from tdmr_ray.training.steps import with_steps

NAME = "refit"
STEPS, PATIENCE, SEEDS = 400, 0.5, 5
BASE: dict[str, Any] = {
    "foundation.name": "glyph_vit",
    "target.name": "mobilenetv3_small_050",
    "data.shots": 5,
    "data.unlabeled": True,
    "outputs.view_averaging": 0.5,
    "distill.patience": PATIENCE,
}
TASKS: dict[str, dict[str, Any]] = {"digits": {}, "script": {"views.strength": 0.5}}
METHODS = ("tdmr", "scratch", "linear_probe")


@dataclass(frozen=True)
class Job:
    """One method on one task with one seed: confirmed, then refitted."""

    task: str
    seed: int
    method: str

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}, {self.method}"

    @property
    def key(self) -> str:
        """A hash that is equal for equal runs."""
        return hash_json([BASE, TASKS[self.task], asdict(self), STEPS])

    @property
    def config(self) -> TrialConfig:
        """The confirmed trial."""
        own = {"data.name": self.task, "seed": self.seed, "data.draw": self.seed + 1}
        config = TrialConfig().with_values({**BASE, **TASKS[self.task], **own})
        task = load_task(config.data)
        if self.method == "scratch":
            return build_control(Scratch.Config()).configure(config, task, STEPS)
        if self.method == "linear_probe":
            return config.replace(method="linear_probe")
        return with_steps(config, task, STEPS)


def run_job(job: Job) -> Row:
    """Train on one core before and after the labels of val join; return both accuracies on test."""
    torch.set_num_threads(1)
    config = job.config
    before = fit(config, load_task(config.data), lambda _: None, read_test=True).metrics
    share = before["best_epoch"] / config.distill.epochs if "best_epoch" in before else 1.0
    joined = config.replace(data__join="val")
    task = load_task(joined.data)
    joined = with_steps(joined, task, STEPS).replace(distill__patience=1.0, distill__stop_at=share)
    after = fit(joined, task, lambda _: None, read_test=True).metrics
    return {
        **asdict(job),
        "labels": load_task(config.data).num_labeled,
        "labels_refit": task.num_labeled,
        "share": share,
        "steps": before.get("steps", 0),
        "steps_refit": after.get("steps", 0),
        "val_top1": before["val/top1"],
        "before": before["test/top1"],
        "after": after["test/top1"],
    }


def report(rows: Sequence[Row]) -> None:
    """Print and keep accuracies on test before and after, and the gain paired by seed."""
    figures: dict[str, float | Estimate] = {}
    lines = [
        "| task | method | labels | with val | test % | after the refit | gain, points |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for task in TASKS:
        for method in METHODS:
            own = [row for row in rows if (row["task"], row["method"]) == (task, method)]
            before, after = ({row["seed"]: row[name] for row in own} for name in ("before", "after"))
            gain = paired_difference(after, before)
            if gain is None:
                continue
            means = [estimate(list(values.values())) for values in (before, after)]
            figures |= {f"{task}, {method}, before": means[0], f"{task}, {method}, after": means[1]}
            figures[f"{task}, {method}, gain"] = gain
            ends = [f"{100 * end:+.1f}" for end in (gain.low, gain.high) if end is not None]
            interval = f" [{', '.join(ends)}]" if ends else ""
            lines.append(
                f"| {task} | {method} | {own[0]['labels']} | {own[0]['labels_refit']} | {100 * means[0].mean:.1f} "
                f"| {100 * means[1].mean:.1f} | {100 * gain.mean:+.1f}{interval} |"
            )
    lines += ["", f"Means over {SEEDS} seeds, each of at most {STEPS} steps; 95 % intervals over seeds (Student t)."]
    show_and_keep(NAME, lines, figures)


def main(
    workers: Annotated[int, typer.Option(help="Processes.")] = 2,
    seeds: Annotated[int, typer.Option(help="Seeds.")] = SEEDS,
) -> None:
    """Run what is missing, then report."""
    jobs = [Job(task, seed, method) for seed in range(seeds) for task in TASKS for method in METHODS]
    report(run_missing(jobs, run_job, FOLDER / f"{NAME}.jsonl", workers))


if __name__ == "__main__":
    typer.run(main)
